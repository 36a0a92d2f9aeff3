//! Doubts about tokens, settled by their own rows.

use std::cell::RefCell;
use std::collections::VecDeque;

use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_core::revocation::{Revocable, Revocations, Sieves};
use portcullis_core::time::UnixTime;
use portcullis_service::guard::Lookup;
use portcullis_service::store::{RevocationStore as _, StoreError};

use crate::isolate::Isolate;

/// How many answers an isolate keeps.
const KEPT: usize = 256;

/// What the rows said of tokens that were in doubt.
///
/// INVARIANT: an answer holds as long as the sieves that raised the doubt are the same: whatever
/// is called back later is known whole until it is sifted, and that makes other sieves.
#[derive(Debug, Default)]
pub struct Settled {
    sieves: RefCell<Sieves>,
    answers: RefCell<VecDeque<(u128, Revocations)>>,
}

impl Settled {
    fn find(&self, sieves: &Sieves, token: Revocable<'_>) -> Option<Revocations> {
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

    fn keep(&self, sieves: &Sieves, token: Revocable<'_>, found: &Revocations) {
        let mut answers = self.answers.borrow_mut();
        if !self.sieves.borrow().are(sieves) {
            answers.clear();
            self.sieves.replace(sieves.clone());
        }
        answers.truncate(KEPT.saturating_sub(1));
        answers.push_front((token.digest(), found.clone()));
    }
}

/// Reads a token's own rows for one request.
#[derive(Debug)]
pub struct Rows<'r> {
    /// What reaches the store, and what it has said before.
    pub isolate: &'r Isolate,
    /// When the request came.
    pub now: UnixTime,
    /// The sieves that leave doubts, which may have been settled before; none where the route wants a
    /// look-up for each request.
    pub sieves: Option<&'r Sieves>,
}

impl Lookup for Rows<'_> {
    async fn look_up(&self, token: Revocable<'_>) -> Result<Revocations, StoreError> {
        let settled = self.isolate.settled();
        let known = self.sieves.and_then(|sieves| settled.find(sieves, token));
        if let Some(found) = known {
            return Ok(found);
        }
        self.isolate.metrics().looked_up();
        let store = DynamoStore::at(self.isolate.client(), self.now);
        let found = store.revocations_of(token).await;
        match &found {
            Ok(found) => {
                if let Some(sieves) = self.sieves {
                    settled.keep(sieves, token, found);
                }
            }
            Err(error) => crate::isolate::report("a token could not be looked up", error),
        }
        found
    }
}
