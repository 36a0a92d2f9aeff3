//! What one seed makes of the world: how many there are, how their clocks stand, when the store is
//! away, and what goes wrong in between.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use portcullis_core::audit::AuditKind;
use portcullis_core::id::Id;
use portcullis_core::policy::{KeySource, Policy, Staleness, TrustedIssuer};
use portcullis_core::revocation::RevocationTarget;
use portcullis_core::route::Routes;
use portcullis_core::token::algorithm::Algorithm;

use crate::executor::{Executor, Sleep};
use crate::mutation::Mutation;
use crate::oracle::{Invariant, Oracle};
use crate::random::Random;
use crate::store::Tables;
use crate::user::{Promise, Promises};

/// 2026-11-23T12:00:00Z, in milliseconds.
pub(crate) const EPOCH: u64 = 1_795_435_200_000;

pub(crate) const ISSUER: &str = "https://login.example";
pub(crate) const AUDIENCE: &str = "https://api.example";

/// How old the keys of an edge may be.
pub(crate) const KEYS_HARD: Duration = Duration::from_secs(40);

/// How old a host's knowledge of the key document and of the secret may be.
pub(crate) const HOST_CACHE: Duration = Duration::from_secs(10);

/// After a dependency heals, so long until service must be back: a call that hung when it healed
/// runs out of time, the breaker stays open for an interval, a failed reading is repeated after a
/// second, and clocks tell whole seconds.
pub(crate) const BACK_WITHIN: u64 = crate::store::TIME_OUT + 2_000 + 1_000 + 1_000;

/// What a node depends on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dependency {
    Store,
    Secrets,
}

/// When a dependency is away, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    pub(crate) of: Dependency,
    pub(crate) from: u64,
    pub(crate) until: u64,
}

impl Outage {
    const fn lasts_at(&self, now: u64) -> bool {
        self.from <= now && now < self.until
    }
}

/// What a seed draws at the beginning.
#[derive(Debug)]
pub(crate) struct Plan {
    /// When the world ends, in milliseconds.
    pub(crate) end: u64,
    /// How long tokens live: everything is as in the product but shorter, so that minutes hold
    /// whole rotations.
    pub(crate) lifetime: Duration,
    pub(crate) hosts: u64,
    pub(crate) edges: u64,
    pub(crate) users: u64,
    pub(crate) outages: Vec<Outage>,
    /// Whether what is away says nothing, instead of refusing.
    pub(crate) hangs: bool,
    /// How many ways of a thousand take seconds.
    pub(crate) slow: u64,
    /// Whether a key is called back, and when.
    pub(crate) drops_at: Option<u64>,
    /// Whether single calls fail, dawdle or crash.
    pub(crate) faults: bool,
}

impl Plan {
    fn draw(random: &Random) -> Self {
        // Where tokens live longer, a cold edge looks far enough back to find packs.
        let (end, lifetime) = if random.chance(120) {
            (480_000, Duration::from_secs(160))
        } else {
            (200_000, Duration::from_secs(40))
        };
        let mut outages = vec![];
        let mut from = random.within(20_000, 70_000);
        for _ in 0..random.within(0, end / 100_000) {
            let until = from + random.within(6_000, 45_000);
            let of = if random.chance(700) {
                Dependency::Store
            } else {
                Dependency::Secrets
            };
            if until + 2 * BACK_WITHIN < end {
                outages.push(Outage { of, from, until });
            }
            from = until + random.within(30_000, 60_000);
        }
        Self {
            end,
            lifetime,
            hosts: random.within(2, 3),
            edges: random.within(1, 3),
            users: random.within(2, 3),
            outages,
            hangs: random.chance(500),
            faults: random.chance(900),
            slow: *random.pick(&[25, 25, 100, 250]),
            drops_at: random
                .chance(500)
                .then(|| random.within(20_000, end - 60_000)),
        }
    }
}

/// Everything there is.
pub(crate) struct World {
    pub(crate) executor: Rc<Executor>,
    pub(crate) random: Random,
    pub(crate) plan: Plan,
    pub(crate) mutation: Option<Mutation>,
    pub(crate) tables: RefCell<Tables>,
    pub(crate) oracle: RefCell<Oracle>,
    /// What is kept near the edges.
    pub(crate) shelf: RefCell<BTreeMap<String, Vec<u8>>>,
    /// How many keys were made.
    pub(crate) keys: Cell<u64>,
    promises: RefCell<Promises>,
    story: Option<RefCell<Vec<String>>>,
}

impl World {
    pub(crate) fn new(seed: u64, mutation: Option<Mutation>, told: bool) -> Rc<Self> {
        let random = Random::new(seed);
        Rc::new(Self {
            executor: Rc::default(),
            plan: Plan::draw(&random),
            random,
            mutation,
            tables: RefCell::default(),
            oracle: RefCell::default(),
            shelf: RefCell::default(),
            keys: Cell::default(),
            promises: RefCell::default(),
            story: told.then(RefCell::default),
        })
    }

    pub(crate) fn now(&self) -> u64 {
        self.executor.now()
    }

    pub(crate) fn sleep(&self, millis: u64) -> Sleep {
        self.executor.sleep(millis)
    }

