//! What must hold, whatever happens: told by what the outside sees, and by nothing the system
//! says of itself.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_core::denial::Denial;
use portcullis_core::route::RevocationMode;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::jws::Jws;

use crate::host::{ATTEMPTS, PER};

/// After so long nothing that was called back passes any edge: the hard bound, and the second that
/// two readings in whole seconds may hide.
pub const REVOKED_WITHIN: u64 = 31_000;

/// How long after it was begun a call may still change something.
const LATEST: u64 = 30_000;

/// What must always hold.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Invariant {
    /// A token issued in good faith is never refused because of a rotation.
    GoodFaith,
    /// A token signed by a dropped key is refused after the bound.
    DroppedKey,
    /// A revoked token is not accepted after the bound.
    Revoked,
    /// No acknowledged write is lost.
    NothingLost,
    /// No session has two live heads.
    OneHead,
    /// No quota is exceeded.
    Quota,
    /// When a dependency heals, service is back within one probe interval.
    Healed,
    /// No rotation leaves a host without a key to sign with.
    Signs,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::GoodFaith,
        Self::DroppedKey,
        Self::Revoked,
        Self::NothingLost,
        Self::OneHead,
        Self::Quota,
        Self::Healed,
        Self::Signs,
    ];

    /// What it says, and what its counter counts.
    pub const fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::GoodFaith => (
                "a token issued in good faith is never refused because of a rotation",
                "answers to good tokens while two keys were about",
            ),
            Self::DroppedKey => (
                "a token signed by a dropped key is refused after the bound",
                "tokens of dropped keys shown after it",
            ),
            Self::Revoked => (
                "a revoked token is never accepted after the bound",
                "revoked tokens shown after it",
            ),
            Self::NothingLost => (
                "no acknowledged write is lost",
                "acknowledged writes found at the end",
            ),
            Self::OneHead => (
                "no session has two live heads",
                "refreshes that raced for one head",
            ),
            Self::Quota => ("no quota is exceeded", "attempts over a quota refused"),
            Self::Healed => (
                "when a dependency heals, service is back within one probe interval",
                "hosts and edges looked at after an outage",
            ),
            Self::Signs => (
                "no rotation leaves a host without a key to sign with",
                "tokens signed while two keys were published",
            ),
        }
    }
}

/// Something that a run has to have met to have shown anything.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Case {
    /// A rotation came to its end.
    Rotation,
    /// A step of one was cut off or failed, and was repeated.
    CutOff,
    /// A key was called back.
    Emergency,
    /// A pack was read.
    Pack,
    /// A token was looked up by its own rows.
    LookUp,
    /// A task ended between two of its steps.
    Crash,
    /// A good login gave its place back.
    Refund,
}

impl Case {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Rotation,
        Self::CutOff,
        Self::Emergency,
        Self::Pack,
        Self::LookUp,
        Self::Crash,
        Self::Refund,
    ];

    /// What is counted.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Rotation => "rotations that came to their end",
            Self::CutOff => "steps of rotations that were cut off or failed, and were repeated",
            Self::Emergency => "keys that were called back",
            Self::Pack => "packs read",
            Self::LookUp => "tokens looked up by their own rows",
            Self::Crash => "tasks that ended between two of their steps",
            Self::Refund => "good logins that gave their place back",
        }
    }
}

/// An invariant that did not hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// How.
    pub what: String,
}

/// A token as its holder knows it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) text: String,
    pub(crate) id: String,
    pub(crate) session: String,
    pub(crate) subject: String,
    pub(crate) generation: u64,
    pub(crate) key: String,
    pub(crate) expires_at: u64,
}

impl Held {
    pub(crate) fn read(text: &str) -> Self {
        let jws = Jws::parse(text).expect("our own token");
        let claims = Claims::parse(&jws.payload).expect("our own claims");
        Self {
            text: text.to_owned(),
            id: claims.token_id,
            session: claims.session_id.expect("a session"),
            subject: claims.subject,
            generation: claims.generation.expect("a generation"),
            key: jws.header.key_id.expect("a key"),
            expires_at: claims.expires_at.as_secs(),
        }
    }
}

