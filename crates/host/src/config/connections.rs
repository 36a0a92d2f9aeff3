//! The limits of connections to the socket.

use core::time::Duration;

use crate::config::variable::{Environment, Fault, positive};

/// The longest timeout.
const MAX_TIMEOUT: Duration = Duration::from_secs(3_600);

/// The largest number of connections: more file descriptors than most systems grant.
const MOST: usize = 1_000_000;

/// The limits of connections to the socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConnectionLimits {
    /// The number of open connections.
    pub total: usize,
    /// The number of open connections of one network.
    pub per_address: usize,
    /// The time from the first to the last byte of a request's head.
    pub header: Duration,
    /// The time for a body to arrive.
    pub body: Duration,
    /// The time for which a connection may be silent between two requests.
    pub idle: Duration,
    /// The time for which a client may accept no byte of a response.
    pub write: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            total: 1_024,
            per_address: 256,
            header: Duration::from_secs(15),
            body: Duration::from_secs(10),
            // A load balancer that keeps connections longer than its target gets errors: an AWS
            // load balancer keeps them for 60 s.
            idle: Duration::from_secs(75),
            write: Duration::from_secs(30),
        }
    }
}

pub(super) fn limits(env: &mut Environment<'_>) -> ConnectionLimits {
    let usual = ConnectionLimits::default();
    let seconds = |text: &str| positive(text, MAX_TIMEOUT);
    let count = |text: &str| match text.parse() {
        Ok(count) if (1..=MOST).contains(&count) => Ok(count),
        _ => Err(Fault::Invalid),
    };
    ConnectionLimits {
        total: env
            .optional("PORTCULLIS_MAX_CONNECTIONS", count)
            .unwrap_or(usual.total),
        per_address: env
            .optional("PORTCULLIS_MAX_CONNECTIONS_PER_ADDRESS", count)
            .unwrap_or(usual.per_address),
        header: env
            .optional("PORTCULLIS_HEADER_TIMEOUT", seconds)
            .unwrap_or(usual.header),
        body: env
            .optional("PORTCULLIS_BODY_TIMEOUT", seconds)
            .unwrap_or(usual.body),
        idle: env
            .optional("PORTCULLIS_IDLE_TIMEOUT", seconds)
            .unwrap_or(usual.idle),
        write: env
            .optional("PORTCULLIS_WRITE_TIMEOUT", seconds)
            .unwrap_or(usual.write),
    }
}
