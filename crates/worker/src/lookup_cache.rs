//! A cache of revocation lookups for tokens that the fingerprint sets leave undecided.

use std::cell::RefCell;
use std::collections::VecDeque;

use portcullis_core::revocation::{FingerprintSets, Revocations, TokenIds};

/// The maximum number of cached results in an isolate.
const CAPACITY: usize = 256;

/// The lookup results of undecided tokens.
///
/// INVARIANT: a result is valid while the fingerprint sets are the same. A later revocation stays
/// in the snapshot in full until it is compacted, which creates other sets.
#[derive(Debug, Default)]
pub struct LookupCache {
    filters: RefCell<FingerprintSets>,
    answers: RefCell<VecDeque<(u128, Revocations)>>,
}

impl LookupCache {
    /// The cached result for `token`, if it was stored with the same `filters`.
    pub fn find(&self, filters: &FingerprintSets, token: TokenIds<'_>) -> Option<Revocations> {
        if !self.filters.borrow().are(filters) {
            return None;
        }
        let answers = self.answers.borrow();
        let name = token.digest();
        answers
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, found)| found.clone())
    }

    /// Stores the result for as long as `filters` stay the same.
    pub fn keep(&self, filters: &FingerprintSets, token: TokenIds<'_>, found: &Revocations) {
        let mut answers = self.answers.borrow_mut();
        if !self.filters.borrow().are(filters) {
            answers.clear();
            self.filters.replace(filters.clone());
        }
        answers.truncate(CAPACITY.saturating_sub(1));
        answers.push_front((token.digest(), found.clone()));
    }
}
