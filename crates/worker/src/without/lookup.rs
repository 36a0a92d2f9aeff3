//! A build without revocation lookups: no token passes that the snapshot leaves undecided.

use portcullis_core::revocation::{Revocations, TokenIds};
use portcullis_core::route::Requirement;
use portcullis_core::snapshot::Snapshot;
use portcullis_service::edge::authorize::Lookup;
use portcullis_service::store::StoreError;
use thiserror::Error;

use crate::edge_request::EdgeRequest;
use crate::isolate::log_error;

#[derive(Debug, Error)]
#[error("this build does not have the feature lookup")]
struct NotBuilt;

impl Lookup for EdgeRequest<'_> {
    // SECURITY: fails closed. The snapshot alone cannot tell whether this token is revoked.
    async fn look_up(
        &self,
        _requirement: &Requirement,
        _snapshot: &Snapshot,
        _token: TokenIds<'_>,
    ) -> Result<Revocations, StoreError> {
        let error = StoreError::new("looking up revocations", NotBuilt);
        log_error("the revocation lookup of a token failed", &error);
        Err(error)
    }
}
