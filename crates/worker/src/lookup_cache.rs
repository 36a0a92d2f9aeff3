//! Doubts about tokens, settled by their own rows.

use std::cell::RefCell;
use std::collections::VecDeque;

use portcullis_core::revocation::{FingerprintSets, Revocations, TokenIds};

/// How many answers an isolate keeps.
const CAPACITY: usize = 256;

/// What the rows said of tokens that were in doubt.
///
/// INVARIANT: an answer holds as long as the sieves that raised the doubt are the same: whatever
/// is called back later is known whole until it is sifted, and that makes other sieves.
#[derive(Debug, Default)]
pub struct LookupCache {
    sieves: RefCell<FingerprintSets>,
    answers: RefCell<VecDeque<(u128, Revocations)>>,
}

impl LookupCache {
    /// What the rows said of `token`, if that was asked while `sieves` were there.
    pub fn find(&self, sieves: &FingerprintSets, token: TokenIds<'_>) -> Option<Revocations> {
        if !self.sieves.borrow().are(sieves) {
            return None;
        }
        let answers = self.answers.borrow();
        let name = token.digest();
        answers
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, found)| found.clone())
    }

    /// Keeps what they say for as long as `sieves` are there.
    pub fn keep(&self, sieves: &FingerprintSets, token: TokenIds<'_>, found: &Revocations) {
        let mut answers = self.answers.borrow_mut();
        if !self.sieves.borrow().are(sieves) {
            answers.clear();
            self.sieves.replace(sieves.clone());
        }
        answers.truncate(CAPACITY.saturating_sub(1));
        answers.push_front((token.digest(), found.clone()));
    }
}
