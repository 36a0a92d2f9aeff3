//! Packing: writes closed minutes of the feed into packs, so an edge reads a few rows at a cold
//! start instead of every minute back to the oldest token.
//!
//! Scheduled work, once a minute, on any number of hosts: packs are identified by their content,
//! and the directory is replaced version by version. A run first packs the newly closed minutes,
//! then those older than every pack, as far back as any policy lets tokens live. It works in steps,
//! and each step ends with a new directory: an aborted run loses one step.

use core::time::Duration;

use portcullis_core::id::Id;
use portcullis_core::policy::{MAX_LEEWAY, MAX_LIFETIME};
use portcullis_core::revocation::{
    CLOCK_SKEW, OVERLAP, Pack, PackIndex, PackName, PackedSpan, closed_before,
};
use portcullis_core::time::UnixTime;
use thiserror::Error;

use crate::store::{PackStore, RevocationStore, StoreError, WriteOutcome};

/// The maximum length and reach of a span. A pack is rewritten while it grows, and deleted as a
/// whole.
const MAX_SPAN: Duration = Duration::from_secs(3_600);
const MAX_IDENTIFIERS: u64 = 120_000;

/// The maximum of feed rows in memory. Four minutes are 120,000 rows at the write limit of one
/// partition. Each revocation takes 4 bytes after packing.
const ROWS: Duration = Duration::from_secs(4 * 60);

/// The maximum of the feed that one run reads: 360 queries, some seconds of work. The next run
/// continues from there. After a longer pause packing restarts, so that the latest minutes, which
/// edges need first, are packed first.
const MAX_SPAN_PER_RUN: Duration = Duration::from_secs(6 * 3_600);

/// How long a pack is kept after its last revocation expires: an edge may just be reading it.
const RETENTION_AFTER_EXPIRY: Duration = Duration::from_secs(3_600);

/// The outcome of a packing run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PackOutcome {
    /// Every closed minute is packed.
    Done {
        /// The number of entries that this run packed.
        names: u64,
    },
    /// The run reached its limit; the next one continues.
    Part {
        /// The number of entries that this run packed.
        names: u64,
        /// The time up to which the feed is packed.
        until: UnixTime,
    },
    /// The directory listed spans that are still open, because the clock of a host is fast. They
    /// were removed, and the next run packs them again.
    Withdrawn {
        /// The number of removed spans.
        spans: usize,
    },
    /// Another host packed concurrently; the next run packs the rest.
    Contended,
}

/// The feed was not packed.
#[derive(Debug, Error)]
pub enum PackingError {
    /// A store operation failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory would become invalid.
    #[error("the directory of packs is not valid any more")]
    Directory(#[from] portcullis_core::revocation::PackIndexError),
}

/// Packs the minutes closed since the last run, and those older than every pack. `lifetime` is the
/// access token lifetime of this host: without any pack, packing starts with the minutes that those
/// tokens need.
///
/// # Errors
///
/// [`PackingError`]; the packs written before it remain valid.
pub async fn pack(
    store: &(impl RevocationStore + PackStore),
    lifetime: Duration,
    now: UnixTime,
    request_id: &Id,
) -> Result<PackOutcome, PackingError> {
    let mut directory = store.directory().await?;
    // INVARIANT: after a run with a correct clock no span reaches beyond the closed minutes. A cold
    // start would miss the revocations that such a span lacks.
    if let Some(kept) = directory.up_to(closed_before(now.plus(CLOCK_SKEW))) {
        let spans = directory.packed().len().abs_diff(kept.packed().len());
        return Ok(match store.replace_directory(&kept, request_id).await? {
            WriteOutcome::Applied => PackOutcome::Withdrawn { spans },
            WriteOutcome::Conflict => PackOutcome::Contended,
        });
    }
    let closed = closed_before(now);
    let mut from = match directory.end() {
        Some(end) if now.since(end) <= MAX_SPAN_PER_RUN => end,
        Some(_) => {
            directory = PackIndex::new(directory.version(), Vec::new())?;
            oldest(lifetime, now)
        }
        None => oldest(lifetime, now),
    };
    let mut reading = FeedReader::new(store, now);
    while from < closed && reading.goes_on() {
        let (to, fresh) = reading.forth(from, closed).await?;
        let packed = grow(&directory, from, to, fresh, store, now).await?;
        directory = directory.with(packed, now)?;
        match store.replace_directory(&directory, request_id).await? {
            WriteOutcome::Applied => from = to,
            WriteOutcome::Conflict => return Ok(PackOutcome::Contended),
        }
    }
    // A policy may accept a longer token lifetime than this host issues.
    let oldest = oldest(MAX_LIFETIME, now);
    while let Some(to) = directory.start()
        && oldest < to
        && directory.has_room()
        && reading.goes_on()
    {
        let (from, fresh) = reading.back(oldest, to).await?;
        let packed = write(from, to, fresh, store).await?;
        directory = directory.with_earlier(packed)?;
        match store.replace_directory(&directory, request_id).await? {
            WriteOutcome::Applied => {}
            WriteOutcome::Conflict => return Ok(PackOutcome::Contended),
        }
    }
    let names = reading.names;
    Ok(if reading.goes_on() {
        PackOutcome::Done { names }
    } else {
        let until = directory.end().unwrap_or_default();
        PackOutcome::Part { names, until }
    })
}

/// The first minute with a revocation that matters to an edge that accepts tokens of this lifetime.
const fn oldest(lifetime: Duration, now: UnixTime) -> UnixTime {
    now.minus(lifetime)
        .minus(MAX_LEEWAY.saturating_add(CLOCK_SKEW))
        .minus(OVERLAP)
        .start_of_minute()
}

/// Reads the feed within the limit of one run.
struct FeedReader<'s, S> {
    store: &'s S,
    now: UnixTime,
    left: Duration,
    names: u64,
}

