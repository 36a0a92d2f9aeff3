//! A build without metrics: nothing is counted or reported.

use portcullis_aws::client::Client;
use portcullis_core::gate::Gate;
use portcullis_core::route::Requirement;
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use worker::Env;

use crate::transport::FetchTransport;

/// No metrics.
#[derive(Debug)]
pub struct Metrics;

impl Metrics {
    /// No metrics.
    pub const fn since(_now: UnixTime) -> Self {
        Self
    }

    /// Records nothing.
    pub const fn admitted(
        &self,
        _gate: &Gate,
        _requirement: &Requirement,
        _snapshot: &Snapshot,
        _now: UnixTime,
    ) {
    }

    /// Records nothing.
    pub const fn read(&self, _whole: bool) {}

    /// Records nothing.
    pub const fn looked_up(&self) {}

    /// Emits nothing.
    pub const fn emit(
        &self,
        _env: &Env,
        _clients: [&Client<FetchTransport>; 2],
        _names: usize,
        _now: UnixTime,
    ) {
    }
}
