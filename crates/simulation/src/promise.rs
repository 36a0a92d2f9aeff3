//! The acknowledged changes, which are checked at the end.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_core::id::Id;

/// An operation that was acknowledged to a client.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Promise {
    /// This request opened this session.
    Opened(Id, Id),
    /// This session has ended.
    Ended(Id),
    /// Every session of this user below this generation has ended.
    EndedAll(Id, u64),
}

/// The acknowledged operations, to be checked at the end.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    pub(crate) done: BTreeSet<Promise>,
    pub(crate) heads: BTreeMap<Id, u64>,
}
