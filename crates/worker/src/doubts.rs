//! Doubts about tokens, settled by their own rows.

use std::cell::RefCell;
use std::collections::VecDeque;

use portcullis_aws::client::Client;
use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_core::revocation::{Revocable, Revocations, Sieves};
use portcullis_core::time::UnixTime;
use portcullis_service::guard::Lookup;
use portcullis_service::store::{RevocationStore as _, StoreError};

use crate::transport::FetchTransport;

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
pub struct Rows<'i> {
    /// What reaches the store.
    pub client: &'i Client<FetchTransport>,
    /// When the request came.
    pub now: UnixTime,
    /// Answers given before, for routes that leave it to the feed; none where the route wants a
    /// look-up for each request.
    pub settled: Option<(&'i Settled, &'i Sieves)>,
}

impl Lookup for Rows<'_> {
    async fn look_up(&self, token: Revocable<'_>) -> Result<Revocations, StoreError> {
        let settled = self.settled;
        if let Some(found) = settled.and_then(|(settled, sieves)| settled.find(sieves, token)) {
            return Ok(found);
        }
        let store = DynamoStore::at(self.client, self.now);
        let found = store.revocations_of(token).await;
        match &found {
            Ok(found) => {
                if let Some((settled, sieves)) = settled {
                    settled.keep(sieves, token, found);
                }
            }
            Err(error) => crate::isolate::report("a token could not be looked up", error),
        }
        found
    }
}
