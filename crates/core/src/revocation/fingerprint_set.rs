//! Names called back, 32 bits each: what is not in it was not called back, what is in it may be.

use crate::time::UnixTime;

use super::fingerprint::Fingerprint;

/// The first 32 bits of names, in order, each once.
///
/// A million of them are 4 MB, and one name in four thousand that is not among them looks as if
/// it were; a sorted list that can be merged, and that costs 17 steps to look through, was worth
/// more than the two thirds a filter would save.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct FingerprintSet {
    shorts: Vec<u32>,
    /// When none of its names matters any more.
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

    /// Takes shorts that are in order, each once.
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

    /// Lets its names matter until `end` at the latest.
    pub(super) fn end_by(&mut self, end: UnixTime) {
        self.until = self.until.min(end);
    }

    pub(super) fn may_contain(&self, name: Fingerprint) -> bool {
        self.shorts.binary_search(&name.short()).is_ok()
    }

    /// Both, for the longer time.
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