/// One question to an edge, in the true time and in its own.
pub(crate) struct Asked<'a> {
    pub(crate) edge: &'a str,
    pub(crate) mode: RevocationMode,
    pub(crate) asked_at: u64,
    pub(crate) answered_at: u64,
    /// What its clock says, in seconds.
    pub(crate) edge_now: u64,
}

/// When something was begun, and when it was acknowledged.
#[derive(Clone, Copy, Debug, Default)]
struct Called {
    begun: Option<u64>,
    acknowledged: Option<u64>,
}

/// Sees everything from outside.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) counters: BTreeMap<Invariant, u64>,
    pub(crate) met: BTreeMap<Case, u64>,
    pub(crate) violation: Option<Violation>,
    sessions: BTreeMap<String, Called>,
    subjects: BTreeMap<(String, u64), Called>,
    keys: BTreeMap<String, Called>,
    /// The sessions that each subject is known to have had.
    known: BTreeMap<String, BTreeSet<String>>,
    /// Until when a logout everywhere that was begun may still take effect.
    doubts: BTreeMap<String, u64>,
    signing: BTreeSet<String>,
    heads: BTreeMap<String, String>,
    passed: BTreeMap<String, Vec<u64>>,
}

impl Oracle {
    pub(crate) fn count(&mut self, invariant: Invariant) {
        *self.counters.entry(invariant).or_default() += 1;
    }

    pub(crate) fn meet(&mut self, case: Case) {
        *self.met.entry(case).or_default() += 1;
    }

    /// Whether anybody began to call a key back.
    pub(crate) fn is_emergency(&self) -> bool {
        !self.keys.is_empty()
    }

    pub(crate) fn fail(&mut self, invariant: Invariant, what: String) {
        self.violation.get_or_insert(Violation { invariant, what });
    }

    pub(crate) fn session_ends(&mut self, session: &str, now: u64, acknowledged: bool) {
        note(
            self.sessions.entry(session.to_owned()).or_default(),
            now,
            acknowledged,
        );
    }

    pub(crate) fn subject_ends(&mut self, subject: &str, below: u64, now: u64, acknowledged: bool) {
        if !acknowledged {
            // Its write may come late, after others, and end what they began.
            self.doubts.insert(subject.to_owned(), now + LATEST);
            let known = self.known.get(subject).cloned().unwrap_or_default();
            for session in known {
                self.session_ends(&session, now, false);
            }
        }
        let place = (subject.to_owned(), below);
        note(self.subjects.entry(place).or_default(), now, acknowledged);
    }

    pub(crate) fn key_drops(&mut self, key: &str, now: u64, acknowledged: bool) {
        note(
            self.keys.entry(key.to_owned()).or_default(),
            now,
            acknowledged,
        );
    }

    /// What stands against the login of a token: the earliest of each.
    fn session(&self, token: &Held) -> Called {
        let mut called = self
            .sessions
            .get(&token.session)
            .copied()
            .unwrap_or_default();
        for ((subject, below), other) in &self.subjects {
            if *subject == token.subject && token.generation < *below {
                called.begun = earlier(called.begun, other.begun);
                called.acknowledged = earlier(called.acknowledged, other.acknowledged);
            }
        }
        called
    }

    /// A token came into somebody's hands.
    pub(crate) fn issued(&mut self, token: &Held, now: u64) {
        self.signing.insert(token.key.clone());
        let known = self.known.entry(token.subject.clone()).or_default();
        known.insert(token.session.clone());
        if self
            .doubts
            .get(&token.subject)
            .is_some_and(|until| now < *until)
        {
            self.session_ends(&token.session, now, false);
        }
    }

