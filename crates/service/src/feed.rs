//! Reads the feed: closed minutes from packs and the cache, the rest from its rows.

mod chunk;
#[cfg_attr(not(feature = "packs"), path = "feed/without_packs.rs")]
mod packs;

use core::time::Duration;

use futures_util::future::join;
use portcullis_core::policy::MAX_LEEWAY;
use portcullis_core::revocation::{CLOCK_SKEW, OVERLAP, Revocations, closed_before};
use portcullis_core::time::UnixTime;

use self::chunk::{FeedChunk, MINUTE, fetch};
use crate::ports::ImmutableCache;
use crate::store::{PackStore, RevocationStore, StoreError};

/// The maximum of concurrent reads. A Worker may have six open connections.
const MAX_CONCURRENT_READS: usize = 6;

/// How many of the latest minutes are looked up in the cache. A miss costs three calls, since a
/// Worker's cache counts like a fetch: the lookup, the read of the rows and the store. A request of
/// the smallest plan may make 50. The limit covers all minutes of a policy with tokens of 10
/// minutes and a leeway: 33 calls, two for the open minutes, and one each for directory, keys, a
/// lookup and the origin.
const CACHED_MINUTES: usize = 11;

/// Extends `known` by every revocation announced since `since`, including the overlap. `reach` is
/// the maximum age of a revocation that matters to the policy. `now` is the time before the read
/// begins.
///
/// # Errors
///
/// [`StoreError`] if a part could not be read; `known` is not extended then.
pub(crate) async fn read_revocations(
    mut known: Revocations,
    since: UnixTime,
    reach: Duration,
    store: &(impl RevocationStore + PackStore),
    shelf: &impl ImmutableCache,
    now: UnixTime,
) -> Result<Revocations, StoreError> {
    let (from, closed) = (since.minus(OVERLAP), closed_before(now));
    known.forget(now);
    let tail = store.feed(from.max(closed), now.plus(CLOCK_SKEW));
    let (past, tail) = join(read_closed(known, from, reach, store, shelf, now), tail).await;
    let mut known = past?;
    for revocation in tail? {
        known.insert(&revocation);
    }
    known.forget(now);
    known.compact();
    // Row TTLs use the longest lifetime any host may issue. They are capped at this policy's
    // maximum plus the same margin, for a host that was just issuing a token.
    let margin = MAX_LEEWAY.saturating_add(OVERLAP);
    known.forget_by(now.plus(reach).plus(margin));
    Ok(known)
}

/// The closed minutes from that of `from` on: packed ones from their packs, the others one by one.
async fn read_closed(
    mut known: Revocations,
    from: UnixTime,
    reach: Duration,
    store: &(impl RevocationStore + PackStore),
    shelf: &impl ImmutableCache,
    now: UnixTime,
) -> Result<Revocations, StoreError> {
    let closed = closed_before(now);
    let missing = minutes(from, closed);
    let missing = packs::read(&mut known, missing, from, reach, store, shelf, now).await?;
    let near = missing.len().saturating_sub(CACHED_MINUTES);
    let pieces = missing.iter().enumerate().map(|(place, minute)| {
        if place < near {
            FeedChunk::Rows(minute)
        } else {
            FeedChunk::Minute(minute)
        }
    });
    // A cold start needs every minute within its reach, even if this read covers less of the past.
    for piece in fetch(pieces, MAX_CONCURRENT_READS, store, shelf, reach).await {
        known.absorb(piece?.unwrap_or_default());
        known.compact();
    }
    Ok(known)
}

/// The start of each minute from that of `from` to `end` (exclusive).
fn minutes(from: UnixTime, end: UnixTime) -> Vec<UnixTime> {
    let mut minutes = Vec::new();
    let mut minute = from.start_of_minute();
    while minute < end {
        minutes.push(minute);
        minute = minute.plus(MINUTE);
    }
    minutes
}

#[cfg(test)]
pub(crate) mod tests;
