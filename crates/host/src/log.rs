//! One JSON line per event, on standard output. Types that hold a secret do not print it.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer as _, fmt};

use crate::metrics::{self, MetricLines};

/// Logs from `level` up, for the life of the process. Libraries log from warnings up: at finer
/// levels some print the data they send.
///
/// # Errors
///
/// [`TryInitError`] if this process already has a logger.
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
