//! [`SimWorld`], the simulation of one seed: the state that all nodes share, and the operations that were
//! acknowledged.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use portcullis_core::audit::AuditKind;
use portcullis_core::id::Id;
use portcullis_core::revocation::RevocationTarget;

use crate::executor::{Executor, Sleep};
use crate::mutation::Mutation;
use crate::oracle::service::Failures;
use crate::oracle::{Invariant, Oracle};
use crate::plan::{Plan, SimDependency};
use crate::promise::{Promise, Promises};
use crate::random::Random;
use crate::tables::SimTables;

/// Called when a publication is sent; returns its travel time in milliseconds if it is part of a race.
pub(crate) type OnPublication = Box<dyn Fn(&Rc<SimWorld>) -> Option<u64>>;

/// The whole state of one run.
pub(crate) struct SimWorld {
    pub(crate) executor: Rc<Executor>,
    pub(crate) random: Random,
    pub(crate) plan: Plan,
    pub(crate) mutation: Option<Mutation>,
    pub(crate) tables: RefCell<SimTables>,
    pub(crate) oracle: RefCell<Oracle>,
    /// The cache near the edges.
    pub(crate) shelf: RefCell<BTreeMap<String, Vec<u8>>>,
    /// The number of created keys.
    pub(crate) keys: Cell<u64>,
    /// The started steps of rotations.
    pub(crate) begun: RefCell<BTreeSet<String>>,
    /// Starts the race of a key's publication against an edge's read, if this world has one.
    pub(crate) on_publication: RefCell<Option<OnPublication>>,
    /// The node in that race, and the start and end of the span in which it cannot read its keys.
    cut_off: RefCell<Option<(String, u64, u64)>>,
    promises: RefCell<Promises>,
    story: Option<RefCell<Vec<String>>>,
}

impl SimWorld {
    pub(crate) fn new(seed: u64, mutation: Option<Mutation>, reported: bool) -> Rc<Self> {
        let random = Random::new(seed);
        let plan = Plan::draw(&random);
        Rc::new(Self {
            executor: Rc::default(),
            oracle: RefCell::new(Oracle::new(&plan)),
            plan,
            random,
            mutation,
            tables: RefCell::default(),
            shelf: RefCell::default(),
            keys: Cell::default(),
            begun: RefCell::default(),
            on_publication: RefCell::default(),
            cut_off: RefCell::default(),
            promises: RefCell::default(),
            story: reported.then(RefCell::default),
        })
    }

    pub(crate) fn now(&self) -> u64 {
        self.executor.now()
    }

    pub(crate) fn sleep(&self, millis: u64) -> Sleep {
        self.executor.sleep(millis)
    }

