//! The audit trail for operators: reads a day, seals it, and verifies that no entry was altered,
//! removed or added since.

use core::time::Duration;

use portcullis_core::audit::digest::{AuditDigest, is_closed};
use portcullis_core::audit::entry::AuditEntry;
use portcullis_core::id::Id;
use portcullis_core::root_keys::RootKeys;
use portcullis_core::time::UnixTime;

use crate::ports::RequestMeta;
use crate::store::{AuditReader, StoreError, StoredEntry, WriteOutcome};

/// A day, in seconds.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Selects audit entries; an unset field matches every entry.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// The user.
    pub user_id: Option<Id>,
    /// The action.
    pub action: Option<String>,
    /// The outcome.
    pub outcome: Option<String>,
    /// The client's address.
    pub client_address: Option<String>,
    /// The request.
    pub request_id: Option<Id>,
    /// The session.
    pub session_id: Option<Id>,
}

/// An integrity violation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// A row holds no entry or is stored at the wrong place.
    Unreadable(String),
    /// An entry was altered, or no host wrote it.
    Altered(Id),
    /// The day is closed, and the shard has no seal: it was never sealed, or the seal was removed.
    Unsealed,
    /// The seal carries no valid MAC of a host.
    FalseSeal,
    /// The shard was sealed with more entries than it holds: entries were removed.
    Removed(u64),
    /// The shard holds more entries than it was sealed with: entries were added.
    Added(u64),
    /// The number of entries matches the seal, the entries differ.
    Exchanged,
}

/// A finding and its location.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocatedFinding {
    /// The first second of the day.
    pub day: UnixTime,
    /// The shard.
    pub shard: u32,
    /// The finding.
    pub finding: Finding,
}

/// The result of verifying one or more days.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VerifyReport {
    /// The number of verified entries.
    pub lines: u64,
    /// The number of shards of days that match their seal.
    pub sealed: u64,
    /// The number of shards of days that are still open. An entry removed from an open day is not
    /// detected.
    pub open: u64,
    /// The findings, ordered by day and shard.
    pub found: Vec<LocatedFinding>,
}

impl AuditFilter {
    fn fits(&self, line: &AuditEntry) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        is(self.user_id.as_ref(), line.user_id.as_ref())
            && is(self.session_id.as_ref(), line.session_id.as_ref())
            && is(self.request_id.as_ref(), Some(&line.request_id))
            && is(self.action.as_ref(), Some(&line.action))
            && is(self.outcome.as_ref(), Some(&line.outcome))
            && is(self.client_address.as_ref(), Some(&line.client_address))
    }
}

/// The days from that of `from` to that of `to`, each as its first second.
pub fn days(from: UnixTime, to: UnixTime) -> impl Iterator<Item = UnixTime> {
    let first = start_of_day(from);
    core::iter::successors(Some(first), |day| Some(day.plus(DAY))).take_while(move |day| *day <= to)
}

/// The first second of the day of `moment`.
fn start_of_day(moment: UnixTime) -> UnixTime {
    UnixTime::of_day(&moment.day()).unwrap_or(moment)
}

/// Whether a day has closed since the last sealed day, which began at `sealed`.
pub fn is_due(sealed: UnixTime, now: UnixTime) -> bool {
    let next = start_of_day(sealed).plus(DAY);
    is_closed(next, now)
}

/// The entries of a day that match `filter`, ordered by time.
///
/// # Errors
///
/// [`StoreError`].
pub async fn read(
    day: UnixTime,
    filter: &AuditFilter,
    store: &impl AuditReader,
) -> Result<Vec<AuditEntry>, StoreError> {
    let mut lines = Vec::new();
    for shard in 0..store.audit_shards() {
        for kept in store.audit_lines(day, shard).await? {
            match kept {
                StoredEntry::Line(line) if filter.fits(&line) => lines.push(*line),
                // `verify` reports a row that holds no entry.
                StoredEntry::Line(_) | StoredEntry::Unreadable(_) => {}
            }
        }
    }
    lines.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    Ok(lines)
}

/// The outcome of sealing a day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum SealOutcome {
    /// The day is sealed; this many of its shards were sealed now.
    Sealed(u32),
    /// The day is still open, and entries may be added.
    Open,
}

