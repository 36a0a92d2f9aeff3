//! Reading the feed: what is closed from packs and from near by, the rest from its rows.

use core::time::Duration;

use futures_util::future::{join, join_all, try_join_all};
use portcullis_core::revocation::{
    CLOCK_SKEW, OVERLAP, Pack, PackName, Packed, Revocations, closed_before, parse_minute,
    write_minute,
};
use portcullis_core::time::UnixTime;

use crate::ports::Shelf;
use crate::store::{PackStore, RevocationStore, StoreError};

/// From how many closed minutes on the directory of packs is worth its reading.
const WORTH_THE_DIRECTORY: usize = 3;

/// How many reads are under way together. A Worker may have six connections open.
const TOGETHER: usize = 6;

/// How many packs are read together: each takes a megabyte while it is unwrapped.
const PACKS_TOGETHER: usize = 3;

/// How many minutes, the latest ones, are looked for on the shelf. A Worker's request may ask its
/// cache 50 times at the least.
const SHELVED: usize = 20;

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// What is `known` with everything that was announced since `since`, overlap included. `now` is
/// the moment before the reading begins.
///
/// # Errors
///
/// [`StoreError`] if a part of it could not be read: then nothing new is known.
pub(crate) async fn gather(
    mut known: Revocations,
    since: UnixTime,
    store: &(impl RevocationStore + PackStore),
    shelf: &impl Shelf,
    now: UnixTime,
) -> Result<Revocations, StoreError> {
    let (from, closed) = (since.before(OVERLAP), closed_before(now));
    known.forget(now);
    let tail = store.feed(from.max(closed), now.after(CLOCK_SKEW));
    let (past, tail) = join(past(known, from, closed, store, shelf, now), tail).await;
    let mut known = past?;
    for revocation in tail? {
        known.insert(&revocation);
    }
    known.forget(now);
    known.compact();
    Ok(known)
}

/// The closed minutes from that of `from` on: packed ones by their packs, the others one by one.
async fn past(
    mut known: Revocations,
    from: UnixTime,
    closed: UnixTime,
    store: &(impl RevocationStore + PackStore),
    shelf: &impl Shelf,
    now: UnixTime,
) -> Result<Revocations, StoreError> {
    let mut missing = minutes(from, closed);
    if missing.len() >= WORTH_THE_DIRECTORY {
        // Packs save reads and are no source of their own: without them the rows tell all.
        let directory = store.directory().await.unwrap_or_default();
        // Where something is known already, a pack is of use only if it is all new: what is sifted
        // twice takes its room twice.
        let first = if known.is_empty() {
            UnixTime::default()
        } else {
            from.start_of_minute()
        };
        let touched = |span: &&Packed| from < span.to && span.from < closed && first <= span.from;
        for span in directory.packed().iter().filter(touched) {
            if let Some(packs) = unpack(span, store, shelf, now).await {
                packs.into_iter().for_each(|pack| known.load(pack));
                missing.retain(|minute| *minute < span.from || span.to <= *minute);
            }
        }
    }
    let lifetime = now.since(from);
    let far = missing.len().saturating_sub(SHELVED);
    let (far, near) = missing.split_at_checked(far).unwrap_or_default();
    for some in far.chunks(TOGETHER) {
        let read = some.iter().map(|minute| rows_of(*minute, store));
        for revocations in try_join_all(read).await? {
            known.absorb(revocations);
        }
        known.compact();
    }
    for some in near.chunks(TOGETHER) {
        let read = some
            .iter()
            .map(|minute| shelved(*minute, store, shelf, lifetime));
        for revocations in try_join_all(read).await? {
            known.absorb(revocations);
        }
        known.compact();
    }
    Ok(known)
}

/// The start of each minute from that of `from` to `end`, which does not belong to them.
fn minutes(from: UnixTime, end: UnixTime) -> Vec<UnixTime> {
    let mut minutes = Vec::new();
    let mut minute = from.start_of_minute();
    while minute < end {
        minutes.push(minute);
        minute = minute.after(MINUTE);
    }
    minutes
}

/// The packs of `span`; `None` if one of them cannot be read, or they are not what the directory
/// says they are.
async fn unpack(
    span: &Packed,
    store: &impl PackStore,
    shelf: &impl Shelf,
    now: UnixTime,
) -> Option<Vec<Pack>> {
    if span.until <= now {
        return Some(Vec::new());
    }
    let lifetime = now.until(span.until);
    let mut packs = Vec::new();
    for some in span.parts.chunks(PACKS_TOGETHER) {
        let read = some.iter().map(|name| pack(name, store, shelf, lifetime));
        for pack in join_all(read).await {
            packs.push(pack?);
        }
    }
    let names: usize = packs.iter().map(Pack::len).sum();
    (u64::try_from(names) == Ok(span.names)).then_some(packs)
}

async fn pack(
    name: &PackName,
    store: &impl PackStore,
    shelf: &impl Shelf,
    lifetime: Duration,
) -> Option<Pack> {
    let place = format!("pack/{name}");
    let shelved = shelf.take(&place).await;
    if let Some(pack) = shelved.and_then(|bytes| Pack::parse(&bytes).ok()) {
        return Some(pack);
    }
    let bytes = store.pack(name).await.ok()??;
    let pack = Pack::parse(&bytes).ok()?;
    shelf.put(&place, &bytes, lifetime).await;
    Some(pack)
}

/// What a closed minute called back, from the shelf or from its rows.
async fn shelved(
    minute: UnixTime,
    store: &impl RevocationStore,
    shelf: &impl Shelf,
    lifetime: Duration,
) -> Result<Revocations, StoreError> {
    let place = format!("minute/{}", minute.minute());
    let mut known = Revocations::default();
    if let Some(bytes) = shelf.take(&place).await
        && parse_minute(&bytes, &mut known).is_ok()
    {
        return Ok(known);
    }
    let rows = store.feed(minute, last_second_of(minute)).await?;
    shelf.put(&place, &write_minute(&rows), lifetime).await;
    Ok(rows.into_iter().collect())
}

async fn rows_of(
    minute: UnixTime,
    store: &impl RevocationStore,
) -> Result<Revocations, StoreError> {
    let rows = store.feed(minute, last_second_of(minute)).await?;
    Ok(rows.into_iter().collect())
}

const fn last_second_of(minute: UnixTime) -> UnixTime {
    minute.after(MINUTE).before(SECOND)
}

#[cfg(test)]
pub(crate) mod tests;
