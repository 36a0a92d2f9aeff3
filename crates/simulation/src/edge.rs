//! An edge: isolates with the product's own snapshot cache and gate. Requests may be aborted during
//! a read.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use portcullis_core::breaker::BreakerState;
use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::revocation::{Revocations, TokenIds};
use portcullis_core::route::{Access, Requirement, RevocationMode};
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_service::edge::authorize::{EdgeRequest, Lookup, authorize};
use portcullis_service::edge::snapshot_cache::SnapshotCache;
use portcullis_service::ports::{Clock, SignatureVerifier};
use portcullis_service::snapshot::Keys;
use portcullis_service::store::StoreError;

use crate::clock::SimClock;
use crate::crypto::SimSignatures;
use crate::edge_answer::{EdgeAnswer, Known};
use crate::mutation::Mutation;
use crate::oracle::Case;
use crate::plan::SimDependency;
use crate::settings::policy;
use crate::store::{SimCache, View};
use crate::world::SimWorld;

pub(crate) struct SimEdge {
    pub(crate) name: String,
    pub(crate) clock: SimClock,
    world: Rc<SimWorld>,
    gate: Gate,
    shelf: SimCache,
    isolate: RefCell<Rc<Isolate>>,
}

/// The state that is lost with an isolate.
struct Isolate {
    knowledge: SnapshotCache,
    store: View,
    /// The store with the breaker of lookups.
    lookups: View,
    /// Whether a read is in progress, for [`Mutation::HoldClaim`].
    reads: Cell<bool>,
}

impl SimEdge {
    pub(crate) fn new(world: &Rc<SimWorld>, name: String) -> Rc<Self> {
        Rc::new(Self {
            clock: SimClock::new(world, &name),
            shelf: SimCache(Rc::clone(world)),
            isolate: RefCell::new(Isolate::new(world, &name)),
            name,
            world: Rc::clone(world),
            gate: Gate::new(policy(world.plan.lifetime, world.mutation)),
        })
    }

    /// Its isolate takes no more requests, and the next request gets a new one.
    pub(crate) fn evict(&self) {
        self.world.tell(|| format!("{} restarts", self.name));
        self.isolate.replace(Isolate::new(&self.world, &self.name));
    }

    pub(crate) async fn admit(self: Rc<Self>, token: String, mode: RevocationMode) -> EdgeAnswer {
        self.authorize(token, mode, true).await
    }

    /// `is_kept` means that a read continues although the client that caused it disconnects.
    async fn authorize(
        self: Rc<Self>,
        token: String,
        mode: RevocationMode,
        is_kept: bool,
    ) -> EdgeAnswer {
        let isolate = Rc::clone(&self.isolate.borrow());
        let before = isolate.known();
        let said = self.authorize_with(&isolate, &token, mode, is_kept).await;
        EdgeAnswer {
            said,
            before,
            after: isolate.known(),
        }
    }

    /// The client disconnects before the response, and every second time its read is aborted too: a
    /// platform promises no more than an attempt.
    pub(crate) async fn leave(self: Rc<Self>, token: String, mode: RevocationMode, after: u64) {
        let world = Rc::clone(&self.world);
        let is_kept = world.random.chance(500);
        let asked = Box::pin(self.authorize(token, mode, is_kept));
        let gone = world.sleep(after);
        if let Either::Right(_) = select(asked, gone).await {
            world.oracle.borrow_mut().meet(Case::Left);
        }
    }

    async fn authorize_with(
        self: &Rc<Self>,
        isolate: &Rc<Isolate>,
        token: &str,
        revocation: RevocationMode,
        is_kept: bool,
    ) -> Result<(), Denial> {
        let requirement = Requirement {
            revocation,
            ..Requirement::new(Access::Token)
        };
        let visit = SimRequest {
            edge: Rc::clone(self),
            isolate: Rc::clone(isolate),
            is_kept,
        };
        authorize(&visit, &requirement, token).await.map(drop)
    }