/// Seals every unsealed shard of `day`. Idempotent: the first seal stays.
///
/// # Errors
///
/// [`StoreError`]; shards sealed before the error stay sealed.
pub async fn seal(
    day: UnixTime,
    store: &impl AuditReader,
    root_keys: &RootKeys,
    call: &RequestMeta,
) -> Result<SealOutcome, StoreError> {
    if !is_closed(day, call.now) {
        return Ok(SealOutcome::Open);
    }
    let mut sealed: u32 = 0;
    for shard in 0..store.audit_shards() {
        if store.audit_digest(day, shard).await?.is_some() {
            continue;
        }
        let codes = codes(&store.audit_lines(day, shard).await?);
        let digest = AuditDigest::seal(day, shard, &codes, call.now, root_keys);
        match store.keep_digest(&digest, &call.request_id).await? {
            WriteOutcome::Applied => sealed = sealed.saturating_add(1),
            WriteOutcome::Conflict => {}
        }
    }
    Ok(SealOutcome::Sealed(sealed))
}

/// Verifies one day and adds the findings to `review`.
///
/// # Errors
///
/// [`StoreError`]; the day is not verified then.
pub async fn review(
    day: UnixTime,
    store: &impl AuditReader,
    root_keys: &RootKeys,
    now: UnixTime,
    review: &mut VerifyReport,
) -> Result<(), StoreError> {
    for shard in 0..store.audit_shards() {
        let kept = store.audit_lines(day, shard).await?;
        let digest = store.audit_digest(day, shard).await?;
        let mut findings: Vec<_> = kept
            .iter()
            .filter_map(|kept| check_entry(kept, root_keys))
            .collect();
        review.lines = review.lines.saturating_add(length(&kept));
        match digest {
            Some(digest) => {
                findings.extend(compare(&digest, &kept, root_keys));
                review.sealed = review.sealed.saturating_add(1);
            }
            None if is_closed(day, now) => findings.push(Finding::Unsealed),
            None => review.open = review.open.saturating_add(1),
        }
        let found = findings.into_iter().map(|finding| LocatedFinding {
            day,
            shard,
            finding,
        });
        review.found.extend(found);
    }
    Ok(())
}

fn check_entry(kept: &StoredEntry, root_keys: &RootKeys) -> Option<Finding> {
    match kept {
        StoredEntry::Unreadable(place) => Some(Finding::Unreadable(place.clone())),
        StoredEntry::Line(line) if line.is_genuine(root_keys) => None,
        StoredEntry::Line(line) => Some(Finding::Altered(line.id.clone())),
    }
}

fn compare(digest: &AuditDigest, kept: &[StoredEntry], root_keys: &RootKeys) -> Option<Finding> {
    if !digest.is_genuine(root_keys) {
        return Some(Finding::FalseSeal);
    }
    let codes = codes(kept);
    let (sealed, there) = (digest.lines, length(kept));
    if digest.covers(&codes) {
        None
    } else if there < sealed {
        Some(Finding::Removed(sealed.saturating_sub(there)))
    } else if there > sealed {
        Some(Finding::Added(there.saturating_sub(sealed)))
    } else {
        Some(Finding::Exchanged)
    }
}

/// The input of a digest: the MAC of each entry. A row that holds no entry counts with its place.
fn codes(kept: &[StoredEntry]) -> Vec<Vec<u8>> {
    let code = |kept: &StoredEntry| match kept {
        StoredEntry::Line(line) => line.code.clone(),
        StoredEntry::Unreadable(place) => place.clone().into_bytes(),
    };
    kept.iter().map(code).collect()
}

fn length(kept: &[StoredEntry]) -> u64 {
    u64::try_from(kept.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_days_includes_the_first_and_the_last() {
        let noon = UnixTime::from_secs(1_795_435_200);
        let names = |from, to| days(from, to).map(UnixTime::day).collect::<Vec<_>>();
        assert_eq!(names(noon, noon), ["2026-11-23"]);
        assert_eq!(
            names(noon.minus(DAY), noon.plus(DAY)),
            ["2026-11-22", "2026-11-23", "2026-11-24"]
        );
        assert!(names(noon, noon.minus(DAY)).is_empty());
    }
}
