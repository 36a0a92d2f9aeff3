//! Revoked identifiers, 32 bits each. A miss proves that an identifier is not revoked; a hit means
//! that it may be.

use crate::time::UnixTime;

use super::fingerprint::Fingerprint;

/// The first 32 bits of fingerprints, sorted and without duplicates.
///
/// A million of them take 4 MB, with a false-positive rate of one in four thousand. A sorted list
/// merges easily and a lookup takes 17 steps; a filter would save two thirds of the memory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct FingerprintSet {
    shorts: Vec<u32>,
    /// The time when the last of its revocations expires.
    until: UnixTime,
}

impl FingerprintSet {
    pub(super) fn new(names: impl IntoIterator<Item = Fingerprint>, until: UnixTime) -> Self {
        let mut shorts: Vec<u32> = names.into_iter().map(Fingerprint::short).collect();
        shorts.sort_unstable();
        shorts.dedup();
        shorts.shrink_to_fit();
        Self { shorts, until }
    }

    /// Creates a set from prefixes that are sorted and without duplicates.
    pub(super) const fn from_sorted(shorts: Vec<u32>, until: UnixTime) -> Self {
        Self { shorts, until }
    }

    pub(super) fn shorts(&self) -> &[u32] {
        &self.shorts
    }

    pub(super) fn len(&self) -> usize {
        self.shorts.len()
    }

    pub(super) const fn until(&self) -> UnixTime {
        self.until
    }

    /// Limits the expiry to `end`.
    pub(super) fn end_by(&mut self, end: UnixTime) {
        self.until = self.until.min(end);
    }

    pub(super) fn may_contain(&self, name: Fingerprint) -> bool {
        self.shorts.binary_search(&name.short()).is_ok()
    }

    /// The union of both, with the later expiry.
    pub(super) fn merge(&self, other: &Self) -> Self {
        let mut shorts = Vec::with_capacity(self.len().saturating_add(other.len()));
        let mut theirs = other.shorts.iter().copied().peekable();
        for own in self.shorts.iter().copied() {
            while let Some(lesser) = theirs.next_if(|short| *short < own) {
                shorts.push(lesser);
            }
            let _the_same = theirs.next_if_eq(&own);
            shorts.push(own);
        }
        shorts.extend(theirs);
        shorts.shrink_to_fit();
        Self {
            shorts,
            until: self.until.max(other.until),
        }
    }
}
