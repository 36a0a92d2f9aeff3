//! An isolate as one request meets it: what may be used for this request only.

use core::time::Duration;
use std::rc::Rc;

use js_sys::futures::{JsFuture, future_to_promise};
use portcullis_aws::dependency::Dependency;
use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_core::breaker::BreakerState;
use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::revocation::{FingerprintSets, Revocations, TokenIds};
use portcullis_core::route::{Requirement, RevocationMode};
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;
use portcullis_service::edge;
use portcullis_service::guard::{self, Lookup};
use portcullis_service::snapshot::Keys;
use portcullis_service::snapshot_cache::SnapshotCache;
use portcullis_service::store::{RevocationStore as _, StoreError};
use wasm_bindgen::JsValue;
use worker::{Context, Delay};

use crate::clock::{PlatformClock, now};
use crate::isolate::{Isolate, log_error};

/// One request at an isolate.
#[derive(Debug)]
pub struct EdgeRequest<'r> {
    /// What outlives it.
    pub isolate: Rc<Isolate>,
    /// What keeps work alive that its answer does not wait for.
    pub context: &'r Context,
}

impl edge::EdgeRequest for EdgeRequest<'_> {
    fn gate(&self) -> &Gate {
        self.isolate.gate()
    }

    fn snapshot_cache(&self) -> &SnapshotCache {
        self.isolate.snapshot_cache()
    }

    fn now(&self) -> UnixTime {
        now()
    }

    fn store_unavailable(&self) -> bool {
        self.isolate.client().state(Dependency::DynamoDb).0 != BreakerState::Closed
    }

    async fn sleep(&self, span: Duration) {
        Delay::from(span).await;
    }

    async fn refresh(&self, keys: Keys, began_at: UnixTime) {
        let isolate = Rc::clone(&self.isolate);
        let reading = future_to_promise(async move {
            isolate.refresh(keys, began_at).await;
            Ok(JsValue::UNDEFINED)
        });
        let rest = JsFuture::from(reading.clone());
        // Whoever hangs up takes no claim and no probe of the breaker along.
        self.context.wait_until(async move {
            let _ = rest.await;
        });
        let _ = JsFuture::from(reading).await;
    }

    fn refresh_in_background(&self, began_at: UnixTime) {
        let isolate = Rc::clone(&self.isolate);
        self.context
            .wait_until(async move { isolate.refresh(Keys::WhenDue, began_at).await });
    }

    /// The clock is read again here: a reading before may have taken its time.
    async fn judge(
        &self,
        requirement: &Requirement,
        token: &str,
        snapshot: &Snapshot,
    ) -> Result<Verified<Claims>, Denial> {
        let isolate = &self.isolate;
        let rows = StoreLookup {
            isolate,
            now: now(),
            sieves: match requirement.revocation {
                RevocationMode::Feed => Some(snapshot.revocations().fingerprint_sets()),
                RevocationMode::Lookup => None,
            },
        };
        let (gate, signatures) = (isolate.gate(), isolate.signatures());
        let clock = &PlatformClock;
        let admitted =
            guard::verify_and_decide(gate, requirement, token, snapshot, signatures, &rows, clock)
                .await?;
        isolate
            .metrics()
            .admitted(gate, requirement, snapshot, now());
        Ok(admitted)
    }
}

/// Reads a token's own rows for one request.
#[derive(Debug)]
struct StoreLookup<'r> {
    /// What reaches the store, and what it has said before.
    isolate: &'r Isolate,
    /// When the request came.
    now: UnixTime,
    /// The sieves that leave doubts, which may have been settled before; none where the route wants a
    /// look-up for each request.
    sieves: Option<&'r FingerprintSets>,
}

impl Lookup for StoreLookup<'_> {
    async fn look_up(&self, token: TokenIds<'_>) -> Result<Revocations, StoreError> {
        let settled = self.isolate.lookup_cache();
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
            Err(error) => log_error("a token could not be looked up", error),
        }
        found
    }
}
