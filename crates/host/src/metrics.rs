//! Metrics as log lines in CloudWatch's [embedded metric format].
//!
//! A change of a circuit breaker is logged at once. Call statistics are logged once a minute if
//! they changed. A Lambda may be frozen after its response for hours, so it logs them at the end of
//! each run.
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

/// The target of events that are metrics.
pub(crate) const TARGET: &str = "portcullis_metrics";

/// The interval between two lines of call statistics.
const EVERY: Duration = Duration::from_secs(60);

/// The dimension of the feed's packing lag.
const FEED: &str = "revocation_feed";

/// Logs a state change of the breaker `name`: one line for people, one for CloudWatch.
pub(crate) fn breaker_changed(name: &str, standing: BreakerState, now: UnixTime) {
    match standing {
        BreakerState::Open => warn!(
            service = name,
            "the circuit breaker is open: calls are refused at once"
        ),
        BreakerState::HalfOpen => {
            info!(service = name, "the circuit breaker is half open: probing");
        }
        BreakerState::Closed => info!(service = name, "the circuit breaker is closed: calls pass"),
    }
    emit(&line(
        name,
        now,
        &[("BreakerState", "None", u64::from(standing.level()))],
    ));
}

/// Logs the packing lag of the revocation feed, if the packed end is known.
pub(crate) fn pack_lag(packed_until: UnixTime, now: UnixTime) {
    if packed_until > UnixTime::default() {
        let lag = now.since(packed_until).as_secs();
        emit(&line(FEED, now, &[("PackLag", "Seconds", lag)]));
    }
}

/// The name of a dependency, the state of its breaker and its calls.
pub type DependencyState = (&'static str, (BreakerState, CallStats));

/// The statistics last logged for each dependency, and the time.
#[derive(Debug, Default)]
pub struct MetricsReport(Mutex<(UnixTime, BTreeMap<&'static str, CallStats>)>);

impl MetricsReport {
    /// Logs the call statistics since the last line, if that is a minute old.
    pub fn flush(&self, dependencies: impl Iterator<Item = DependencyState>, now: UnixTime) {
        self.flush_every(EVERY, dependencies, now);
    }

    /// Logs the call statistics now.
    pub fn flush_now(&self, dependencies: impl Iterator<Item = DependencyState>, now: UnixTime) {
        self.flush_every(Duration::ZERO, dependencies, now);
    }

    fn flush_every(
        &self,
        span: Duration,
        dependencies: impl Iterator<Item = DependencyState>,
        now: UnixTime,
    ) {
        let mut reported = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, tallies) = &mut *reported;
        if now.since(*at) < span {
            return;
        }
        *at = now;
        for (name, (standing, tally)) in dependencies {
            let reported = tallies.insert(name, tally).unwrap_or_default();
            if tally != reported {
                emit(&line(name, now, &news(standing, tally, reported)));
            }
        }
    }
}

/// The difference between `tally` and `reported`.
fn news(
    standing: BreakerState,
    tally: CallStats,
    reported: CallStats,
) -> [(&'static str, &'static str, u64); 4] {
    let more = |now: u64, then: u64| now.saturating_sub(then);
    [
        ("Calls", "Count", more(tally.sent, reported.sent)),
        ("Failures", "Count", more(tally.failed, reported.failed)),
        ("Refused", "Count", more(tally.refused, reported.refused)),
        ("BreakerState", "None", u64::from(standing.level())),
    ]
}

/// One line of the format. All names are constants, so none needs an escape.
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

/// Writes metric lines to standard output without the frame of the log.
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
        // A closed standard output is ignored.
        let _ = writeln!(io::stdout().lock(), "{line}");
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_metric_line_has_the_embedded_metric_format() {
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
