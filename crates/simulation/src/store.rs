//! The store as one node reaches it. Each call may be slow, rejected, lost on the way there or
//! back, late, or outlive its caller.

mod cache;
mod factors;
mod packs;
mod ports;
mod secrets;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use portcullis_core::breaker::{
    Breaker, BreakerConfig, BreakerPermit, BreakerState, CallOutcome, Permit,
};
use portcullis_core::revocation::{Revocation, RevocationTarget};
use portcullis_core::time::UnixTime;
use portcullis_service::store::StoreError;
use thiserror::Error;

pub(crate) use self::cache::SimCache;
use crate::bounds::{TIME_OUT, millis_of};
use crate::mutation::Mutation;
use crate::oracle::{Case, brief};
use crate::plan::SimDependency;
use crate::tables::SimTables;
use crate::world::SimWorld;

/// The operation by which edges learn new keys.
const READING_KEYS: &str = "reading the keys";

/// The operation that publishes a new key.
const PUBLISHING: &str = "publishing a key";

/// The reason why a call failed.
#[derive(Clone, Copy, Debug, Error)]
enum Fault {
    #[error("the breaker is open")]
    Open,
    #[error("the request was rejected")]
    Refused,
    #[error("no response")]
    NoAnswer,
    #[error("the simulation does not support this")]
    NotSimulated,
}

/// The connection of one node to one dependency.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) world: Rc<SimWorld>,
    node: Rc<str>,
    to: SimDependency,
    breaker: Rc<RefCell<Breaker>>,
}

impl View {
    pub(crate) fn new(world: &Rc<SimWorld>, node: &str, to: SimDependency) -> Self {
        let interval = if world.mutation == Some(Mutation::ProbeSeldom) {
            Duration::from_secs(60)
        } else {
            BreakerConfig::DEFAULT.interval
        };
        let patience = if world.mutation == Some(Mutation::AwaitLostProbe) {
            Duration::MAX
        } else {
            BreakerConfig::DEFAULT.probe_timeout
        };
        let breaker = Breaker::new(BreakerConfig {
            interval,
            probe_timeout: patience,
            ..BreakerConfig::DEFAULT
        });
        Self {
            world: Rc::clone(world),
            node: node.into(),
            to,
            breaker: Rc::new(RefCell::new(breaker)),
        }
    }

    /// The state of the breaker.
    pub(crate) fn standing(&self) -> BreakerState {
        self.breaker.borrow().standing()
    }

