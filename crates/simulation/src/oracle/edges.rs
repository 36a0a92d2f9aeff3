//! What edges may answer.

use portcullis_core::denial::Denial;
use portcullis_core::route::RevocationMode;

use super::{Called, Held, Invariant, Oracle, REVOKED_WITHIN, brief};
use crate::bounds::{EPOCH, KEYS_HARD, REVOCATIONS_HARD};
use crate::edge_answer::{Answer, Known};
use crate::plan::{ROUNDING, SKEW};

/// So long after a reading of its keys an edge takes a key that it lacks for made up, in seconds:
/// the product's own ten, and what rounding hides.
const COOL_DOWN: u64 = 10 + 1;

/// One question to an edge, in the true time and in its own.
pub(crate) struct Asked<'a> {
    pub(crate) edge: &'a str,
    pub(crate) mode: RevocationMode,
    pub(crate) asked_at: u64,
    pub(crate) answered_at: u64,
    /// What its clock said as it was asked, and says now, in seconds.
    pub(crate) edge_asked: u64,
    pub(crate) edge_now: u64,
    /// When an emergency changed the times of the token's key.
    pub(crate) changed_at: Option<u64>,
    /// Whether all the while nothing was away from the edge.
    pub(crate) is_spared: bool,
}

impl Asked<'_> {
    /// Whether the bound on what was called back at `called` is over. Whoever looks it up knows at
    /// once.
    pub(super) fn is_late(&self, called: Called, stepped: u64) -> bool {
        match (called.acknowledged, self.mode) {
            (Some(at), RevocationMode::Feed) => self.answered_at > at + REVOKED_WITHIN + stepped,
            (Some(at), RevocationMode::Lookup) => self.asked_at > at,
            (None, _) => false,
        }
    }

    /// Whether the edge may lack the key, whose times were changed a moment ago: it goes by what
    /// it read before, for as long as it may.
    fn may_lack_key(&self, answer: &Answer, stepped: u64) -> bool {
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

    /// Whether the edge read its keys so recently that it takes a key that it lacks for made up.
    fn is_cool(&self, answer: &Answer, stepped: u64) -> bool {
        answer.after.is_some_and(|known| {
            self.edge_asked < known.keys_at.as_secs() + COOL_DOWN + stepped / 1_000
        })
    }

    /// Whether what the edge knew as it was asked could be relied on until it answered.
    fn could_rely(&self, answer: &Answer) -> bool {
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
    /// An edge has answered the bearer of a token that a host issued, or that nothing stands
    /// against.
    pub(crate) fn answered(&mut self, asked: &Asked<'_>, token: &Held, answer: &Answer) {
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
        let told = |what: &str| format!("{} {what} {}", asked.edge, brief(&token.id));
        let may_lack_key = asked.may_lack_key(answer, self.stepped);
        match answer.said {
            Ok(()) if login_is_late => {
                self.fail(Invariant::Revoked, told("still accepts the revoked token"));
            }
            Ok(()) if key_is_late => {
                let what = told("still accepts, though its key was dropped, token");
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
            // An edge goes by the times it was told until it reads the next: the price of an
            // emergency, not of a rotation.
            Err(Denial::UnknownKey) if may_lack_key && asked.is_cool(answer, self.stepped) => {}
            Err(Denial::StaleSnapshot) if may_lack_key => {}
            Err(Denial::StaleSnapshot) if asked.could_rely(answer) => {
                let what = told("knows enough to judge, and has no answer to the good token");
                self.fail(Invariant::GoodFaith, what);
            }
            Err(denial @ (Denial::StaleSnapshot | Denial::RevocationUnknown)) => {
                if self.is_calm && asked.is_spared {
                    let code = denial.code();
                    let what = told(&format!("answers {code}, with nothing away, to"));
                    self.fail(Invariant::Served, what);
                }
            }
            Err(denial) => {
                let code = denial.code();
                let what = told(&format!("refuses as {code} the good token"));
                self.fail(Invariant::GoodFaith, what);
            }
        }
    }

    /// Counts what a rotation could have made go wrong.
    fn shows(&mut self, asked: &Asked<'_>, token: &Held, answer: &Answer) {
        let is_first = self
            .shown
            .insert((asked.edge.to_owned(), token.key.clone()));
        let is_former = self.signing.as_ref().is_some_and(|key| *key != token.key);
        if is_first || (is_former && answer.said.is_ok()) {
            self.count(Invariant::GoodFaith);
        }
    }

    /// An edge has answered a token that somebody forged, who has the private key called `key`;
    /// `published` says whether it ever was.
    pub(crate) fn forged(
        &mut self,
        asked: &Asked<'_>,
        key: &str,
        published: bool,
        answer: &Answer,
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
                "{} lets a token in under {key}, which was {why}",
                asked.edge
            );
            self.fail(Invariant::DroppedKey, what);
        }
    }
}