    /// An edge has answered. `hurried` says that an emergency changed the times of the token's key.
    pub(crate) fn answered(
        &mut self,
        asked: &Asked<'_>,
        token: &Held,
        answer: Result<(), Denial>,
        hurried: bool,
    ) {
        let login = self.session(token);
        let key = self.keys.get(&token.key).copied().unwrap_or_default();
        let is_late = |called: Called| match (called.acknowledged, asked.mode) {
            (Some(at), RevocationMode::Feed) => asked.answered_at > at + REVOKED_WITHIN,
            // Whoever looks it up knows at once.
            (Some(at), RevocationMode::Lookup) => asked.asked_at > at,
            (None, _) => false,
        };
        let is_bad = login.begun.is_some() || key.begun.is_some();
        let is_over = token.expires_at <= asked.edge_now;
        let told = |what: &str| format!("{} {what} {}", asked.edge, brief(&token.id));
        if is_late(login) && !is_over {
            self.count(Invariant::Revoked);
        }
        if is_late(key) && !is_over {
            self.count(Invariant::DroppedKey);
        }
        if !is_bad && !is_over && self.signing.len() > 1 {
            self.count(Invariant::GoodFaith);
        }
        match answer {
            Ok(()) if is_late(login) => {
                self.fail(Invariant::Revoked, told("still accepts the revoked token"));
            }
            Ok(()) if is_late(key) => {
                let what = told("still accepts, though its key was dropped, token");
                self.fail(Invariant::DroppedKey, what);
            }
            Ok(()) | Err(Denial::StaleSnapshot | Denial::RevocationUnknown) => {}
            // An edge goes by the times it was told until it reads the next: the price of an
            // emergency, not of a rotation.
            Err(Denial::UnknownKey) if hurried => {}
            Err(denial) if !is_bad && !is_over => {
                let code = denial.code();
                let what = told(&format!("refuses as {code} the good token"));
                self.fail(Invariant::GoodFaith, what);
            }
            Err(_) => {}
        }
    }

    /// A refresh token came into somebody's hands.
    pub(crate) fn holds(&mut self, refresh: &str) {
        let mut parts = refresh.split('.');
        let place = format!(
            "{}.{}",
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default()
        );
        let known = self.heads.get(&place).cloned();
        match known {
            Some(known) => {
                self.count(Invariant::OneHead);
                if known != refresh {
                    let what = format!("{} has two tokens of one generation", brief(&place));
                    self.fail(Invariant::OneHead, what);
                }
            }
            None => drop(self.heads.insert(place, refresh.to_owned())),
        }
    }

    /// An attempt that is counted in `bucket` was let through, that came at `now`. Clocks that
    /// disagree take three seconds of the window: two of skew, one of rounding.
    pub(crate) fn passes(&mut self, bucket: &str, now: u64) {
        let most = usize::try_from(ATTEMPTS).expect("few");
        let per = PER.as_secs() * 1_000;
        let passed = self.passed.entry(bucket.to_owned()).or_default();
        passed.push(now);
        passed.sort_unstable();
        let exceeded = passed
            .windows(most + 1)
            .any(|some| some[most] - some[0] + 3_000 < per);
        if exceeded {
            let what = format!("more than {most} attempts passed within {per} ms");
            self.fail(Invariant::Quota, what);
        }
    }

    /// The attempt in `bucket` that came at `now` was good, and is about to be given back.
    pub(crate) fn gives_back(&mut self, bucket: &str, now: u64) {
        let passed = self.passed.entry(bucket.to_owned()).or_default();
        if let Some(place) = passed.iter().position(|at| *at == now) {
            passed.remove(place);
        }
        self.meet(Case::Refund);
    }
}

fn note(called: &mut Called, now: u64, acknowledged: bool) {
    called.begun.get_or_insert(now);
    if acknowledged {
        called.acknowledged.get_or_insert(now);
    }
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// The beginning of a name: enough to follow it through a story.
pub(crate) fn brief(name: &str) -> &str {
    name.get(..6).unwrap_or(name)
}