impl<'s, S: RevocationStore> FeedReader<'s, S> {
    const fn new(store: &'s S, now: UnixTime) -> Self {
        Self {
            store,
            now,
            left: MAX_SPAN_PER_RUN,
            names: 0,
        }
    }

    /// Whether more may be read.
    const fn goes_on(&self) -> bool {
        !self.left.is_zero()
    }

    /// The revocations from `from` on, for one step, and the end of that step: at most `end`.
    async fn forth(
        &mut self,
        from: UnixTime,
        end: UnixTime,
    ) -> Result<(UnixTime, Pack), StoreError> {
        let end = end.min(from.plus(MAX_SPAN.min(self.left)));
        let (mut to, mut pack) = (from, Pack::default());
        while to < end && count(&pack) < MAX_IDENTIFIERS {
            let next = end.min(to.plus(ROWS));
            pack = pack.merge(self.read(to, next).await?);
            to = next;
        }
        self.note(to.since(from), &pack);
        Ok((to, pack))
    }

    /// The revocations before `to`, for one step, and the start of that step: at least `start`.
    async fn back(
        &mut self,
        start: UnixTime,
        to: UnixTime,
    ) -> Result<(UnixTime, Pack), StoreError> {
        let start = start.max(to.minus(MAX_SPAN.min(self.left)));
        let (mut from, mut pack) = (to, Pack::default());
        while start < from && count(&pack) < MAX_IDENTIFIERS {
            let next = start.max(from.minus(ROWS));
            pack = pack.merge(self.read(next, from).await?);
            from = next;
        }
        self.note(to.since(from), &pack);
        Ok((from, pack))
    }

    /// The unexpired revocations from `from` on and before `to`.
    async fn read(&self, from: UnixTime, to: UnixTime) -> Result<Pack, StoreError> {
        let last = to.minus(Duration::from_secs(1));
        Ok(Pack::of(&self.store.feed(from, last).await?, self.now))
    }

    fn note(&mut self, span: Duration, pack: &Pack) {
        self.left = self.left.saturating_sub(span);
        self.names = self.names.saturating_add(count(pack));
    }
}

/// Writes the packs of the span from `from` to `to`, merged with the last span if both are small.
async fn grow(
    directory: &PackIndex,
    from: UnixTime,
    to: UnixTime,
    fresh: Pack,
    store: &impl PackStore,
    now: UnixTime,
) -> Result<PackedSpan, StoreError> {
    let mergeable = directory
        .mergeable(to, count(&fresh), MAX_IDENTIFIERS, MAX_SPAN)
        // Expired entries are not copied.
        .filter(|last| last.parts.is_empty() || now < last.until);
    let (from, pack) = match mergeable {
        Some(last) => match read(last, store).await? {
            Some(before) => (last.from, before.merge(fresh)),
            None => (from, fresh),
        },
        None => (from, fresh),
    };
    write(from, to, pack, store).await
}

/// Writes `pack` as the pack of the span from `from` to `to`.
async fn write(
    from: UnixTime,
    to: UnixTime,
    pack: Pack,
    store: &impl PackStore,
) -> Result<PackedSpan, StoreError> {
    let (until, names) = (pack.until(), count(&pack));
    let mut parts = Vec::new();
    for part in pack.into_parts_that_fit() {
        let bytes = part.to_bytes();
        let name = PackName::of(&bytes);
        store
            .put_pack(&name, &bytes, until.plus(RETENTION_AFTER_EXPIRY))
            .await?;
        parts.push(name);
    }
    Ok(PackedSpan {
        from,
        to,
        until,
        names,
        parts,
    })
}

/// The content of a span; `None` if one of its packs is unreadable. Edges read its minutes one by
/// one then, and the span stays as it is.
async fn read(span: &PackedSpan, store: &impl PackStore) -> Result<Option<Pack>, StoreError> {
    let mut whole = Pack::default();
    for name in &span.parts {
        let bytes = store.pack(name).await?;
        match bytes.as_deref().map(Pack::parse) {
            Some(Ok(part)) => whole = whole.merge(part),
            Some(Err(_)) | None => return Ok(None),
        }
    }
    Ok((count(&whole) == span.names).then_some(whole))
}

fn count(pack: &Pack) -> u64 {
    u64::try_from(pack.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