    /// Applies `act` to the tables at one point between request and response, or not at all.
    async fn call<T: 'static>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&mut SimTables, u64) -> T + 'static,
    ) -> Result<T, StoreError> {
        let failed = |fault| {
            self.world
                .tell(|| format!("{}: {operation}: {fault}", self.node));
            StoreError::new(operation, fault)
        };
        let permit = self.permit().await.map_err(failed)?;
        self.maybe_lose(permit, operation).await;
        self.maybe_crash(operation).await;
        let called = self.exchange(operation, act).await;
        // A "not now" is a response: the store is available.
        let outcome = match &called {
            Ok(_) | Err(Fault::Refused | Fault::Open | Fault::NotSimulated) => {
                CallOutcome::Answered
            }
            Err(Fault::NoAnswer) => CallOutcome::Failed,
        };
        let now = Duration::from_millis(self.world.now());
        let chance = self.world.random.next();
        self.breaker
            .borrow_mut()
            .record(permit, outcome, now, chance);
        self.maybe_crash(operation).await;
        called.map_err(failed)
    }

    async fn permit(&self) -> Result<Permit, Fault> {
        for _ in 0..8 {
            let now = Duration::from_millis(self.world.now());
            let admission = self.breaker.borrow_mut().admit(now);
            match admission {
                BreakerPermit::Pass(permit) => return Ok(permit),
                BreakerPermit::Wait => self.world.sleep(25).await,
                BreakerPermit::Refuse => break,
            }
        }
        Err(Fault::Open)
    }

    async fn exchange<T: 'static>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&mut SimTables, u64) -> T + 'static,
    ) -> Result<T, Fault> {
        let world = &self.world;
        let (there, back) = (self.span(operation), self.span(""));
        if there >= TIME_OUT {
            // It arrives although its caller has given up.
            let (late, to, node) = (Rc::clone(world), self.to, Rc::clone(&self.node));
            world.executor.spawn(async move {
                late.sleep(there).await;
                if !late.is_away(to, &node) {
                    late.tell(|| format!("{node}: {operation} arrives after {there} ms"));
                    drop(act(&mut late.tables.borrow_mut(), late.now()));
                }
            });
            world.sleep(TIME_OUT).await;
            return Err(Fault::NoAnswer);
        }
        world.sleep(there).await;
        let keys_are_away =
            operation == READING_KEYS && world.is_away(SimDependency::KeyDocument, &self.node);
        if world.is_away(self.to, &self.node) || keys_are_away {
            if world.plan.hangs {
                world.sleep(TIME_OUT - there).await;
            }
            return Err(Fault::NoAnswer);
        }
        if world.fault(8) {
            return Err(Fault::Refused);
        }
        if world.fault(8) {
            return Err(Fault::NoAnswer);
        }
        let done = act(&mut world.tables.borrow_mut(), world.now());
        if there + back >= TIME_OUT {
            world.sleep(TIME_OUT - there).await;
            return Err(Fault::NoAnswer);
        }
        world.sleep(back).await;
        if world.fault(8) {
            return Err(Fault::NoAnswer);
        }
        Ok(done)
    }

    /// The duration of one transmission: usually milliseconds, seconds now and then.
    fn span(&self, operation: &str) -> u64 {
        let random = &self.world.random;
        if operation == PUBLISHING
            && let Some(there) = self.world.publication_travels()
        {
            return there;
        }
        let is_laggard = self.world.plan.laggard.as_deref() == Some(&*self.node);
        if is_laggard && self.world.fault(600) {
            random.within(300, TIME_OUT - 500)
        } else if self.world.fault(self.world.plan.slow) {
            random.within(300, 6_000)
        } else {
            random.within(1, 20)
        }
    }

    async fn maybe_crash(&self, operation: &str) {
        if self.world.fault(2) {
            self.world
                .tell(|| format!("{} crashes during {operation}", self.node));
            self.world.oracle.borrow_mut().meet(Case::Crash);
            self.world.executor.crash().await;
        }
    }

    /// While a dependency is about to recover, a probing task may vanish without a notice.
    async fn maybe_lose(&self, permit: Permit, operation: &str) {
        let world = &self.world;
        let may = permit.is_probe() && world.plan.loses_probes;
        if may && world.plan.is_healing(world.now()) && world.random.chance(400) {
            world.tell(|| format!("{} crashes while probing by {operation}", self.node));
            world.oracle.borrow_mut().meet(Case::LostProbe);
            world.executor.crash().await;
        }
    }

    fn loses_write(&self) -> bool {
        self.world.mutation == Some(Mutation::LoseWrites) && self.world.random.chance(20)
    }
}

/// The feed rows committed now, with their stamp in seconds since the start.
fn tell_rows(world: &SimWorld, rows: &[Revocation], stamp: UnixTime) {
    for row in rows {
        world.tell(|| {
            let limit_key = match &row.target {
                RevocationTarget::Token(id) => format!("token {}", brief(id)),
                RevocationTarget::Session(id) => format!("session {}", brief(id)),
                RevocationTarget::Key(id) => format!("key {id}"),
                RevocationTarget::Subject {
                    subject,
                    generation,
                    ..
                } => format!("{} below generation {generation}", brief(subject)),
            };
            format!(
                "store: feed row for {limit_key}, stamped {}",
                millis_of(stamp) / 1_000
            )
        });
    }
}
