//! The bounds and names that the whole simulation shares, and its time.

use std::time::Duration;

use portcullis_core::time::UnixTime;

/// 2026-11-23T12:00:00Z, in milliseconds.
pub(crate) const EPOCH: u64 = 1_795_435_200_000;

pub(crate) const ISSUER: &str = "https://login.example";
pub(crate) const AUDIENCE: &str = "https://api.example";

/// How old an edge's knowledge of revocations may be: the product's own hard bound.
pub(crate) const REVOCATIONS_HARD: Duration = Duration::from_secs(30);

/// How old the keys of an edge may be.
pub(crate) const KEYS_HARD: Duration = Duration::from_secs(40);

/// How old they may be before they are read anew.
pub(crate) const KEYS_SOFT: Duration = Duration::from_secs(20);

/// How old a host's knowledge of the key document and of the secret may be.
pub(crate) const HOST_CACHE: Duration = Duration::from_secs(10);

/// So many attempts to log in as one user, or by one known browser, may be made within [`PER`].
pub(crate) const ATTEMPTS: u32 = 12;
pub(crate) const PER: Duration = Duration::from_secs(60);

/// After how long a node waits for an answer no more.
pub(crate) const TIME_OUT: u64 = 3_000;

/// The second that `offset` milliseconds make of the true time `now`.
pub(crate) fn second(now: u64, offset: i64) -> UnixTime {
    let millis = now.saturating_add(EPOCH).saturating_add_signed(offset);
    UnixTime::from_secs(millis / 1_000)
}

/// The true time at which a clock that is right comes to `second`, in milliseconds.
pub(crate) fn millis_of(second: UnixTime) -> u64 {
    (second.as_secs() * 1_000).saturating_sub(EPOCH)
}