    /// Whether the read of another request blocks all others.
    fn is_held_up(&self, isolate: &Isolate) -> bool {
        self.world.mutation == Some(Mutation::HoldClaim) && isolate.reads.get()
    }

    async fn refresh(&self, isolate: &Isolate, keys: Keys, began_at: UnixTime) {
        self.world.tell(|| {
            let age = isolate.known().map(|known| {
                let keys = began_at.since(known.keys_at).as_secs();
                let revocations = began_at.since(known.revocations_at).as_secs();
                format!("its keys are {keys} s old, its revocations {revocations} s")
            });
            let age = age.unwrap_or_else(|| "it has no snapshot".to_owned());
            format!("{} starts to read ({keys:?}): {age}", self.name)
        });
        isolate.reads.set(true);
        let (policy, shelf) = (self.gate.policy(), &self.shelf);
        let read =
            isolate
                .knowledge
                .refresh(policy, keys, began_at, &isolate.store, shelf, &self.clock);
        // The view has already logged the failure.
        let read = read.await;
        isolate.reads.set(false);
        self.world.tell(|| {
            let end = if read.is_ok() {
                "has read"
            } else {
                "could not read everything"
            };
            format!("{} {end}", self.name)
        });
    }
}

/// One request in the isolate that received it.
struct SimRequest {
    edge: Rc<SimEdge>,
    isolate: Rc<Isolate>,
    is_kept: bool,
}

impl SimRequest {
    fn reading(&self, keys: Keys, began_at: UnixTime) -> impl Future<Output = ()> + 'static {
        let (edge, isolate) = (Rc::clone(&self.edge), Rc::clone(&self.isolate));
        async move {
            if !edge.is_held_up(&isolate) {
                edge.refresh(&isolate, keys, began_at).await;
            }
        }
    }
}

impl EdgeRequest for SimRequest {
    fn gate(&self) -> &Gate {
        &self.edge.gate
    }

    fn snapshot_cache(&self) -> &SnapshotCache {
        &self.isolate.knowledge
    }

    fn signatures(&self) -> &impl SignatureVerifier {
        &SimSignatures
    }

    fn store_unavailable(&self) -> bool {
        self.isolate.store.standing() != BreakerState::Closed
    }

    async fn sleep(&self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).expect("short");
        self.edge.world.sleep(millis).await;
    }

    async fn refresh(&self, keys: Keys, began_at: UnixTime) {
        let reading = self.reading(keys, began_at);
        // The plan decides whether probes may vanish.
        if self.is_kept || self.store_unavailable() {
            let _ = self.edge.world.executor.remote(reading).await;
        } else {
            reading.await;
        }
    }

    fn refresh_in_background(&self, began_at: UnixTime) {
        let reading = self.reading(Keys::WhenDue, began_at);
        self.edge.world.executor.spawn(reading);
    }

    fn on_authorized(&self, _: &Requirement, _: &Snapshot) {}
}

impl Clock for SimRequest {
    fn now(&self) -> UnixTime {
        self.edge.clock.now()
    }
}

impl Lookup for SimRequest {
    async fn look_up(
        &self,
        _: &Requirement,
        _: &Snapshot,
        token: TokenIds<'_>,
    ) -> Result<Revocations, StoreError> {
        self.isolate.lookups.look_up(token).await
    }
}

impl Isolate {
    fn new(world: &Rc<SimWorld>, name: &str) -> Rc<Self> {
        Rc::new(Self {
            knowledge: SnapshotCache::default(),
            store: View::new(world, name, SimDependency::Store),
            lookups: View::new(world, name, SimDependency::Store),
            reads: Cell::default(),
        })
    }

    fn known(&self) -> Option<Known> {
        self.knowledge.current().map(|held| Known {
            keys_at: held.keys_read_at(),
            revocations_at: held.revocations_read_at(),
        })
    }
}