    /// Adds a line to the story, if anybody listens.
    pub(crate) fn tell(&self, line: impl FnOnce() -> String) {
        // It ends with what must not be.
        let over = |oracle: &RefCell<Oracle>| {
            let oracle = oracle.try_borrow();
            oracle.is_ok_and(|oracle| oracle.violation.is_some())
        };
        if let Some(story) = self.story.as_ref().filter(|_| !over(&self.oracle)) {
            let (secs, millis) = (self.now() / 1_000, self.now() % 1_000);
            story
                .borrow_mut()
                .push(format!("{secs:>4}.{millis:03}  {}", line()));
        }
    }

    pub(crate) fn take_story(&self) -> Vec<String> {
        self.story.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// Whether `dependency` is away.
    pub(crate) fn is_away(&self, dependency: Dependency) -> bool {
        let now = self.now();
        let mut outages = self.plan.outages.iter();
        outages.any(|outage| outage.of == dependency && outage.lasts_at(now))
    }

    /// Whether a fault happens that does so `in_thousand` times of a thousand. For a while after
    /// an outage none does: what is looked at there is how service comes back.
    pub(crate) fn fault(&self, in_thousand: u64) -> bool {
        let now = self.now();
        let mut outages = self.plan.outages.iter();
        let quiet = outages.any(|outage| {
            (outage.from.saturating_sub(6_000)..outage.until + 2 * BACK_WITHIN).contains(&now)
        });
        self.plan.faults && !quiet && self.random.chance(in_thousand)
    }

    /// A clock that is at most a second off the true one, so that no two are more than two apart.
    pub(crate) fn offset(&self) -> i64 {
        i64::try_from(self.random.within(0, 2_000)).expect("small") - 1_000
    }

    pub(crate) fn promise(&self, promise: Promise) {
        self.promises.borrow_mut().done.insert(promise);
    }

    /// Somebody was told that `session` has come to `generation`.
    pub(crate) fn head_reaches(&self, session: Id, generation: u64) {
        let mut promises = self.promises.borrow_mut();
        let known = promises.heads.entry(session).or_default();
        *known = generation.max(*known);
    }

    /// Looks whether everything that was promised is there.
    pub(crate) fn settle_accounts(&self) {
        let (tables, promises) = (self.tables.borrow(), self.promises.borrow());
        let mut oracle = self.oracle.borrow_mut();
        for promise in &promises.done {
            oracle.count(Invariant::NothingLost);
            if !is_kept(promise, &tables) {
                let what = format!("{promise:?} was acknowledged, and there is no trace of it");
                oracle.fail(Invariant::NothingLost, what);
            }
        }
        for (session, generation) in &promises.heads {
            oracle.count(Invariant::NothingLost);
            let kept = tables.sessions.get(session);
            if kept.is_some_and(|kept| kept.head.generation < *generation) {
                let what = format!("session {session} has gone back behind {generation}");
                oracle.fail(Invariant::NothingLost, what);
            }
        }
    }

    /// The end of the world: what is left to be done is not.
    pub(crate) fn run(&self) {
        self.executor.run(self.plan.end, &self.random);
    }
}

/// A state change and its line in the audit trail are one: a session that is gone was there.
fn is_kept(promise: &Promise, tables: &Tables) -> bool {
    match promise {
        Promise::Opened(request, session) => {
            let line = (request.clone(), AuditKind::LoggedIn.action());
            let target = RevocationTarget::Session(session.to_string());
            tables.audit.contains(&line)
                && (tables.sessions.contains_key(session) || tables.revoked.contains_key(&target))
        }
        Promise::Ended(session) => {
            let target = RevocationTarget::Session(session.to_string());
            !tables.sessions.contains_key(session) && tables.revoked.contains_key(&target)
        }
        Promise::EndedAll(user_id, below) => {
            let account = tables.account_of(user_id);
            let told = tables.revoked.keys().any(|target| match target {
                RevocationTarget::Subject {
                    subject,
                    generation,
                    ..
                } => subject == user_id.as_str() && generation >= below,
                RevocationTarget::Token(_)
                | RevocationTarget::Session(_)
                | RevocationTarget::Key(_) => false,
            });
            told && account.is_some_and(|account| account.generation >= *below)
        }
    }
}

/// What the edges go by: the bounds of revocations are the product's own.
pub(crate) fn policy(lifetime: Duration, mutation: Option<Mutation>) -> Policy {
    let secs = Duration::from_secs;
    let hard = if mutation == Some(Mutation::TrustStale) {
        secs(3_600)
    } else {
        secs(30)
    };
    Policy {
        issuers: vec![TrustedIssuer {
            issuer: ISSUER.to_owned(),
            audience: vec![AUDIENCE.to_owned()],
            algorithms: vec![Algorithm::EdDsa],
            keys: KeySource::Document,
            leeway: Duration::ZERO,
            max_lifetime: lifetime,
            max_age: None,
        }],
        routes: Routes::default(),
        revocations: Staleness {
            poll: secs(5),
            soft: secs(10),
            hard,
        },
        keys: Staleness {
            poll: secs(15),
            soft: secs(20),
            hard: KEYS_HARD.max(hard),
        },
        strip_token: false,
    }
}
