//! Sends signed requests: each adapter implements it with the HTTP client of its platform.
//!
//! The transport owns everything that needs a clock or a socket: timeouts, keep-alive connections,
//! and sleeping between attempts. It never retries and never follows redirects.

use core::time::Duration;

use bytes::Bytes;
use portcullis_core::breaker::BreakerState;
use thiserror::Error;

use crate::dependency::Dependency;

/// The longest response a transport should read, in bytes.
///
/// A page of a `Query` holds 1 MB of items, and JSON turns each byte into at most six.
pub const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// The cause of a network failure, as reported by the platform's HTTP client.
pub type Cause = Box<dyn core::error::Error + Send + Sync>;

/// Sends one signed request and returns the complete response.
#[expect(
    async_fn_in_trait,
    reason = "each adapter names its own transport, so Send is inferred there"
)]
pub trait Transport {
    /// Sends `request` once, unchanged, and waits for the complete response.
    ///
    /// Redirects are returned as responses. At most [`MAX_ANSWER_BYTES`] are read.
    ///
    /// # Errors
    ///
    /// [`TransportError`] if no complete response arrived within the transport's own timeout.
    async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, TransportError>;

    /// Waits between two attempts.
    async fn sleep(&self, span: Duration);

    /// The time since a fixed moment, used only by circuit breakers. It continues while the
    /// platform has frozen the process, and may go backwards when the platform sets its clock.
    fn elapsed(&self) -> Duration;

    /// Logs for the operator that the breaker of `dependency` has changed its state to `standing`.
    fn on_breaker_change(&self, dependency: Dependency, standing: BreakerState);
}

/// No complete response arrived.
#[derive(Debug, Error)]
pub enum TransportError {
    /// The connection failed: the request was not sent.
    #[error("the connection failed")]
    Connect(#[source] Cause),
    /// The response did not arrive in time.
    #[error("no response arrived in time")]
    Timeout,
    /// The connection broke after sending had started.
    #[error("the connection broke before the response was complete")]
    Broken(#[source] Cause),
    /// The response is longer than [`MAX_ANSWER_BYTES`].
    #[error("the response is too long")]
    TooLong,
}

impl TransportError {
    /// Whether the request may have reached the server and so may have executed.
    pub const fn may_have_arrived(&self) -> bool {
        match self {
            Self::Connect(_) => false,
            Self::Timeout | Self::Broken(_) | Self::TooLong => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failed_connection_excludes_that_the_request_executed() {
        assert!(!TransportError::Connect("refused".into()).may_have_arrived());
        assert!(TransportError::Broken("reset".into()).may_have_arrived());
        assert!(TransportError::Timeout.may_have_arrived());
        assert!(TransportError::TooLong.may_have_arrived());
    }
}
