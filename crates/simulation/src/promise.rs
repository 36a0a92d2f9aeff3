//! The acknowledged changes, which are checked at the end.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_core::id::Id;

/// What somebody was told is done.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Promise {
    /// This request opened this session.
    Opened(Id, Id),
    /// This session is over.
    Ended(Id),
    /// Every session of this user below this generation is over.
    EndedAll(Id, u64),
}

/// What was promised, to be looked for at the end.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    pub(crate) done: BTreeSet<Promise>,
    pub(crate) heads: BTreeMap<Id, u64>,
}
