//! An isolate as one request meets it: what may be used for this request only.

use core::time::Duration;
use std::rc::Rc;

use js_sys::futures::{JsFuture, future_to_promise};
use portcullis_aws::breakers::Dependency;
use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_core::breaker::Standing;
use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::revocation::{FingerprintSets, Revocable, Revocations};
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
use crate::isolate::{Isolate, report};

/// One request at an isolate.
#[derive(Debug)]
pub struct Visit<'r> {
    /// What outlives it.
    pub isolate: Rc<Isolate>,
    /// What keeps work alive that its answer does not wait for.
    pub context: &'r Context,
}

impl edge::Visit for Visit<'_> {
    fn gate(&self) -> &Gate {
        self.isolate.gate()
    }

    fn knowledge(&self) -> &SnapshotCache {
        self.isolate.knowledge()
    }

    fn now(&self) -> UnixTime {
        now()
    }

    fn store_is_away(&self) -> bool {
        self.isolate.client().state(Dependency::DynamoDb).0 != Standing::Closed
    }

    async fn sleep(&self, span: Duration) {
        Delay::from(span).await;
    }

    async fn read(&self, keys: Keys, began_at: UnixTime) {
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

    fn read_behind(&self, began_at: UnixTime) {
        let isolate = Rc::clone(&self.isolate);
        self.context
            .wait_until(async move { isolate.refresh(Keys::WhenDue, began_at).await });
    }

    /// The clock is read again here: a reading before may have taken its time.
    async fn judge(
        &self,
        need: &Requirement,
        token: &str,
        world: &Snapshot,
    ) -> Result<Verified<Claims>, Denial> {
        let isolate = &self.isolate;
        let rows = Rows {
            isolate,
            now: now(),
            sieves: match need.revocation {
                RevocationMode::Feed => Some(world.revocations().sieves()),
                RevocationMode::Lookup => None,
            },
        };
        let (gate, signatures) = (isolate.gate(), isolate.signatures());
        let clock = &PlatformClock;
        let admitted = guard::admit(gate, need, token, world, signatures, &rows, clock).await?;
        isolate.metrics().admitted(gate, need, world, now());
        Ok(admitted)
    }
}

/// Reads a token's own rows for one request.
#[derive(Debug)]
struct Rows<'r> {
    /// What reaches the store, and what it has said before.
    isolate: &'r Isolate,
    /// When the request came.
    now: UnixTime,
    /// The sieves that leave doubts, which may have been settled before; none where the route wants a
    /// look-up for each request.
    sieves: Option<&'r FingerprintSets>,
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
            Err(error) => report("a token could not be looked up", error),
        }
        found
    }
}
