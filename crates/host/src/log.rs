//! One JSON line an event, on standard output. Nothing secret can be in one: what holds a secret
//! does not print.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer as _, fmt};

use crate::metrics::{self, MetricLines};

/// Logs from `level` up, for the life of the process. Libraries are heard from warnings up: at
/// finer levels some of them print what they send.
///
/// # Errors
///
/// [`TryInitError`] if something else in this process logs already.
pub fn init(level: LevelFilter) -> Result<(), TryInitError> {
    let ours = Targets::new()
        .with_target(metrics::TARGET, LevelFilter::OFF)
        .with_target("portcullis", level)
        .with_default(level.min(LevelFilter::WARN));
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false);
    tracing_subscriber::registry()
        .with(lines.with_filter(ours))
        .with(MetricLines)
        .try_init()
}
