//! An edge's decision on one token, with the age of its snapshot.

use portcullis_core::denial::Denial;
use portcullis_core::time::UnixTime;

/// When what an isolate knows was read, by its own clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) keys_at: UnixTime,
    pub(crate) revocations_at: UnixTime,
}

/// What an edge says, and what it knew.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) said: Result<(), Denial>,
    /// What it knew as the request came.
    pub(crate) before: Option<Known>,
    /// What it knows now.
    pub(crate) after: Option<Known>,
}
