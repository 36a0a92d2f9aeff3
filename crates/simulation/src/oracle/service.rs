//! What hosts and rotations may leave undone.

use super::{Held, Invariant, Oracle};

/// How often in a row something may fail where nothing is away: two that race make one another
/// fail once.
const FAILURES: u32 = 3;

/// How often something has failed in a row.
#[derive(Debug, Default)]
pub(crate) struct Failures(u32);

impl Oracle {
    /// `host` has answered somebody with every right to be served; `is_served` says whether it
    /// could, `is_spared` whether all the while nothing was away from it.
    pub(crate) fn replied(&mut self, host: &str, is_served: bool, is_spared: bool) {
        if !self.is_calm || !is_spared {
            return;
        }
        self.count(Invariant::Served);
        if !is_served {
            let what = format!("{host} answers 503, with nothing away");
            self.fail(Invariant::Served, what);
        }
    }

    /// `what` was done by a rotation or a terminal, or failed: in a row that must not go on.
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
            let what = format!("{what} fails again and again, with nothing away");
            self.fail(Invariant::Served, what);
        }
    }

    /// The bearer of a refresh token that was first sent a moment ago was refused.
    pub(crate) fn refused(&mut self, token: &Held, code: &str) {
        if self.is_good(token) {
            let what = format!(
                "the good refresh token of session {} is refused as {code}",
                super::brief(&token.session)
            );
            self.fail(Invariant::SessionWithAccount, what);
        }
    }

    /// A refresh token came again long after it was spent, to a question of `asked_at` that ends its
    /// session; `code` is what was said, or nothing if it was handed out anew.
    pub(crate) fn came_again(&mut self, token: &Held, asked_at: u64, code: Option<&str>, now: u64) {
        self.count(Invariant::SessionWithAccount);
        match code {
            Some("reused") => self.session_ends(&token.session, now, true),
            // Somebody else began to end it.
            Some(_) if !self.is_ended_by(token, asked_at) => {}
            said => {
                let what = format!(
                    "a spent refresh token of session {} is answered: {}",
                    super::brief(&token.session),
                    said.unwrap_or("a new one")
                );
                self.fail(Invariant::SessionWithAccount, what);
            }
        }
    }
}
