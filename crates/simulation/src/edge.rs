//! An edge isolate: what a Worker keeps between requests, and when it reads the store.
//!
//! It follows the Worker's own isolate step by step, on the same parts of `portcullis-core` and
//! `portcullis-service`. Here as there no reading is shared: a claim settles who reads, and a
//! request may vanish in the midst of its own.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use portcullis_core::breaker::Standing;
use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::route::{Access, Requirement, RevocationMode};
use portcullis_core::snapshot::{Claimed, Freshness, RefreshClaim, Snapshot, UNKNOWN_KEY_COOLDOWN};
use portcullis_core::time::UnixTime;
use portcullis_service::guard;
use portcullis_service::ports::Clock;
use portcullis_service::snapshot::{self, Followed, Keys};

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
    snapshot: RefCell<Option<Rc<Snapshot>>>,
    claim: RefCell<RefreshClaim>,
    key_claim: RefCell<RefreshClaim>,
    keys_tried_at: Cell<UnixTime>,
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
            snapshot: RefCell::default(),
            claim: RefCell::default(),
            key_claim: RefCell::default(),
            keys_tried_at: Cell::default(),
        })
    }

    /// Its isolate is gone, and the next request meets a new one.
    pub(crate) fn evict(&self) {
        self.snapshot.take();
        self.claim.take();
        self.key_claim.take();
        self.keys_tried_at.take();
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
        if self.key_claim.borrow().is_reading(now) {
            return Err(Denial::StaleSnapshot);
        }
        let asked_at = self.keys_tried_at.get().max(world.keys_read_at());
        if now.since(asked_at) < UNKNOWN_KEY_COOLDOWN {
            return Err(unknown);
        }
        self.keys_tried_at.set(now);
        let claimed = self.key_claim.borrow_mut().take(now);
        match claimed {
            Claimed::Yours => {}
            Claimed::Reading | Claimed::Failed => return Err(Denial::StaleSnapshot),
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
        let held = self.held();
        let freshness = held
            .as_ref()
            .map(|held| held.freshness(self.gate.policy(), now));
        match freshness {
            Some(Freshness::Fresh) => {}
            Some(Freshness::Due) => self.refresh_behind(now),
            Some(Freshness::Late) if self.store.standing() != Standing::Closed => {
                self.refresh_behind(now);
            }
            Some(Freshness::Late | Freshness::Spent) | None => {
                let claimed = self.claim.borrow_mut().take(now);
                match claimed {
                    Claimed::Yours | Claimed::Reading => {
                        self.refresh(Keys::WhenDue, now).await;
                        return self.held();
                    }
                    Claimed::Failed => {}
                }
            }
        }
        held
    }

    fn refresh_behind(self: &Rc<Self>, now: UnixTime) {
        if self.claim.borrow_mut().take(now) == Claimed::Yours {
            let edge = Rc::clone(self);
            self.world
                .executor
                .spawn(async move { edge.refresh(Keys::WhenDue, now).await });
        }
    }

    async fn refresh(&self, keys: Keys, began_at: UnixTime) {
        let read = self.read(keys, began_at).await;
        let claim = match keys {
            Keys::WhenDue => &self.claim,
            Keys::Now => &self.key_claim,
        };
        let whole = read.and_then(|followed| {
            self.keep(followed.snapshot);
            followed.keys_error.map_or(Ok(()), Err)
        });
        match whole {
            Ok(()) => claim.borrow_mut().release(),
            Err(_) => claim.borrow_mut().fail(self.now()),
        }
    }

    fn keep(&self, read: Snapshot) {
        let mut held = self.snapshot.borrow_mut();
        let newest = match held.take().filter(|held| !held.is_ahead_of(self.now())) {
            Some(held) => Snapshot::clone(&held).merge(read),
            None => read,
        };
        *held = Some(Rc::new(newest));
    }

    async fn read(
        &self,
        keys: Keys,
        began_at: UnixTime,
    ) -> Result<Followed, portcullis_service::store::StoreError> {
        let policy = self.gate.policy();
        match self.held().filter(|held| !held.is_ahead_of(began_at)) {
            Some(held) => {
                let previous = Snapshot::clone(&held);
                snapshot::follow(policy, previous, keys, &self.store, &self.shelf, began_at).await
            }
            None => Ok(Followed {
                snapshot: snapshot::read(policy, &self.store, &self.shelf, began_at).await?,
                keys_error: None,
            }),
        }
    }

    fn held(&self) -> Option<Rc<Snapshot>> {
        self.snapshot.borrow().clone()
    }
}
