//! An isolate as one request meets it: what may be used for this request only.

use core::time::Duration;
use std::rc::Rc;

use js_sys::futures::{JsFuture, future_to_promise};
use portcullis_aws::breakers::Way;
use portcullis_core::breaker::Standing;
use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::route::{Requirement, RevocationMode};
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;
use portcullis_service::edge;
use portcullis_service::guard;
use portcullis_service::knowledge::Knowledge;
use portcullis_service::snapshot::Keys;
use wasm_bindgen::JsValue;
use worker::{Context, Delay};

use crate::clock::{PlatformClock, now};
use crate::doubts::Rows;
use crate::isolate::Isolate;

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

    fn knowledge(&self) -> &Knowledge {
        self.isolate.knowledge()
    }

    fn now(&self) -> UnixTime {
        now()
    }

    fn store_is_away(&self) -> bool {
        self.isolate.client().state(Way::DynamoDb).0 != Standing::Closed
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
