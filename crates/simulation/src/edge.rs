//! An edge isolate: the product's own knowledge and gate, between requests that may vanish in the
//! midst of a reading.

use std::cell::RefCell;
use std::rc::Rc;

use portcullis_core::breaker::Standing;
use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::route::{Access, Requirement, RevocationMode};
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_service::guard;
use portcullis_service::knowledge::{Knowledge, Preparation, UnknownKey};
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
        mode: RevocationMode,
    ) -> Result<(), Denial> {
        let now = self.now();
        let world = self.snapshot_at(now).await.ok_or(Denial::StaleSnapshot)?;
        let unknown = match self.judge(token, mode, &world).await {
            Err(Denial::UnknownKey) => Denial::UnknownKey,
            settled => return settled,
        };
        match self.knowledge.borrow().lacks_key(&world, now) {
            UnknownKey::IsNone => return Err(unknown),
            UnknownKey::IsOpen => return Err(Denial::StaleSnapshot),
            UnknownKey::Read => {}
        }
        self.refresh(Keys::Now, now).await;
        let world = self.held().ok_or(Denial::StaleSnapshot)?;
        self.judge(token, mode, &world).await
    }

    async fn judge(
        &self,
        token: &str,
        revocation: RevocationMode,
        world: &Snapshot,
    ) -> Result<(), Denial> {
        let need = Requirement {
            access: Access::Token,
            scopes: vec![],
            serve_stale: None,
            revocation,
        };
        let (store, clock) = (&self.store, self);
        guard::admit(
            &self.gate,
            &need,
            token,
            world,
            &SimSignatures,
            store,
            clock,
        )
        .await
        .map(drop)
    }

    async fn snapshot_at(self: &Rc<Self>, now: UnixTime) -> Option<Rc<Snapshot>> {
        let store_is_away = self.store.standing() != Standing::Closed;
        let knowledge = Rc::clone(&self.knowledge.borrow());
        match knowledge.prepare(self.gate.policy(), store_is_away, now) {
            Preparation::Nothing => {}
            Preparation::ReadBehind => {
                let edge = Rc::clone(self);
                self.world
                    .executor
                    .spawn(async move { edge.refresh(Keys::WhenDue, now).await });
            }
            Preparation::ReadFirst => self.refresh(Keys::WhenDue, now).await,
        }
        self.held()
    }

    async fn refresh(&self, keys: Keys, began_at: UnixTime) {
        let knowledge = Rc::clone(&self.knowledge.borrow());
        let (policy, shelf) = (self.gate.policy(), &self.shelf);
        let read = knowledge.refresh(policy, keys, began_at, &self.store, shelf, self);
        // The view has told what failed.
        drop(read.await);
    }

    fn held(&self) -> Option<Rc<Snapshot>> {
        self.knowledge.borrow().held()
    }
}
