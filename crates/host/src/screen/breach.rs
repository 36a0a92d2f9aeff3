//! The breached-password check by a [range] service, which learns five hex digits of the SHA-1 and
//! nothing else.
//!
//! [range]: https://haveibeenpwned.com/API/v3#PwnedPasswords

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXUPPER;
use http::{Request, Response, StatusCode};
use portcullis_aws::breakers::{CallStats, CountedBreaker};
use portcullis_aws::transport::{Transport as _, TransportError};
use portcullis_core::breaker::{BreakerPermit, BreakerState, CallOutcome};
use portcullis_core::password::Password;
use sha1::{Digest as _, Sha1};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::clock::{SystemClock, WallClock as _};
use crate::metrics;
use crate::random::SystemRandom;
use crate::transport::{HyperTransport, Timeouts};

/// The service's name in logs and metrics.
pub(crate) const NAME: &str = "breach_range";

/// The number of hex digits that leave the host: about 800 of a thousand million passwords share
/// them.
const SENT_CHARACTERS: usize = 5;

/// The decision on a new password while the service is unavailable.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BreachFailMode {
    /// Accept it, and log the fact (fail open).
    #[default]
    Open,
    /// Reject it for now (fail closed).
    Closed,
}

/// The breached-password service.
#[derive(Debug)]
pub struct BreachRange {
    address: String,
    unreachable: BreachFailMode,
    transport: HyperTransport,
    breaker: CountedBreaker,
}

/// No readable response.
#[derive(Debug, Error)]
pub(super) enum BreachError {
    /// The URL yields no valid request.
    #[error("the URL of the breached-password service yields no valid request")]
    Address,
    /// No complete response arrived in time.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The response has an error status.
    #[error("the breached-password service returned status {0}")]
    Status(StatusCode),
    /// The response is no list of hashes and counts.
    #[error("the breached-password service returned a malformed response")]
    Malformed,
    /// The circuit breaker is open.
    #[error("the circuit breaker of the breached-password service is open")]
    Open,
}

impl BreachRange {
    /// A client of `address`, to which it appends the five digits:
    /// `https://api.pwnedpasswords.com/range/`.
    pub fn new(address: String, unreachable: BreachFailMode) -> Self {
        let timeouts = Timeouts {
            connect: Duration::from_secs(1),
            answer: Duration::from_secs(2),
            idle: Duration::from_secs(30),
        };
        Self {
            address,
            unreachable,
            transport: HyperTransport::new(timeouts, Arc::new(SystemClock)),
            breaker: CountedBreaker::default(),
        }
    }

    /// The state of the breaker and the call statistics so far.
    pub(super) fn state(&self) -> (BreakerState, CallStats) {
        self.breaker.state()
    }

    pub(super) const fn unreachable(&self) -> BreachFailMode {
        self.unreachable
    }

    /// Whether the service lists the password.
    ///
    /// # Errors
    ///
    /// [`BreachError`].
    pub(super) async fn is_breached(&self, password: &Password) -> Result<bool, BreachError> {
        let hash = Zeroizing::new(HEXUPPER.encode(&Sha1::digest(password.as_bytes())));
        let (reported, kept) = hash
            .split_at_checked(SENT_CHARACTERS)
            .ok_or(BreachError::Malformed)?;
        let request = Request::get(format!("{}{reported}", self.address))
            .header("user-agent", "portcullis")
            // Padded responses have one size, so that a network observer cannot count their lines.
            .header("add-padding", "true")
            .body(Bytes::new());
        let request = request.map_err(|_| BreachError::Address)?;
        let response = self.ask(request).await?;
        if response.status() != StatusCode::OK {
            return Err(BreachError::Status(response.status()));
        }
        let lines = core::str::from_utf8(response.body()).map_err(|_| BreachError::Malformed)?;
        is_among(lines, kept)
    }
}

impl BreachRange {
    /// No request waits for a service that is known to be unavailable.
    async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BreachError> {
        let (admission, changed) = self.breaker.admit(self.transport.elapsed());
        notice(changed);
        let BreakerPermit::Pass(permit) = admission else {
            self.breaker.refused();
            return Err(BreachError::Open);
        };
        let answered = self.transport.send(request).await;
        let is_well = answered
            .as_ref()
            .is_ok_and(|response| !response.status().is_server_error());
        let outcome = if is_well {
            CallOutcome::Answered
        } else {
            CallOutcome::Failed
        };
        // Without randomness, hosts that opened together also probe together; nothing else suffers.
        let random = SystemRandom.seed().unwrap_or_default();
        let now = self.transport.elapsed();
        notice(self.breaker.record(permit, outcome, now, random));
        Ok(answered?)
    }
}

fn notice(changed: Option<BreakerState>) {
    if let Some(standing) = changed {
        metrics::breaker_changed(NAME, standing, SystemClock.read().unwrap_or_default());
    }
}

/// Whether `kept` is the hash in a line `HASH:COUNT` whose count is not the zero of padding.
fn is_among(lines: &str, kept: &str) -> Result<bool, BreachError> {
    let mut known = false;
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let (hash, count) = line.split_once(':').ok_or(BreachError::Malformed)?;
        let count: u64 = count.trim().parse().map_err(|_| BreachError::Malformed)?;
        known |= hash.eq_ignore_ascii_case(kept) && count > 0;
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_padding_line_of_the_breach_service_is_ignored() {
        let lines =
            "0018A45C4D1DEF81644B54AB7F969B88D65:10\r\n00D4F6E8FA6EECAD2A3AA415EEC418D38EC:0\r\n";
        for (kept, known) in [
            ("0018A45C4D1DEF81644B54AB7F969B88D65", true),
            ("0018a45c4d1def81644b54ab7f969b88d65", true),
            ("00D4F6E8FA6EECAD2A3AA415EEC418D38EC", false),
            ("011053FD0102E94D6AE2F8B83D76FAF94F6", false),
        ] {
            assert_eq!(is_among(lines, kept).ok(), Some(known), "{kept}");
        }
        assert_eq!(is_among("", "0018").ok(), Some(false));
    }

    #[test]
    fn a_malformed_breach_response_is_an_error() {
        for lines in ["<html>", "00D4", "00D4:many", "00D4:-1"] {
            assert!(is_among(lines, "00D4").is_err(), "{lines}");
        }
    }
}
