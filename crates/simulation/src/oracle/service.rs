//! The permitted failures of hosts and rotations.

use super::{Held, Invariant, Oracle};

/// The permitted consecutive failures with all dependencies available: of two concurrent writers,
/// one fails once.
const FAILURES: u32 = 3;

/// The number of consecutive failures.
#[derive(Debug, Default)]
pub(crate) struct Failures(u32);

impl Oracle {
    /// `host` has answered a valid request. `is_served` says whether it was served, `is_spared`
    /// whether all of the host's dependencies were available the whole time.
    pub(crate) fn replied(&mut self, host: &str, is_served: bool, is_spared: bool) {
        if !self.is_calm || !is_spared {
            return;
        }
        self.count(Invariant::Served);
        if !is_served {
            let what = format!("{host} answers 503, with all dependencies available");
            self.fail(Invariant::Served, what);
        }
    }

    /// A rotation or an operator's command did `what`, or failed; the number of consecutive
    /// failures is limited.
    pub(crate) fn tried(
        &mut self,
        what: &str,
        failures: &mut Failures,
        is_done: bool,
        is_spared: bool,
    ) {
        if is_done || !is_spared || !self.is_calm {
            failures.0 = 0;
            return;
        }
        failures.0 += 1;
        if failures.0 > FAILURES {
            let what = format!("{what} fails repeatedly, with all dependencies available");
            self.fail(Invariant::Served, what);
        }
    }

    /// A refresh token that was first sent a short time ago was rejected.
    pub(crate) fn refused(&mut self, token: &Held, code: &str) {
        if self.is_good(token) {
            let what = format!(
                "the valid refresh token of session {} is rejected as {code}",
                super::brief(&token.session)
            );
            self.fail(Invariant::SessionWithAccount, what);
        }
    }

    /// A used refresh token was reused long after its use, in a request of `asked_at` that ends its
    /// session. `code` is the error code, or `None` if a new token was issued.
    pub(crate) fn came_again(&mut self, token: &Held, asked_at: u64, code: Option<&str>, now: u64) {
        self.count(Invariant::SessionWithAccount);
        match code {
            Some("reused") => self.session_ends(&token.session, now, true),
            // Another request started to end it.
            Some(_) if !self.is_ended_by(token, asked_at) => {}
            said => {
                let what = format!(
                    "a used refresh token of session {} gets: {}",
                    super::brief(&token.session),
                    said.unwrap_or("a new one")
                );
                self.fail(Invariant::SessionWithAccount, what);
            }
        }
    }
}
