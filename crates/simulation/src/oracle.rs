//! The invariants, checked only by observations from outside.

mod catalogue;
pub(crate) mod edges;
mod keys;
pub(crate) mod service;

use std::collections::{BTreeMap, BTreeSet};

use portcullis_core::token::claims::Claims;
use portcullis_core::token::jws::Jws;

pub use self::catalogue::{Case, Invariant, Violation};
use crate::bounds::{ATTEMPTS, PER};
use crate::plan::{Plan, ROUNDING, SKEW};

/// The time after which no edge accepts a revoked token: the hard bound, and one second for the
/// rounding of two readings to whole seconds. If clocks are set, plus the skew.
pub const REVOKED_WITHIN: u64 = 30_000 + ROUNDING;

/// How long after its start a call may still change something.
const LATEST: u64 = 30_000;

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

/// The times of the start, the last attempt and the acknowledgement of a revocation.
#[derive(Clone, Copy, Debug, Default)]
struct Called {
    begun: Option<u64>,
    latest: u64,
    acknowledged: Option<u64>,
}

/// Observes the system from outside.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) counters: BTreeMap<Invariant, u64>,
    pub(crate) met: BTreeMap<Case, u64>,
    pub(crate) violation: Option<Violation>,
    /// Whether outages are the only faults.
    is_calm: bool,
    /// The error that setting a clock may add to a measured span.
    stepped: u64,
    sessions: BTreeMap<String, Called>,
    subjects: BTreeMap<(String, u64), Called>,
    keys: BTreeMap<String, Called>,
    /// The known sessions of each subject.
    known: BTreeMap<String, BTreeSet<String>>,
    /// The time until which an unacknowledged logout everywhere may still take effect.
    doubts: BTreeMap<String, u64>,
    /// The key that signed last.
    signing: Option<String>,
    /// The pairs of edge and key of the presented tokens.
    shown: BTreeSet<(String, String)>,
    /// The time until which a key with a successor may be valid.
    retired: BTreeMap<String, u64>,
    /// The start and the end of the span in which no key may sign.
    keyless: Option<(u64, Option<u64>)>,
    heads: BTreeMap<String, String>,
    passed: BTreeMap<String, Vec<u64>>,
}

impl Oracle {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            is_calm: !plan.faults,
            stepped: plan.stepped(),
            ..Self::default()
        }
    }

    pub(crate) fn count(&mut self, invariant: Invariant) {
        *self.counters.entry(invariant).or_default() += 1;
    }

    pub(crate) fn meet(&mut self, case: Case) {
        *self.met.entry(case).or_default() += 1;
    }

    pub(crate) fn fail(&mut self, invariant: Invariant, what: String) {
        self.violation.get_or_insert(Violation { invariant, what });
    }

    pub(crate) fn session_ends(&mut self, session: &str, now: u64, acknowledged: bool) {
        let called = self.sessions.entry(session.to_owned()).or_default();
        called.note(now, acknowledged);
    }

    pub(crate) fn subject_ends(&mut self, subject: &str, below: u64, now: u64, acknowledged: bool) {
        if !acknowledged {
            // Its write may arrive late, after others, and end sessions that were opened in
            // between.
            self.doubts.insert(subject.to_owned(), now + LATEST);
            let known = self.known.get(subject).cloned().unwrap_or_default();
            for session in known {
                self.session_ends(&session, now, false);
            }
        }
        let place = (subject.to_owned(), below);
        let called = self.subjects.entry(place).or_default();
        called.note(now, acknowledged);
    }

    /// A host or the store itself has confirmed the session of `token`, to a request of `asked_at`.
    /// An unacknowledged revocation attempt old enough by then was never executed.
    pub(crate) fn goes_on(&mut self, token: &Held, asked_at: u64) {
        let never_done =
            |called: &Called| called.acknowledged.is_none() && called.latest + LATEST < asked_at;
        if self.sessions.get(&token.session).is_some_and(never_done) {
            self.sessions.remove(&token.session);
        }
        self.subjects.retain(|(subject, below), called| {
            *subject != token.subject || *below <= token.generation || !never_done(called)
        });
    }

    /// The revocations that affect the session of a token: the earliest times.
    fn login(&self, token: &Held) -> Called {
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

    /// Whether no revocation of the session of `token` was started.
    pub(crate) fn is_good(&self, token: &Held) -> bool {
        self.login(token).begun.is_none()
    }

    /// Whether the only revocation of the session of `token` was started at `at`.
    fn is_ended_by(&self, token: &Held, at: u64) -> bool {
        let session = self.sessions.get(&token.session);
        let by_it = session.is_some_and(|called| {
            called.begun == Some(at) && called.latest == at && called.acknowledged.is_none()
        });
        let mut subjects = self.subjects.keys();
        by_it
            && !subjects
                .any(|(subject, below)| *subject == token.subject && token.generation < *below)
    }

    /// A client received a token that it requested at `asked_at`.
    pub(crate) fn issued(&mut self, token: &Held, asked_at: u64, now: u64) {
        self.signs(token, asked_at);
        let known = self.known.entry(token.subject.clone()).or_default();
        known.insert(token.session.clone());
        let doubt = self.doubts.get(&token.subject);
        if doubt.is_some_and(|until| now < *until) {
            self.session_ends(&token.session, now, false);
        }
    }

    /// A client received a refresh token.
    pub(crate) fn holds(&mut self, refresh: &str) {
        let mut parts = refresh.split('.');
        let place = format!(
            "{}.{}",
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default()
        );
        match self.heads.get(&place) {
            Some(known) if known != refresh => {
                let what = format!("{} has two tokens of one generation", brief(&place));
                self.fail(Invariant::OneHead, what);
            }
            Some(_) => {}
            None => drop(self.heads.insert(place, refresh.to_owned())),
        }
    }

    /// An attempt at `now`, counted in `bucket`, was allowed. Clock differences shorten the window
    /// by 3 s: 2 s of skew, 1 s of rounding.
    pub(crate) fn passes(&mut self, bucket: &str, now: u64) {
        let most = usize::try_from(ATTEMPTS).expect("few");
        let per = PER.as_secs() * 1_000;
        let passed = self.passed.entry(bucket.to_owned()).or_default();
        passed.push(now);
        passed.sort_unstable();
        let exceeded = passed
            .windows(most + 1)
            .any(|some| some[most] - some[0] + SKEW + ROUNDING < per);
        if exceeded {
            let what = format!("more than {most} attempts were allowed within {per} ms");
            self.fail(Invariant::Quota, what);
        }
    }

    /// The attempt in `bucket` at `now` was successful and is about to be refunded.
    pub(crate) fn gives_back(&mut self, bucket: &str, now: u64) {
        let passed = self.passed.entry(bucket.to_owned()).or_default();
        if let Some(place) = passed.iter().position(|at| *at == now) {
            passed.remove(place);
        }
        self.meet(Case::Refund);
    }
}

impl Called {
    fn note(&mut self, now: u64, acknowledged: bool) {
        self.begun.get_or_insert(now);
        if acknowledged {
            self.acknowledged.get_or_insert(now);
        } else {
            self.latest = now;
        }
    }
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// The start of an identifier: enough to follow it through the events.
pub(crate) fn brief(name: &str) -> &str {
    name.get(..6).unwrap_or(name)
}
