//! Metrics, as lines that CloudWatch reads out of the log: the [embedded metric format].
//!
//! A change of a circuit breaker is one line at once; what went over each way is one line a minute,
//! as long as there is anything to tell. What may be frozen as soon as it has answered, and not be
//! asked again for hours, tells it at the end of each run instead.
//!
//! [embedded metric format]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use portcullis_aws::breakers::CallStats;
use portcullis_core::breaker::BreakerState;
use portcullis_core::time::UnixTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber, info, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// What marks an event as a line of metrics.
pub(crate) const TARGET: &str = "portcullis_metrics";

/// How often what went over each way is told.
const EVERY: Duration = Duration::from_secs(60);

/// What packing the revocation feed is called.
const FEED: &str = "revocation_feed";

/// Tells that the breaker of `name` stands differently: one line for people, one for CloudWatch.
pub(crate) fn breaker_changed(name: &str, standing: BreakerState, now: UnixTime) {
    match standing {
        BreakerState::Open => warn!(
            service = name,
            "the circuit breaker is open: calls are refused at once"
        ),
        BreakerState::HalfOpen => {
            info!(service = name, "the circuit breaker is half open: probing");
        }
        BreakerState::Closed => info!(service = name, "the circuit breaker is closed: all is well"),
    }
    emit(&line(
        name,
        now,
        &[("BreakerState", "None", u64::from(standing.level()))],
    ));
}

/// Tells how far packing the revocation feed lags behind, if it is known up to where it is packed.
pub(crate) fn pack_lag(packed_until: UnixTime, now: UnixTime) {
    if packed_until > UnixTime::default() {
        let lag = now.since(packed_until).as_secs();
        emit(&line(FEED, now, &[("PackLag", "Seconds", lag)]));
    }
}

/// The name of a dependency, the state of its breaker and its calls.
pub type DependencyState = (&'static str, (BreakerState, CallStats));

/// What was told last of each dependency, and when.
#[derive(Debug, Default)]
pub struct Report(Mutex<(UnixTime, BTreeMap<&'static str, CallStats>)>);

impl Report {
    /// Tells what went over the ways of the dependencies since it was told last, if that is a minute ago.
    pub fn flush(&self, dependencies: impl Iterator<Item = DependencyState>, now: UnixTime) {
        self.flush_every(EVERY, dependencies, now);
    }

    /// Tells it now.
    pub fn flush_now(&self, dependencies: impl Iterator<Item = DependencyState>, now: UnixTime) {
        self.flush_every(Duration::ZERO, dependencies, now);
    }

    fn flush_every(
        &self,
        span: Duration,
        dependencies: impl Iterator<Item = DependencyState>,
        now: UnixTime,
    ) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, tallies) = &mut *told;
        if now.since(*at) < span {
            return;
        }
        *at = now;
        for (name, (standing, tally)) in dependencies {
            let told = tallies.insert(name, tally).unwrap_or_default();
            if tally != told {
                emit(&line(name, now, &news(standing, tally, told)));
            }
        }
    }
}

/// What has come to `tally` since `told`.
fn news(
    standing: BreakerState,
    tally: CallStats,
    told: CallStats,
) -> [(&'static str, &'static str, u64); 4] {
    let more = |now: u64, then: u64| now.saturating_sub(then);
    [
        ("Calls", "Count", more(tally.sent, told.sent)),
        ("Failures", "Count", more(tally.failed, told.failed)),
        ("Refused", "Count", more(tally.refused, told.refused)),
        ("BreakerState", "None", u64::from(standing.level())),
    ]
}

/// One line of the format. All names are ours, so nothing in them needs an escape.
fn line(service: &str, now: UnixTime, metrics: &[(&str, &str, u64)]) -> String {
    let defined: Vec<String> = metrics
        .iter()
        .map(|(name, unit, _)| format!(r#"{{"Name":"{name}","Unit":"{unit}"}}"#))
        .collect();
    let values: String = metrics
        .iter()
        .map(|(name, _, value)| format!(r#","{name}":{value}"#))
        .collect();
    let millis = now.as_secs().saturating_mul(1_000);
    let defined = defined.join(",");
    format!(
        r#"{{"_aws":{{"Timestamp":{millis},"CloudWatchMetrics":[{{"Namespace":"Portcullis","Dimensions":[["Dependency"]],"Metrics":[{defined}]}}]}},"Dependency":"{service}"{values}}}"#
    )
}

fn emit(line: &str) {
    info!(target: TARGET, line);
}

/// Writes lines of metrics to standard output as they are: beside the log's, in no frame of its.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetricLines;

impl<S: Subscriber> Layer<S> for MetricLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == TARGET {
            event.record(&mut Print);
        }
    }
}

struct Print;

impl Visit for Print {
    fn record_str(&mut self, _: &Field, line: &str) {
        // Whoever closed standard output wants no metrics.
        let _ = writeln!(io::stdout().lock(), "{line}");
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_line_has_the_form_that_cloudwatch_reads() {
        let now = UnixTime::from_secs(1_795_435_200);
        let line = line(
            "dynamodb",
            now,
            &[("Calls", "Count", 7), ("BreakerState", "None", 2)],
        );
        let line: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(
            line,
            json!({
                "_aws": {
                    "Timestamp": 1_795_435_200_000_u64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Portcullis",
                        "Dimensions": [["Dependency"]],
                        "Metrics": [
                            {"Name": "Calls", "Unit": "Count"},
                            {"Name": "BreakerState", "Unit": "None"},
                        ],
                    }],
                },
                "Dependency": "dynamodb",
                "Calls": 7,
                "BreakerState": 2,
            })
        );
    }
}
