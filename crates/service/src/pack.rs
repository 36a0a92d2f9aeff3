//! Packing: closed minutes of the feed are written into packs, so that an edge that starts cold
//! reads a few rows instead of every minute back to the oldest token.
//!
//! Scheduled work, once a minute. Any number of hosts may do it: packs are named by what they
//! hold, and the directory is replaced version by version. A round first packs what has closed,
//! then what is older than anything packed, as far back as any policy lets tokens live. It goes
//! step by step, and each step ends with a directory: a round that is cut off loses one step.

use core::time::Duration;

use portcullis_core::id::Id;
use portcullis_core::policy::{MAX_LEEWAY, MAX_LIFETIME};
use portcullis_core::revocation::{
    CLOCK_SKEW, OVERLAP, Pack, PackIndex, PackName, PackedSpan, closed_before,
};
use portcullis_core::time::UnixTime;
use thiserror::Error;

use crate::store::{PackStore, RevocationStore, StoreError, WriteOutcome};

/// How long a span may grow, and how far: packs are written anew while they grow, and go as a
/// whole.
const MAX_SPAN: Duration = Duration::from_secs(3_600);
const MAX_IDENTIFIERS: u64 = 120_000;

/// How much of the feed is held as rows at once. Four minutes are 120,000 rows where one partition
/// takes all it can; what they call back is 4 bytes each once it is packed.
const ROWS: Duration = Duration::from_secs(4 * 60);

/// How much of the feed one round reads: 360 queries, some seconds of work. The next round goes on
/// from there. Whoever has rested for longer begins anew, so that what edges need first, the last
/// minutes, is packed first.
const MAX_SPAN_PER_RUN: Duration = Duration::from_secs(6 * 3_600);

/// How long a pack is kept after nothing of it matters: an edge may just be reading it.
const RETENTION_AFTER_EXPIRY: Duration = Duration::from_secs(3_600);

/// How a round of packing ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Everything closed is packed.
    Done {
        /// How many names were packed by this round.
        names: u64,
    },
    /// It read as much as one round may; the next one goes on.
    Part {
        /// How many names were packed by this round.
        names: u64,
        /// Up to where the feed is packed.
        until: UnixTime,
    },
    /// Spans were listed of minutes that are not closed yet: somebody's clock is fast. They were
    /// struck off, and the next round packs anew.
    Withdrawn {
        /// How many spans went.
        spans: usize,
    },
    /// Another host was at it; the next round will find what is left.
    Contended,
}

/// The feed was not packed.
#[derive(Debug, Error)]
pub enum PackingError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory would not be one.
    #[error("the directory of packs makes no sense any more")]
    Directory(#[from] portcullis_core::revocation::PackIndexError),
}

/// Packs what has closed since the last round, and what is older than anything packed. `lifetime`
/// is how long access tokens of this host live: where nothing is packed, it begins with what those
/// need.
///
/// # Errors
///
/// [`PackingError`]: what was packed before it stays good.
pub async fn pack(
    store: &(impl RevocationStore + PackStore),
    lifetime: Duration,
    now: UnixTime,
    request_id: &Id,
) -> Result<Outcome, PackingError> {
    let mut directory = store.directory().await?;
    // INVARIANT: after a round by a good clock no span reaches beyond what is closed. What such a
    // span lacks would be called back nowhere that starts cold.
    if let Some(kept) = directory.up_to(closed_before(now.plus(CLOCK_SKEW))) {
        let spans = directory.packed().len().abs_diff(kept.packed().len());
        return Ok(match store.replace_directory(&kept, request_id).await? {
            WriteOutcome::Applied => Outcome::Withdrawn { spans },
            WriteOutcome::Conflict => Outcome::Contended,
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
            WriteOutcome::Conflict => return Ok(Outcome::Contended),
        }
    }
    // A policy may let tokens live for longer than this host does.
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
            WriteOutcome::Conflict => return Ok(Outcome::Contended),
        }
    }
    let names = reading.names;
    Ok(if reading.goes_on() {
        Outcome::Done { names }
    } else {
        let until = directory.end().unwrap_or_default();
        Outcome::Part { names, until }
    })
}

/// The first minute in which anything may have been called back that matters to whoever takes
/// tokens that live so long.
const fn oldest(lifetime: Duration, now: UnixTime) -> UnixTime {
    now.minus(lifetime)
        .minus(MAX_LEEWAY.saturating_add(CLOCK_SKEW))
        .minus(OVERLAP)
        .start_of_minute()
}

/// Reading the feed, as much of it as one round may.
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

    /// What was called back from `from` on, for one step, and where that ends: at `end` at the
    /// latest.
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

    /// What was called back before `to`, for one step, and where that begins: at `start` at the
    /// earliest.
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

    /// What was called back from `from` on and before `to`, and matters.
    async fn read(&self, from: UnixTime, to: UnixTime) -> Result<Pack, StoreError> {
        let last = to.minus(Duration::from_secs(1));
        Ok(Pack::of(&self.store.feed(from, last).await?, self.now))
    }

    fn note(&mut self, span: Duration, pack: &Pack) {
        self.left = self.left.saturating_sub(span);
        self.names = self.names.saturating_add(count(pack));
    }
}

/// Writes the packs of the span from `from` to `to`, with what the last span holds if both are
/// small.
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
        // Names that do not matter any more are not carried along.
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

/// Writes `pack` as that of the span from `from` to `to`.
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

/// What a span holds; `None` if a pack of it cannot be read any more: edges read its minutes one
/// by one then, and so it stays.
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
