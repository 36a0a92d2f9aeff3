//! The metrics of an isolate: at most once a minute, at a request, one log entry, and the same
//! numbers as a data point if an Analytics Engine dataset is bound.
//!
//! Unsent metrics are lost when the isolate is evicted; the maximum ages matter most.

use core::cell::Cell;
use core::time::Duration;

use js_sys::{Array, Function, Object, Reflect};
use portcullis_aws::breakers::CallStats;
use portcullis_aws::capacity::Consumed;
use portcullis_aws::client::Client;
use portcullis_aws::dependency::Dependency;
use portcullis_core::gate::Gate;
use portcullis_core::route::{Requirement, RevocationMode};
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::Env;

use crate::transport::FetchTransport;

const EVERY: Duration = Duration::from_secs(60);

/// The binding's name in `wrangler.toml` (`[[analytics_engine_datasets]]`).
const BINDING: &str = "METRICS";

/// The counts since the last emission.
#[derive(Debug, Default)]
pub struct Metrics {
    reported_at: Cell<UnixTime>,
    counts: Cell<Counts>,
    reported: Cell<(CallStats, Consumed)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    admitted: u64,
    served_stale: u64,
    revocations_age: u64,
    keys_age: u64,
    readings: u64,
    readings_failed: u64,
    look_ups: u64,
}

impl Metrics {
    /// Empty metrics that start at `now`.
    pub fn since(now: UnixTime) -> Self {
        Self {
            reported_at: Cell::new(now),
            ..Self::default()
        }
    }

    /// Records a token that was accepted at `now` on the basis of `snapshot`.
    pub fn admitted(
        &self,
        gate: &Gate,
        requirement: &Requirement,
        snapshot: &Snapshot,
        now: UnixTime,
    ) {
        let mut counts = self.counts.get();
        let policy = gate.policy();
        let keys_age = now.since(snapshot.keys_read_at());
        // A token with a lookup was not accepted on the basis of the snapshot's revocations.
        let age = match requirement.revocation {
            RevocationMode::Feed => snapshot.age(now),
            RevocationMode::Lookup => Duration::ZERO,
        };
        if age > policy.revocations.hard || keys_age > policy.keys.hard {
            counts.served_stale = counts.served_stale.saturating_add(1);
        }
        counts.admitted = counts.admitted.saturating_add(1);
        counts.keys_age = counts.keys_age.max(keys_age.as_secs());
        counts.revocations_age = counts.revocations_age.max(age.as_secs());
        self.counts.set(counts);
    }

    /// Records a complete or failed refresh of the snapshot.
    pub fn read(&self, whole: bool) {
        let mut counts = self.counts.get();
        counts.readings = counts.readings.saturating_add(1);
        counts.readings_failed = counts.readings_failed.saturating_add(u64::from(!whole));
        self.counts.set(counts);
    }

    /// Records a revocation lookup of a token.
    pub fn looked_up(&self) {
        let mut counts = self.counts.get();
        counts.look_ups = counts.look_ups.saturating_add(1);
        self.counts.set(counts);
    }

    /// Emits all metrics if the last emission is a minute ago. `names` is the number of revoked
    /// identifiers in the snapshot. `clients` read the snapshot and look up revocations.
    pub fn emit(
        &self,
        env: &Env,
        clients: [&Client<FetchTransport>; 2],
        names: usize,
        now: UnixTime,
    ) {
        let span = now.since(self.reported_at.get());
        if span < EVERY {
            return;
        }
        self.reported_at.set(now);
        let [(state, stats), (lookup_state, lookup_stats)] =
            clients.map(|client| client.state(Dependency::DynamoDb));
        let stats = stats.plus(lookup_stats);
        let [consumed, by_lookups] = clients.map(Client::consumed);
        let consumed = consumed.plus(by_lookups);
        let counts = self.counts.take();
        let (before, consumed_before) = self.reported.replace((stats, consumed));
        let numbers = [
            ("seconds", span.as_secs()),
            ("admitted", counts.admitted),
            ("served_stale", counts.served_stale),
            ("revocations_age_max", counts.revocations_age),
            ("keys_age_max", counts.keys_age),
            ("names", u64::try_from(names).unwrap_or(u64::MAX)),
            ("readings", counts.readings),
            ("readings_failed", counts.readings_failed),
            ("look_ups", counts.look_ups),
            ("calls", stats.sent.saturating_sub(before.sent)),
            ("failures", stats.failed.saturating_sub(before.failed)),
            ("refused", stats.refused.saturating_sub(before.refused)),
            (
                "read_half_units",
                consumed.since(consumed_before).read_halves,
            ),
            (
                "breaker",
                u64::from(state.level().max(lookup_state.level())),
            ),
        ];
        let mut line = String::from(r#"{"event":"metrics""#);
        let doubles = Array::new();
        for (name, number) in numbers {
            line.push_str(r#",""#);
            line.push_str(name);
            line.push_str(r#"":"#);
            line.push_str(&number.to_string());
            doubles.push(&JsValue::from(narrowed(number)));
        }
        line.push('}');
        worker::console_log!("{line}");
        // A failing dataset must not reject requests.
        let _ = write(env, &doubles);
    }
}

/// A data point of the Analytics Engine.
fn narrowed(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Called by name and without a binding class: its name is an internal detail of the platform.
fn write(env: &Env, doubles: &Array) -> Result<(), JsValue> {
    let binding = Reflect::get(env, &BINDING.into())?;
    if binding.is_undefined() {
        return Ok(());
    }
    let write: Function = Reflect::get(&binding, &"writeDataPoint".into())?.dyn_into()?;
    let point = Object::new();
    Reflect::set(&point, &"doubles".into(), doubles)?;
    write.call1(&binding, &point)?;
    Ok(())
}
