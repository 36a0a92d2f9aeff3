//! Reads the feed: closed minutes from packs and the cache, the rest from its rows.

use core::time::Duration;

use futures_util::future::join;
use portcullis_core::policy::MAX_LEEWAY;
use portcullis_core::revocation::{
    CLOCK_SKEW, OVERLAP, Pack, PackIndex, PackName, PackedSpan, Revocations, closed_before,
    parse_minute, write_minute,
};
use portcullis_core::time::UnixTime;

use crate::join_all::join_all;
use crate::ports::ImmutableCache;
use crate::store::{PackStore, RevocationStore, StoreError};

/// The number of closed minutes from which on reading the directory of packs pays off.
const MIN_MINUTES_FOR_INDEX: usize = 3;

/// The maximum of concurrent reads. A Worker may have six open connections.
const MAX_CONCURRENT_READS: usize = 6;

/// The maximum of packs that are read concurrently: each takes 1 MB while it is decoded.
const PACKS_TOGETHER: usize = 3;

/// The maximum of entries that are read from rows when the packs of a span fail: as many as are
/// kept whole. They are about 2 MB, read in a few pages. The rows of a full span would be a hundred
/// times that: they would exceed the isolate's memory and use up the read capacity of the table.
const MAX_ROW_FALLBACK: u64 = 8_192;

/// How many of the latest minutes are looked up in the cache. A miss costs three calls, since a
/// Worker's cache counts like a fetch: the lookup, the read of the rows and the store. A request of
/// the smallest plan may make 50. The limit covers all minutes of a policy with tokens of 10
/// minutes and a leeway: 33 calls, two for the open minutes, and one each for directory, keys, a
/// lookup and the origin.
const CACHED_MINUTES: usize = 11;

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

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
    let mut missing = minutes(from, closed);
    let directory = if missing.len() >= MIN_MINUTES_FOR_INDEX {
        match store.directory().await {
            // Packs only save reads: the rows contain every revocation.
            Err(error) if error.is_corrupt() => PackIndex::default(),
            // A failed read of the directory does not prove that no packs exist. Only the directory
            // tells how many entries the rows hold. A retry a second later costs one read.
            read => read?,
        }
    } else {
        PackIndex::default()
    };
    // With earlier knowledge a pack is useful only if it is completely new: a revocation that is
    // compacted twice takes twice the memory.
    let first = if known.is_empty() {
        UnixTime::default()
    } else {
        from.start_of_minute()
    };
    // A host with a fast clock packed this open span, so later rows are missing from it.
    let whole = closed_before(now.plus(CLOCK_SKEW));
    let touched = |span: &&PackedSpan| {
        from < span.to && span.from < closed && first <= span.from && span.to <= whole
    };
    for span in directory.packed().iter().filter(touched) {
        let in_reach = span.to.plus(OVERLAP).plus(reach);
        let lifetime = now.until(span.until.min(in_reach));
        let parts = if lifetime.is_zero() {
            &[]
        } else {
            span.parts.as_slice()
        };
        let pieces = parts.iter().map(FeedChunk::Pack);
        let read = fetch(pieces, PACKS_TOGETHER, store, shelf, lifetime).await;
        let read: Result<Vec<Option<Revocations>>, StoreError> = read.into_iter().collect();
        let parts = match read {
            Err(error) if span.names > MAX_ROW_FALLBACK => return Err(error),
            Err(_) => continue,
            Ok(parts) => parts,
        };
        // An incomplete pack, or a pack of another size, does not replace the span.
        let whole: Option<Vec<Revocations>> = parts.into_iter().collect();
        let Some(packs) = whole.filter(|packs| lifetime.is_zero() || count(packs) == span.names)
        else {
            continue;
        };
        packs.into_iter().for_each(|pack| known.absorb(pack));
        missing.retain(|minute| *minute < span.from || span.to <= *minute);
    }
    let near = missing.len().saturating_sub(CACHED_MINUTES);
    let pieces = missing.iter().enumerate().map(|(place, minute)| {
        if place < near {
            FeedChunk::Rows(*minute)
        } else {
            FeedChunk::Minute(*minute)
        }
    });
    // A cold start needs every minute within its reach, even if this read covers less of the past.
    for piece in fetch(pieces, MAX_CONCURRENT_READS, store, shelf, reach).await {
        known.absorb(piece?.unwrap_or_default());
        known.compact();
    }
    Ok(known)
}

/// The number of their entries.
fn count(packs: &[Revocations]) -> u64 {
    let names: usize = packs.iter().map(Revocations::len).sum();
    u64::try_from(names).unwrap_or(u64::MAX)
}

/// A chunk of the past. One type for all kinds: a separate concurrent read for each kind would add
/// some KB of wasm.
#[derive(Clone, Copy)]
enum FeedChunk<'d> {
    /// A pack, from the cache or the store.
    Pack(&'d PackName),
    /// A closed minute, from the cache or its rows.
    Minute(UnixTime),
    /// A closed minute from its rows.
    Rows(UnixTime),
}

/// Reads `pieces` with limited concurrency; `lifetime` is how long the cache keeps them.
async fn fetch(
    pieces: impl Iterator<Item = FeedChunk<'_>>,
    together_at_most: usize,
    store: &(impl RevocationStore + PackStore),
    shelf: &impl ImmutableCache,
    lifetime: Duration,
) -> Vec<Result<Option<Revocations>, StoreError>> {
    let pieces: Vec<FeedChunk<'_>> = pieces.collect();
    let mut read = Vec::with_capacity(pieces.len());
    for some in pieces.chunks(together_at_most) {
        let some = some.iter().map(|piece| piece.read(store, shelf, lifetime));
        read.append(&mut join_all(some).await);
    }
    read
}

impl FeedChunk<'_> {
    /// The revocations in it; `None` if the pack is invalid.
    async fn read(
        self,
        store: &(impl RevocationStore + PackStore),
        shelf: &impl ImmutableCache,
        lifetime: Duration,
    ) -> Result<Option<Revocations>, StoreError> {
        let place = match self {
            Self::Pack(name) => Some(format!("pack/{name}")),
            Self::Minute(minute) => Some(format!("minute/{}", minute.minute())),
            Self::Rows(_) => None,
        };
        if let Some(place) = &place
            && let Some(bytes) = shelf.get(place).await
            && let Some(known) = self.parse(&bytes)
        {
            return Ok(Some(known));
        }
        let (bytes, known) = match self {
            Self::Pack(name) => {
                let Some(bytes) = store.pack(name).await? else {
                    return Ok(None);
                };
                let known = self.parse(&bytes);
                (bytes, known)
            }
            Self::Minute(minute) | Self::Rows(minute) => {
                let rows = store
                    .feed(minute, minute.plus(MINUTE).minus(SECOND))
                    .await?;
                (write_minute(&rows), Some(rows.into_iter().collect()))
            }
        };
        if let Some(place) = &place
            && known.is_some()
        {
            shelf.put(place, &bytes, lifetime).await;
        }
        Ok(known)
    }

    fn parse(self, bytes: &[u8]) -> Option<Revocations> {
        let mut known = Revocations::default();
        match self {
            Self::Pack(_) => known.load(Pack::parse(bytes).ok()?),
            Self::Minute(_) | Self::Rows(_) => parse_minute(bytes, &mut known).ok()?,
        }
        Some(known)
    }
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
