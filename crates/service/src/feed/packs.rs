//! Reads packed minutes of the feed from their packs.

use core::time::Duration;

use portcullis_core::revocation::{
    CLOCK_SKEW, OVERLAP, PackIndex, PackedSpan, Revocations, closed_before,
};
use portcullis_core::time::UnixTime;

use super::chunk::{FeedChunk, fetch};
use crate::ports::ImmutableCache;
use crate::store::{PackStore, RevocationStore, StoreError};

/// The number of closed minutes from which on reading the directory of packs pays off.
const MIN_MINUTES_FOR_INDEX: usize = 3;

/// The maximum of packs that are read concurrently: each takes 1 MB while it is decoded.
const PACKS_TOGETHER: usize = 3;

/// The maximum of entries that are read from rows when the packs of a span fail: as many as are
/// kept whole. They are about 2 MB, read in a few pages. The rows of a full span would be a hundred
/// times that: they would exceed the isolate's memory and use up the read capacity of the table.
pub(super) const MAX_ROW_FALLBACK: u64 = 8_192;

/// Extends `known` by the packed minutes of `missing`, which is every closed minute from that of `from` on. Returns the
/// minutes that no pack covers.
///
/// # Errors
///
/// [`StoreError`] if the directory or a pack could not be read and the rows cannot replace it.
pub(super) async fn read(
    known: &mut Revocations,
    mut missing: Vec<UnixTime>,
    from: UnixTime,
    reach: Duration,
    store: &(impl RevocationStore + PackStore),
    shelf: &impl ImmutableCache,
    now: UnixTime,
) -> Result<Vec<UnixTime>, StoreError> {
    let closed = closed_before(now);
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
    Ok(missing)
}

/// The number of their entries.
fn count(packs: &[Revocations]) -> u64 {
    let names: usize = packs.iter().map(Revocations::len).sum();
    u64::try_from(names).unwrap_or(u64::MAX)
}
