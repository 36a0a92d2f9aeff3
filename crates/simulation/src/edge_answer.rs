//! An edge's decision on one token, with the age of its snapshot.

use portcullis_core::denial::Denial;
use portcullis_core::time::UnixTime;

/// The time of the isolate's last reads, by its own clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) keys_at: UnixTime,
    pub(crate) revocations_at: UnixTime,
}

/// The response of an edge, and its snapshot.
#[derive(Debug)]
pub(crate) struct EdgeAnswer {
    pub(crate) said: Result<(), Denial>,
    /// Its snapshot when the request arrived.
    pub(crate) before: Option<Known>,
    /// Its snapshot now.
    pub(crate) after: Option<Known>,
}
