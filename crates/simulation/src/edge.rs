//! An edge isolate: the product's own knowledge and gate, between requests that may vanish in the
//! midst of a reading.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use portcullis_core::breaker::Standing;
use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::route::{Access, Requirement, RevocationMode};
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;
use portcullis_service::edge;
use portcullis_service::guard;
use portcullis_service::knowledge::Knowledge;
use portcullis_service::ports::Clock;
use portcullis_service::snapshot::Keys;

use crate::crypto::SimSignatures;
use crate::store::{SimShelf, View, clock};
use crate::world::{Dependency, World, policy};

pub(crate) struct Edge {
    pub(crate) name: String,
    world: Rc<World>,
    offset: i64,
    gate: Gate,
    store: View,
    shelf: SimShelf,
    knowledge: RefCell<Rc<Knowledge>>,
}

impl Clock for Edge {
    fn now(&self) -> UnixTime {
        clock(self.world.now(), self.offset)
    }
}

impl Edge {
    pub(crate) fn new(world: &Rc<World>, name: String, offset: i64) -> Rc<Self> {
        Rc::new(Self {
            store: View::new(world, &name, Dependency::Store),
            shelf: SimShelf(Rc::clone(world)),
            name,
            world: Rc::clone(world),
            offset,
            gate: Gate::new(policy(world.plan.lifetime, world.mutation)),
            knowledge: RefCell::default(),
        })
    }

    /// Its isolate is gone, and the next request meets a new one.
    pub(crate) fn evict(&self) {
        self.knowledge.take();
    }

    pub(crate) async fn admit(
        self: &Rc<Self>,
        token: &str,
        revocation: RevocationMode,
    ) -> Result<(), Denial> {
        let need = Requirement {
            access: Access::Token,
            scopes: vec![],
            serve_stale: None,
            revocation,
        };
        let visit = Visit {
            edge: Rc::clone(self),
            knowledge: Rc::clone(&self.knowledge.borrow()),
        };
        edge::admit(&visit, &need, token).await.map(drop)
    }
}

/// One request at an edge, in the isolate that it met.
struct Visit {
    edge: Rc<Edge>,
    knowledge: Rc<Knowledge>,
}

impl edge::Visit for Visit {
    fn gate(&self) -> &Gate {
        &self.edge.gate
    }

    fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    fn now(&self) -> UnixTime {
        self.edge.now()
    }

    fn store_is_away(&self) -> bool {
        self.edge.store.standing() != Standing::Closed
    }

    async fn sleep(&self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).expect("short");
        self.edge.world.sleep(millis).await;
    }

    async fn read(&self, keys: Keys, began_at: UnixTime) {
        self.refresh(keys, began_at).await;
    }

    fn read_behind(&self, began_at: UnixTime) {
        let behind = Self {
            edge: Rc::clone(&self.edge),
            knowledge: Rc::clone(&self.knowledge),
        };
        let reading = async move { behind.refresh(Keys::WhenDue, began_at).await };
        self.edge.world.executor.spawn(reading);
    }

    async fn judge(
        &self,
        need: &Requirement,
        token: &str,
        world: &Snapshot,
    ) -> Result<Verified<Claims>, Denial> {
        let edge = &*self.edge;
        let (gate, store) = (&edge.gate, &edge.store);
        guard::admit(gate, need, token, world, &SimSignatures, store, edge).await
    }
}

impl Visit {
    async fn refresh(&self, keys: Keys, began_at: UnixTime) {
        let edge = &*self.edge;
        let (policy, shelf) = (edge.gate.policy(), &edge.shelf);
        let read = self
            .knowledge
            .refresh(policy, keys, began_at, &edge.store, shelf, edge);
        // The view has told what failed.
        drop(read.await);
    }
}
