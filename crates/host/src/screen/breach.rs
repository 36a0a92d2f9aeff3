//! Whether a password was in a breach, asked of a [range] that learns five digits of its SHA-1
//! and no more.
//!
//! [range]: https://haveibeenpwned.com/API/v3#PwnedPasswords

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXUPPER;
use http::{Request, Response, StatusCode};
use portcullis_aws::breakers::{CallStats, CountedBreaker};
use portcullis_aws::transport::{Transport as _, TransportError};
use portcullis_core::breaker::{BreakerPermit, BreakerState, Outcome};
use portcullis_core::password::Password;
use sha1::{Digest as _, Sha1};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::clock::{SystemClock, WallClock as _};
use crate::metrics;
use crate::random::SystemRandom;
use crate::transport::{HyperTransport, Timeouts};

/// The range's name in logs and metrics.
pub(crate) const NAME: &str = "breach_range";

/// How many digits of the hash are told: some 800 passwords of a thousand million share them.
const TOLD: usize = 5;

/// What happens to a new password while nobody answers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BreachFailMode {
    /// It is taken, and the log says so.
    #[default]
    Open,
    /// It is refused for the time being.
    Closed,
}

/// Where breached passwords are asked about.
#[derive(Debug)]
pub struct BreachRange {
    address: String,
    unreachable: BreachFailMode,
    transport: HyperTransport,
    breaker: CountedBreaker,
}

/// No answer, or none that can be read.
#[derive(Debug, Error)]
pub(super) enum BreachError {
    /// The address makes no request.
    #[error("the address cannot be asked")]
    Address,
    /// No whole answer came in time.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The answer says that something is wrong.
    #[error("the range answered {0}")]
    Status(StatusCode),
    /// The answer holds no lines of hash and count.
    #[error("the range answered in another form")]
    Malformed,
    /// It has failed too often, and is given a moment.
    #[error("the range is given a moment: it has failed too often")]
    Open,
}

impl BreachRange {
    /// Asks `address`, to which the five digits are added: `https://api.pwnedpasswords.com/range/`.
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

    /// How the way to it stands, and what went over it so far.
    pub(super) fn state(&self) -> (BreakerState, CallStats) {
        self.breaker.state()
    }

    pub(super) const fn unreachable(&self) -> BreachFailMode {
        self.unreachable
    }

    /// Whether the range knows the password.
    ///
    /// # Errors
    ///
    /// [`BreachError`].
    pub(super) async fn knows(&self, password: &Password) -> Result<bool, BreachError> {
        let hash = Zeroizing::new(HEXUPPER.encode(&Sha1::digest(password.as_bytes())));
        let (told, kept) = hash.split_at_checked(TOLD).ok_or(BreachError::Malformed)?;
        let request = Request::get(format!("{}{told}", self.address))
            .header("user-agent", "portcullis")
            // Answers of one size, so that nobody on the way counts their lines.
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
    /// Nobody who chooses a password waits for a range that is known not to answer.
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
            Outcome::Answered
        } else {
            Outcome::Failed
        };
        // Without entropy hosts that opened together probe together, and that is all.
        let chance = SystemRandom.seed().unwrap_or_default();
        let now = self.transport.elapsed();
        notice(self.breaker.record(permit, outcome, now, chance));
        Ok(answered?)
    }
}

fn notice(changed: Option<BreakerState>) {
    if let Some(standing) = changed {
        metrics::breaker_changed(NAME, standing, SystemClock.read().unwrap_or_default());
    }
}

/// Whether `kept` is the hash of a line `HASH:COUNT` whose count is not the zero of padding.
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
    fn a_line_counts_if_it_is_no_padding() {
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
    fn what_is_no_list_of_counts_is_no_answer() {
        for lines in ["<html>", "00D4", "00D4:many", "00D4:-1"] {
            assert!(is_among(lines, "00D4").is_err(), "{lines}");
        }
    }
}
