//! Reading the feed: what is closed from packs and from near by, the rest from its rows.

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

/// From how many closed minutes on the directory of packs is worth its reading.
const MIN_MINUTES_FOR_INDEX: usize = 3;

/// How many reads are under way together. A Worker may have six connections open.
const MAX_CONCURRENT_READS: usize = 6;

/// How many packs are read together: each takes a megabyte while it is unwrapped.
const PACKS_TOGETHER: usize = 3;

/// Up to how many names the rows of a span are read where its packs fail: as many as are kept whole.
/// They are some 2 MB, read in a few pages. The rows of a full span would be a hundred times that:
/// they would kill the isolate, and take from the table what it has for others.
const MAX_ROW_FALLBACK: u64 = 8_192;

/// How many minutes, the latest ones, are looked for on the shelf. One that is not there costs three
/// calls, since a Worker's cache counts like a fetch: to look, to read the rows, to put them there.
/// A request of the smallest plan may make 50. These are all minutes of a policy whose tokens live
/// for ten, with a leeway: 33 calls, two for what is not closed yet, one each for directory, keys,
/// a look-up and the origin.
const CACHED_MINUTES: usize = 11;

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// What is `known` with everything that was announced since `since`, overlap included. `reach` is how
/// far back anything may have been called back that matters to the policy, and `now` the moment
/// before the reading begins.
///
/// # Errors
///
/// [`StoreError`] if a part of it could not be read: then nothing new is known.
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
    // Rows say how long any token could be shown, at the longest that any host issues. Here those
    // count that the policy takes; with the same margin, for a host that was just issuing one.
    let margin = MAX_LEEWAY.saturating_add(OVERLAP);
    known.forget_by(now.plus(reach).plus(margin));
    Ok(known)
}

/// The closed minutes from that of `from` on: packed ones by their packs, the others one by one.
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
            // Packs save reads and are no source of their own: without them the rows tell all.
            Err(error) if error.is_corrupt() => PackIndex::default(),
            // A directory that could not be read does not tell that there are no packs, and only it
            // tells how many names the rows would be. Whoever asks again in a second pays one read.
            read => read?,
        }
    } else {
        PackIndex::default()
    };
    // Where something is known already, a pack is of use only if it is all new: what is sifted
    // twice takes its room twice.
    let first = if known.is_empty() {
        UnixTime::default()
    } else {
        from.start_of_minute()
    };
    // A span that cannot be closed yet was packed by a clock that is fast, and lacks what came later.
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
        // A part of a span is not the span, and neither is anything else of another size.
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
    // A minute matters to whoever starts cold for as long as it is within reach, however little of
    // the past this reading is about.
    for piece in fetch(pieces, MAX_CONCURRENT_READS, store, shelf, reach).await {
        known.absorb(piece?.unwrap_or_default());
        known.compact();
    }
    Ok(known)
}

/// How many names they hold.
fn count(packs: &[Revocations]) -> u64 {
    let names: usize = packs.iter().map(Revocations::len).sum();
    u64::try_from(names).unwrap_or(u64::MAX)
}

/// A piece of the past. One type for all kinds: each kind that is read together of its own would
/// weigh some KB in wasm.
#[derive(Clone, Copy)]
enum FeedChunk<'d> {
    /// A pack, from the shelf or the store.
    Pack(&'d PackName),
    /// A closed minute, from the shelf or its rows.
    Minute(UnixTime),
    /// A closed minute from its rows.
    Rows(UnixTime),
}

/// Reads `pieces`, so many together; `lifetime` is how long they are of use on the shelf.
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
    /// What was called back in it; `None` for a pack that is no pack.
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

/// The start of each minute from that of `from` to `end`, which does not belong to them.
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
