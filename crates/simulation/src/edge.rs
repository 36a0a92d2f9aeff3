//! An edge: isolates with the product's own knowledge and gate, between requests that may vanish in
//! the midst of a reading.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::future::{Either, select};
use portcullis_core::breaker::Standing;
use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::route::{Access, Requirement, RevocationMode};
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_service::guard;
use portcullis_service::knowledge::{Knowledge, Preparation, UnknownKey};
use portcullis_service::ports::Clock as _;
use portcullis_service::snapshot::Keys;

use crate::clock::SimClock;
use crate::crypto::SimSignatures;
use crate::mutation::Mutation;
use crate::oracle::Case;
use crate::plan::Dependency;
use crate::store::{SimShelf, View};
use crate::world::{World, policy};

pub(crate) struct Edge {
    pub(crate) name: String,
    pub(crate) clock: SimClock,
    world: Rc<World>,
    gate: Gate,
    shelf: SimShelf,
    isolate: RefCell<Rc<Isolate>>,
}

/// What goes with an isolate.
struct Isolate {
    knowledge: Knowledge,
    store: View,
    tried_at: Cell<Option<UnixTime>>,
    /// Whether a reading is under way, for [`Mutation::HoldClaim`].
    reads: Cell<bool>,
}

/// When what an isolate knows was read, by its own clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) keys_at: UnixTime,
    pub(crate) revocations_at: UnixTime,
}

/// What an edge says, and what it knew.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) said: Result<(), Denial>,
    /// What it knew as the request came.
    pub(crate) before: Option<Known>,
    /// What it knows now.
    pub(crate) after: Option<Known>,
    /// When it last tried to read its keys for the sake of one that it lacked, by its clock.
    pub(crate) tried_at: Option<UnixTime>,
}

impl Edge {
    pub(crate) fn new(world: &Rc<World>, name: String) -> Rc<Self> {
        Rc::new(Self {
            clock: SimClock::new(world, &name),
            shelf: SimShelf(Rc::clone(world)),
            isolate: RefCell::new(Isolate::new(world, &name)),
            name,
            world: Rc::clone(world),
            gate: Gate::new(policy(world.plan.lifetime, world.mutation)),
        })
    }

    /// Its isolate takes no more requests, and the next one meets a new one.
    pub(crate) fn evict(&self) {
        self.world.tell(|| format!("{} begins anew", self.name));
        self.isolate.replace(Isolate::new(&self.world, &self.name));
    }

    pub(crate) async fn admit(self: Rc<Self>, token: String, mode: RevocationMode) -> Answer {
        let isolate = Rc::clone(&self.isolate.borrow());
        let before = isolate.known();
        let said = self.judge_with(&isolate, &token, mode).await;
        Answer {
            said,
            before,
            after: isolate.known(),
            tried_at: isolate.tried_at.get(),
        }
    }

    /// The client goes away before it is answered, and takes all readings of its request along.
    pub(crate) async fn leave(self: Rc<Self>, token: String, mode: RevocationMode, after: u64) {
        let world = Rc::clone(&self.world);
        let (asked, gone) = (Box::pin(self.admit(token, mode)), world.sleep(after));
        if let Either::Right(_) = select(asked, gone).await {
            world.oracle.borrow_mut().meet(Case::Left);
        }
    }

    async fn judge_with(
        self: &Rc<Self>,
        isolate: &Rc<Isolate>,
        token: &str,
        mode: RevocationMode,
    ) -> Result<(), Denial> {
        let now = self.clock.now();
        let world = self.snapshot_at(isolate, now).await;
        let world = world.ok_or(Denial::StaleSnapshot)?;
        let unknown = match self.judge(isolate, token, mode, &world).await {
            Err(Denial::UnknownKey) => Denial::UnknownKey,
            settled => return settled,
        };
        match isolate.knowledge.lacks_key(&world, now) {
            UnknownKey::IsNone => return Err(unknown),
            UnknownKey::IsOpen => return Err(Denial::StaleSnapshot),
            UnknownKey::Read => isolate.tried_at.set(Some(now)),
        }
        self.refresh(isolate, Keys::Now, now).await;
        let world = isolate.knowledge.held().ok_or(Denial::StaleSnapshot)?;
        self.judge(isolate, token, mode, &world).await
    }

    async fn judge(
        &self,
        isolate: &Isolate,
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
        guard::admit(
            &self.gate,
            &need,
            token,
            world,
            &SimSignatures,
            &isolate.store,
            &self.clock,
        )
        .await
        .map(drop)
    }

    async fn snapshot_at(
        self: &Rc<Self>,
        isolate: &Rc<Isolate>,
        now: UnixTime,
    ) -> Option<Rc<Snapshot>> {
        let store_is_away = isolate.store.standing() != Standing::Closed;
        let prepare = || {
            let policy = self.gate.policy();
            isolate.knowledge.prepare(policy, store_is_away, now)
        };
        match prepare() {
            Preparation::Nothing => {}
            Preparation::ReadBehind | Preparation::ReadFirst if self.is_held_up(isolate) => {}
            Preparation::ReadBehind => {
                let (edge, isolate) = (Rc::clone(self), Rc::clone(isolate));
                self.world.executor.spawn(async move {
                    edge.refresh(&isolate, Keys::WhenDue, now).await;
                });
            }
            Preparation::ReadFirst => self.refresh(isolate, Keys::WhenDue, now).await,
        }
        isolate.knowledge.held()
    }

    /// Whether somebody else's reading keeps everybody from theirs.
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
            let age = age.unwrap_or_else(|| "it knows nothing".to_owned());
            format!("{} begins to read ({keys:?}): {age}", self.name)
        });
        isolate.reads.set(true);
        let (policy, shelf) = (self.gate.policy(), &self.shelf);
        let read =
            isolate
                .knowledge
                .refresh(policy, keys, began_at, &isolate.store, shelf, &self.clock);
        // The view has told what failed.
        let read = read.await;
        isolate.reads.set(false);
        self.world.tell(|| {
            let end = if read.is_ok() {
                "has read"
            } else {
                "has not read all"
            };
            format!("{} {end}", self.name)
        });
    }
}

impl Isolate {
    fn new(world: &Rc<World>, name: &str) -> Rc<Self> {
        Rc::new(Self {
            knowledge: Knowledge::default(),
            store: View::new(world, name, Dependency::Store),
            tried_at: Cell::default(),
            reads: Cell::default(),
        })
    }

    fn known(&self) -> Option<Known> {
        self.knowledge.held().map(|held| Known {
            keys_at: held.keys_read_at(),
            revocations_at: held.revocations_read_at(),
        })
    }
}
