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
    let mut seconds = |name, usual| {
        env.optional(name, |text| positive(text, MAX_TIMEOUT))
            .unwrap_or(usual)
    };
    let header = seconds("PORTCULLIS_HEADER_TIMEOUT", usual.header);
    let body = seconds("PORTCULLIS_BODY_TIMEOUT", usual.body);
    let idle = seconds("PORTCULLIS_IDLE_TIMEOUT", usual.idle);
    let write = seconds("PORTCULLIS_WRITE_TIMEOUT", usual.write);
    let mut count = |name, usual| env.optional(name, connections).unwrap_or(usual);
    ConnectionLimits {
        total: count("PORTCULLIS_MAX_CONNECTIONS", usual.total),
        per_address: count("PORTCULLIS_MAX_CONNECTIONS_PER_ADDRESS", usual.per_address),
        header,
        body,
        idle,
        write,
    }
}

fn connections(text: &str) -> Result<usize, Fault> {
    match text.parse() {
        Ok(count) if (1..=MOST).contains(&count) => Ok(count),
        _ => Err(Fault::Invalid),
    }
}
