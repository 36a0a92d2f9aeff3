//! The permitted responses of edges.

use portcullis_core::denial::Denial;
use portcullis_core::route::RevocationMode;

use super::{Called, Held, Invariant, Oracle, REVOKED_WITHIN, brief};
use crate::bounds::{EPOCH, KEYS_HARD, REVOCATIONS_HARD};
use crate::edge_answer::{EdgeAnswer, Known};
use crate::plan::{ROUNDING, SKEW};

/// How long after a read of its keys an edge takes an unknown key for nonexistent, in seconds: the
/// product's own 10 s, plus rounding.
const COOL_DOWN: u64 = 10 + 1;

/// One request to an edge, in true time and in the edge's time.
pub(crate) struct Asked<'a> {
    pub(crate) edge: &'a str,
    pub(crate) mode: RevocationMode,
    pub(crate) asked_at: u64,
    pub(crate) answered_at: u64,
    /// The edge's clock at the request and now, in seconds.
    pub(crate) edge_asked: u64,
    pub(crate) edge_now: u64,
    /// The time when an emergency changed the times of the token's key.
    pub(crate) changed_at: Option<u64>,
    /// Whether all dependencies of the edge were available the whole time.
    pub(crate) is_spared: bool,
}

impl Asked<'_> {
    /// Whether the bound after the revocation at `called` is over. A lookup sees it at once.
    pub(super) fn is_late(&self, called: Called, stepped: u64) -> bool {
        match (called.acknowledged, self.mode) {
            (Some(at), RevocationMode::Feed) => self.answered_at > at + REVOKED_WITHIN + stepped,
            (Some(at), RevocationMode::Lookup) => self.asked_at > at,
            (None, _) => false,
        }
    }

    /// Whether the edge may lack the key with recently changed times: it may use its earlier
    /// snapshot within the bounds.
    fn may_lack_key(&self, answer: &EdgeAnswer, stepped: u64) -> bool {
        let Some(changed_at) = self.changed_at else {
            return false;
        };
        let hard = u64::try_from(KEYS_HARD.as_millis()).expect("short");
        let lapsed = self.answered_at > changed_at + hard + SKEW + ROUNDING + stepped;
        // Its clock may be half the skew ahead.
        let surely_after = |known: Known| {
            let read = known.keys_at.as_secs() * 1_000;
            read.saturating_sub(EPOCH + SKEW / 2) >= changed_at
        };
        !lapsed && !answer.after.is_some_and(surely_after)
    }

    /// Whether the edge read its keys so recently that it takes an unknown key for nonexistent.
    fn is_cool(&self, answer: &EdgeAnswer, stepped: u64) -> bool {
        answer.after.is_some_and(|known| {
            self.edge_asked < known.keys_at.as_secs() + COOL_DOWN + stepped / 1_000
        })
    }

    /// Whether the snapshot at the request stayed usable until the response.
    fn could_rely(&self, answer: &EdgeAnswer) -> bool {
        answer.before.is_some_and(|known| {
            let age = |read_at: u64| self.edge_now.saturating_sub(read_at);
            let is_ahead = |read_at: u64| read_at > self.edge_asked.min(self.edge_now);
            let (keys, revocations) = (known.keys_at.as_secs(), known.revocations_at.as_secs());
            age(keys) <= KEYS_HARD.as_secs()
                && age(revocations) <= REVOCATIONS_HARD.as_secs()
                && !is_ahead(keys)
                && !is_ahead(revocations)
        })
    }
}

impl Oracle {
    /// An edge has answered the bearer of a token that a host issued, or of a valid forged one.
    pub(crate) fn answered(&mut self, asked: &Asked<'_>, token: &Held, answer: &EdgeAnswer) {
        let login = self.login(token);
        let key = self.keys.get(&token.key).copied().unwrap_or_default();
        let login_is_late = asked.is_late(login, self.stepped);
        let key_is_late = asked.is_late(key, self.stepped);
        let is_over = token.expires_at <= asked.edge_now;
        let is_good = login.begun.is_none() && key.begun.is_none() && !is_over;
        if login_is_late && !is_over {
            self.count(Invariant::Revoked);
        }
        if key_is_late && !is_over {
            self.count(Invariant::DroppedKey);
        }
        if is_good {
            self.shows(asked, token, answer);
        }
        let reported = |what: &str| format!("{} {what} {}", asked.edge, brief(&token.id));
        let may_lack_key = asked.may_lack_key(answer, self.stepped);
        match answer.said {
            Ok(()) if login_is_late => {
                self.fail(
                    Invariant::Revoked,
                    reported("still accepts the revoked token"),
                );
            }
            Ok(()) if key_is_late => {
                let what = reported("still accepts, under its dropped key, token");
                self.fail(Invariant::DroppedKey, what);
            }
            Ok(()) => {
                if asked.mode == RevocationMode::Lookup {
                    self.goes_on(token, asked.asked_at);
                }
                if is_good && self.is_calm && asked.is_spared {
                    self.count(Invariant::Served);
                }
            }
            Err(_) if !is_good => {}
            // An edge uses the times it read until its next read: the price of an emergency, not of
            // a rotation.
            Err(Denial::UnknownKey) if may_lack_key && asked.is_cool(answer, self.stepped) => {}
            Err(Denial::StaleSnapshot) if may_lack_key => {}
            Err(Denial::StaleSnapshot) if asked.could_rely(answer) => {
                let what = reported("has a usable snapshot, and rejects as stale the valid token");
                self.fail(Invariant::GoodFaith, what);
            }
            Err(denial @ (Denial::StaleSnapshot | Denial::RevocationUnknown)) => {
                if self.is_calm && asked.is_spared {
                    let code = denial.code();
                    let what = reported(&format!(
                        "answers {code}, with all dependencies available, to"
                    ));
                    self.fail(Invariant::Served, what);
                }
            }
            Err(denial) => {
                let code = denial.code();
                let what = reported(&format!("rejects as {code} the valid token"));
                self.fail(Invariant::GoodFaith, what);
            }
        }
    }

    /// Counts the occasions for a rotation to break a token.
    fn shows(&mut self, asked: &Asked<'_>, token: &Held, answer: &EdgeAnswer) {
        let is_first = self
            .shown
            .insert((asked.edge.to_owned(), token.key.clone()));
        let is_former = self.signing.as_ref().is_some_and(|key| *key != token.key);
        if is_first || (is_former && answer.said.is_ok()) {
            self.count(Invariant::GoodFaith);
        }
    }

    /// An edge has answered a forged token under the private key called `key`; `published` says
    /// whether the key was ever published.
    pub(crate) fn forged(
        &mut self,
        asked: &Asked<'_>,
        key: &str,
        published: bool,
        answer: &EdgeAnswer,
    ) {
        let dropped = self.keys.get(key).copied().unwrap_or_default();
        let is_dropped = asked.is_late(dropped, self.stepped);
        let retired = self.retired.get(key);
        let is_retired = retired.is_some_and(|until| asked.asked_at > *until);
        if is_dropped || is_retired {
            self.count(Invariant::DroppedKey);
        }
        if is_retired {
            self.meet(super::Case::Retired);
        }
        let why = match (published, is_dropped, is_retired) {
            (false, _, _) => "never published",
            (true, true, _) => "dropped",
            (true, false, true) => "retired",
            (true, false, false) => return,
        };
        if answer.said.is_ok() {
            let what = format!(
                "{} accepts a token under {key}, which was {why}",
                asked.edge
            );
            self.fail(Invariant::DroppedKey, what);
        }
    }
}