    /// Adds a line to the events, if they are recorded.
    pub(crate) fn tell(&self, line: impl FnOnce() -> String) {
        // The events end with the first violation.
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

    /// Whether `dependency` is unavailable to `node`.
    pub(crate) fn is_away(&self, dependency: SimDependency, node: &str) -> bool {
        let now = self.now();
        let is_ambushed = |cut: &Option<(String, u64, u64)>| {
            let cut = cut.as_ref();
            cut.is_some_and(|(who, from, until)| who == node && (*from..*until).contains(&now))
        };
        self.plan.is_away(dependency, node, now)
            || (dependency == SimDependency::KeyDocument && is_ambushed(&self.cut_off.borrow()))
    }

    /// Cuts the edge `who` off from its keys, for `span` from a time shortly after now.
    pub(crate) fn cut_off(&self, who: &str, from: u64, span: u64) {
        self.cut_off
            .replace(Some((who.to_owned(), from, from + span)));
    }

    /// Whether an edge has been cut off from its keys.
    pub(crate) fn is_cut_off(&self) -> bool {
        let cut = self.cut_off.borrow();
        cut.as_ref()
            .is_some_and(|(_, _, until)| self.now() < *until)
    }

    /// Whether all dependencies of `node` were available since `from`.
    pub(crate) fn spares(&self, node: &str, from: u64) -> bool {
        self.plan.spares(node, from, self.now()) && !self.was_ambushed(node, from)
    }

    /// Whether `node` was in an ambush at `from`, or had just left one.
    fn was_ambushed(&self, node: &str, from: u64) -> bool {
        let cut = self.cut_off.borrow();
        cut.as_ref()
            .is_some_and(|(who, _, until)| who == node && from < until + self.plan.back_within())
    }

    /// Whether `node` is in an ambush, or has just left one.
    pub(crate) fn is_ambushed(&self, node: &str) -> bool {
        self.was_ambushed(node, self.now())
    }

    /// `node` has done `what` since `begun`, or failed.
    pub(crate) fn tried(
        &self,
        node: &str,
        what: &str,
        failures: &mut Failures,
        done: bool,
        begun: u64,
    ) {
        let is_spared = self.spares(node, begun);
        let mut oracle = self.oracle.borrow_mut();
        oracle.tried(what, failures, done, is_spared);
    }

    /// Whether a fault with a probability of `in_thousand` per thousand happens. None happens near
    /// the end of an outage, so that only the recovery is measured.
    pub(crate) fn fault(&self, in_thousand: u64) -> bool {
        self.plan.faults && !self.plan.is_quiet(self.now()) && self.random.chance(in_thousand)
    }

    /// Records the start and the end of each outage.
    pub(crate) fn tell_outages(self: &Rc<Self>) {
        for outage in &self.plan.outages {
            let who = outage.who.as_deref().unwrap_or("all nodes");
            let of = outage.of;
            for (at, line) in [
                (outage.from, format!("{of:?} is unavailable to {who}")),
                (outage.until, format!("{of:?} is available to {who} again")),
            ] {
                let world = Rc::clone(self);
                self.executor.spawn(async move {
                    world.sleep(at).await;
                    world.tell(|| line);
                });
            }
        }
    }

    /// The travel time of a publication that is part of a race.
    pub(crate) fn publication_travels(self: &Rc<Self>) -> Option<u64> {
        let hook = self.on_publication.borrow();
        hook.as_ref().and_then(|hook| hook(self))
    }

    pub(crate) fn promise(&self, promise: Promise) {
        self.promises.borrow_mut().done.insert(promise);
    }

    /// A client was told that `session` has reached `generation`.
    pub(crate) fn head_reaches(&self, session: Id, generation: u64) {
        let mut promises = self.promises.borrow_mut();
        let known = promises.heads.entry(session).or_default();
        *known = generation.max(*known);
    }

    /// Checks that every acknowledged operation took effect.
    pub(crate) fn settle_accounts(&self) {
        let (tables, promises) = (self.tables.borrow(), self.promises.borrow());
        let mut oracle = self.oracle.borrow_mut();
        for promise in &promises.done {
            oracle.count(Invariant::NothingLost);
            if !is_kept(promise, &tables) {
                let what = format!("{promise:?} was acknowledged, but is missing");
                oracle.fail(Invariant::NothingLost, what);
            }
        }
        for (session, generation) in &promises.heads {
            oracle.count(Invariant::NothingLost);
            let kept = tables.sessions.get(session);
            if kept.is_some_and(|kept| kept.head.generation < *generation) {
                let what =
                    format!("session {session} has gone back behind generation {generation}");
                oracle.fail(Invariant::NothingLost, what);
            }
        }
    }

    /// The end of the run: pending work is dropped.
    pub(crate) fn run(&self) {
        self.executor.run(self.plan.end, &self.random);
    }
}

/// A state change and its audit entry are atomic: a session that is gone had existed.
fn is_kept(promise: &Promise, tables: &SimTables) -> bool {
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
            let reported = tables.revoked.keys().any(|target| match target {
                RevocationTarget::Subject {
                    subject,
                    generation,
                    ..
                } => subject == user_id.as_str() && generation >= below,
                RevocationTarget::Token(_)
                | RevocationTarget::Session(_)
                | RevocationTarget::Key(_) => false,
            });
            reported && account.is_some_and(|account| account.generation >= *below)
        }
    }
}
