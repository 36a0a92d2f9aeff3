//! Packing: closed minutes of the feed are written into packs, so that an edge that starts cold
//! reads a few rows instead of every minute back to the oldest token.
//!
//! Scheduled work, once a minute. Any number of hosts may do it: packs are named by what they
//! hold, and the directory is replaced version by version.

use core::time::Duration;

use portcullis_core::id::Id;
use portcullis_core::policy::MAX_LEEWAY;
use portcullis_core::revocation::{
    CLOCK_SKEW, OVERLAP, Pack, PackDirectory, PackName, Packed, closed_before,
};
use portcullis_core::time::UnixTime;
use thiserror::Error;

use crate::store::{PackStore, RevocationStore, StoreError, Written};

/// How long a span may grow, and how far: packs are written anew while they grow, and go as a
/// whole.
const LONGEST_SPAN: Duration = Duration::from_secs(3_600);
const MOST_NAMES: u64 = 120_000;

/// How far back packing goes after it has rested: the longest that the feed is read at once.
const LONGEST_REST: Duration = Duration::from_secs(24 * 3_600);

/// How long a pack is kept after nothing of it matters: an edge may just be reading it.
const FAREWELL: Duration = Duration::from_secs(3_600);

/// How a round of packing ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Everything closed is packed.
    Done {
        /// How many names were packed by this round.
        names: u64,
    },
    /// Another host was at it; the next round will find what is left.
    Overtaken,
}

/// The feed was not packed.
#[derive(Debug, Error)]
pub enum PackingError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory would not be one.
    #[error("the directory of packs makes no sense any more")]
    Directory(#[from] portcullis_core::revocation::PackDirectoryError),
}

/// Packs what has closed since the last round. `lifetime` is how long access tokens live: nothing
/// older than that is packed the first time.
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
    let closed = closed_before(now);
    let reach = lifetime
        .saturating_add(MAX_LEEWAY)
        .saturating_add(CLOCK_SKEW)
        .saturating_add(OVERLAP);
    let mut directory = store.directory().await?;
    let mut total = 0_u64;
    let beginning = now.before(reach).start_of_minute();
    let mut from = match directory.end() {
        Some(end) if now.since(end) <= LONGEST_REST => end,
        Some(_) => {
            directory = PackDirectory::new(directory.version(), Vec::new())?;
            beginning
        }
        None => beginning,
    };
    while from < closed {
        let to = closed.min(from.after(LONGEST_SPAN));
        let rows = store.feed(from, to.before(Duration::from_secs(1))).await?;
        let fresh = Pack::of(&rows, now);
        total = total.saturating_add(count(&fresh));
        let packed = write(&directory, from, to, fresh, store, now).await?;
        directory = directory.with(packed, now)?;
        match store.replace_directory(&directory, request_id).await? {
            Written::Done => from = to,
            Written::Conflict => return Ok(Outcome::Overtaken),
        }
    }
    Ok(Outcome::Done { names: total })
}

/// Writes the packs of the span from `from` to `to`, with what the last span holds if both are
/// small.
async fn write(
    directory: &PackDirectory,
    from: UnixTime,
    to: UnixTime,
    fresh: Pack,
    store: &impl PackStore,
    now: UnixTime,
) -> Result<Packed, StoreError> {
    let mergeable = directory
        .mergeable(to, count(&fresh), MOST_NAMES, LONGEST_SPAN)
        // Names that do not matter any more are not carried along.
        .filter(|last| last.parts.is_empty() || now < last.until);
    let (from, pack) = match mergeable {
        Some(last) => match read(last, store).await? {
            Some(before) => (last.from, before.merge(fresh)),
            None => (from, fresh),
        },
        None => (from, fresh),
    };
    let (until, names) = (pack.until(), count(&pack));
    let mut parts = Vec::new();
    for part in pack.into_parts_that_fit() {
        let bytes = part.to_bytes();
        let name = PackName::of(&bytes);
        store.put_pack(&name, &bytes, until.after(FAREWELL)).await?;
        parts.push(name);
    }
    Ok(Packed {
        from,
        to,
        until,
        names,
        parts,
    })
}

/// What a span holds; `None` if a pack of it cannot be read any more: edges read its minutes one
/// by one then, and so it stays.
async fn read(span: &Packed, store: &impl PackStore) -> Result<Option<Pack>, StoreError> {
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
