//! Revocation lookups: reads the rows of one token, or their cached result.

use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_core::revocation::{Revocations, TokenIds};
use portcullis_core::route::{Requirement, RevocationMode};
use portcullis_core::snapshot::Snapshot;
use portcullis_service::edge::authorize::Lookup;
use portcullis_service::store::{RevocationStore as _, StoreError};

use crate::clock::now;
use crate::edge_request::EdgeRequest;
use crate::isolate::log_error;

impl Lookup for EdgeRequest<'_> {
    async fn look_up(
        &self,
        requirement: &Requirement,
        snapshot: &Snapshot,
        token: TokenIds<'_>,
    ) -> Result<Revocations, StoreError> {
        let isolate = &self.isolate;
        // A result is cached for the fingerprint sets that left the token undecided. A route with a
        // lookup for every request never reads the cache.
        let undecided_by = match requirement.revocation {
            RevocationMode::Feed => Some(snapshot.revocations().fingerprint_sets()),
            RevocationMode::Lookup => None,
        };
        let cache = isolate.lookup_cache();
        if let Some(found) = undecided_by.and_then(|sets| cache.find(sets, token)) {
            return Ok(found);
        }
        isolate.metrics().looked_up();
        let store = DynamoStore::at(isolate.lookup_client(), now());
        let found = store.revocations_of(token).await;
        match &found {
            Ok(found) => {
                if let Some(sets) = undecided_by {
                    cache.keep(sets, token, found);
                }
            }
            Err(error) => log_error("the revocation lookup of a token failed", error),
        }
        found
    }
}
