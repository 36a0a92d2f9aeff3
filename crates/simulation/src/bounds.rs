//! The bounds and names that the whole simulation shares, and its time.

use std::time::Duration;

use portcullis_core::time::UnixTime;

/// 2026-11-23T12:00:00Z, in milliseconds.
pub(crate) const EPOCH: u64 = 1_795_435_200_000;

pub(crate) const ISSUER: &str = "https://login.example";
pub(crate) const AUDIENCE: &str = "https://api.example";

/// The maximum age of an edge's revocations: the product's own hard bound.
pub(crate) const REVOCATIONS_HARD: Duration = Duration::from_secs(30);

/// The maximum age of an edge's keys.
pub(crate) const KEYS_HARD: Duration = Duration::from_secs(40);

/// The age at which they are read again.
pub(crate) const KEYS_SOFT: Duration = Duration::from_secs(20);

/// The maximum age of a host's key document and secret.
pub(crate) const HOST_CACHE: Duration = Duration::from_secs(10);

/// The login attempts of one user, or from one known browser, within [`PER`].
pub(crate) const ATTEMPTS: u32 = 12;
pub(crate) const PER: Duration = Duration::from_secs(60);

/// The timeout of a call, in milliseconds.
pub(crate) const TIME_OUT: u64 = 3_000;

/// The second shown by a clock that is `offset` milliseconds from the true time `now`.
pub(crate) fn second(now: u64, offset: i64) -> UnixTime {
    let millis = now.saturating_add(EPOCH).saturating_add_signed(offset);
    UnixTime::from_secs(millis / 1_000)
}

/// The true time, in milliseconds, at which a correct clock reaches `second`.
pub(crate) fn millis_of(second: UnixTime) -> u64 {
    (second.as_secs() * 1_000).saturating_sub(EPOCH)
}
