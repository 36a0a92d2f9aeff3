//! What carries a signed request: implemented by each door with the client its platform has.
//!
//! The transport owns everything that needs a clock or a socket: time-outs, kept-alive
//! connections, and sleeping between attempts. It never retries and never follows redirects.

use core::time::Duration;

use bytes::Bytes;
use portcullis_core::breaker::BreakerState;
use thiserror::Error;

use crate::dependency::Dependency;

/// The longest answer a transport should read, in bytes.
///
/// A page of a `Query` holds 1 MB of items, and no byte of it becomes more than six in JSON.
pub const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Why the wire failed, in the words of the platform's own client.
pub type Cause = Box<dyn core::error::Error + Send + Sync>;

/// Carries one signed request and brings the whole answer back.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own transport, so Send is inferred there"
)]
pub trait Transport {
    /// Sends `request` once, as it stands, and waits for the whole answer.
    ///
    /// Redirects come back as answers. At most [`MAX_ANSWER_BYTES`] are read.
    ///
    /// # Errors
    ///
    /// [`TransportError`] if no whole answer came within the transport's own time-out.
    async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, TransportError>;

    /// Waits between two attempts.
    async fn sleep(&self, span: Duration);

    /// How long it has been since some moment that stays the same: what circuit breakers measure
    /// by, and nothing else. It goes on while the platform has frozen whoever asks, and may go
    /// back where its clock is set.
    fn elapsed(&self) -> Duration;

    /// Takes note that the breaker of `way` stands differently from now on, for the logs of
    /// whoever runs this.
    fn on_breaker_change(&self, way: Dependency, standing: BreakerState);
}

/// There is no whole answer.
#[derive(Debug, Error)]
pub enum TransportError {
    /// No connection came about: the request has not left.
    #[error("no connection could be made")]
    Connect(#[source] Cause),
    /// The answer did not arrive in time.
    #[error("no answer arrived in time")]
    Timeout,
    /// The connection broke after the request had begun to leave.
    #[error("the connection broke before the answer was whole")]
    Broken(#[source] Cause),
    /// The answer is longer than [`MAX_ANSWER_BYTES`].
    #[error("the answer is too long")]
    TooLong,
}

impl TransportError {
    /// Whether the request may have reached the server, and so may have been carried out.
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
    fn only_a_connection_that_never_came_about_leaves_no_doubt() {
        assert!(!TransportError::Connect("refused".into()).may_have_arrived());
        assert!(TransportError::Broken("reset".into()).may_have_arrived());
        assert!(TransportError::Timeout.may_have_arrived());
        assert!(TransportError::TooLong.may_have_arrived());
    }
}
