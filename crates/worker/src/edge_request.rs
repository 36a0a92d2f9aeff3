//! One request at an isolate: the objects that are valid only for this request.

use core::time::Duration;
use std::rc::Rc;

use js_sys::futures::{JsFuture, future_to_promise};
use portcullis_aws::dependency::Dependency;
use portcullis_core::breaker::BreakerState;
use portcullis_core::gate::Gate;
use portcullis_core::route::Requirement;
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_service::edge::authorize;
use portcullis_service::edge::snapshot_cache::SnapshotCache;
use portcullis_service::ports::{Clock, SignatureVerifier};
use portcullis_service::snapshot::Keys;
use wasm_bindgen::JsValue;
use worker::{Context, Delay};

use crate::clock::now;
use crate::isolate::Isolate;

/// One request at an isolate.
#[derive(Debug)]
pub struct EdgeRequest<'r> {
    /// The state that outlives the request.
    pub isolate: Rc<Isolate>,
    /// The context that keeps background work running after the response.
    pub context: &'r Context,
}

impl authorize::EdgeRequest for EdgeRequest<'_> {
    fn gate(&self) -> &Gate {
        self.isolate.gate()
    }

    fn snapshot_cache(&self) -> &SnapshotCache {
        self.isolate.snapshot_cache()
    }

    fn signatures(&self) -> &impl SignatureVerifier {
        self.isolate.signatures()
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
        // In the background, so that a disconnected client takes no lease and no probe of the
        // breaker with it.
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

    fn on_authorized(&self, requirement: &Requirement, snapshot: &Snapshot) {
        let isolate = &self.isolate;
        let (gate, metrics) = (isolate.gate(), isolate.metrics());
        metrics.admitted(gate, requirement, snapshot, now());
    }
}

impl Clock for EdgeRequest<'_> {
    fn now(&self) -> UnixTime {
        now()
    }
}
