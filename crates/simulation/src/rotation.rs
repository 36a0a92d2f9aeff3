//! The rotation function: the product's own four steps, each in an invocation of its own that may
//! end anywhere, and Secrets Manager, which repeats them.

use std::rc::Rc;
use std::time::Duration;

use portcullis_core::keys::rotation::RotationBounds;
use portcullis_core::time::UnixTime;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_core::vault::Vault;
use portcullis_service::ports::{Chance as _, Clock};
use portcullis_service::rotate::ports::Stage;
use portcullis_service::rotate::{RotateError, Rotation, Step};

use crate::crypto::SimSignatures;
use crate::host::vault;
use crate::mutation::Mutation;
use crate::oracle::Case;
use crate::store::{View, clock};
use crate::world::{Dependency, HOST_CACHE, KEYS_HARD, World};

const STEPS: [Step; 4] = [Step::Create, Step::Set, Step::Test, Step::Finish];

/// A machine that rotations run on: the function's, or an operator's own.
pub(crate) struct Machine {
    pub(crate) world: Rc<World>,
    name: &'static str,
    store: View,
    secrets: View,
    vault: Vault,
    offset: i64,
}

impl Clock for Machine {
    fn now(&self) -> UnixTime {
        clock(self.world.now(), self.offset)
    }
}

/// The product's rotation, on this world.
pub(crate) type SimRotation<'a> = Rotation<'a, View, View, World, SimSignatures, Machine, World>;

impl Machine {
    pub(crate) fn new(world: &Rc<World>, name: &'static str) -> Rc<Self> {
        Rc::new(Self {
            world: Rc::clone(world),
            name,
            store: View::new(world, name, Dependency::Store),
            secrets: View::new(world, name, Dependency::Secrets),
            vault: vault(),
            offset: world.offset(),
        })
    }

    pub(crate) fn rotation(&self) -> SimRotation<'_> {
        Rotation {
            secrets: &self.secrets,
            documents: &self.store,
            smith: &self.world,
            signatures: &SimSignatures,
            clock: self,
            chance: &self.world,
            vault: &self.vault,
            actor: self.name,
            bounds: bounds(&self.world),
            algorithm: Algorithm::EdDsa,
        }
    }
}

/// How long others keep what changes, as it is in this world.
fn bounds(world: &World) -> RotationBounds {
    let mut bounds = RotationBounds {
        edge: KEYS_HARD,
        jwks_max_age: HOST_CACHE,
        third_parties: Duration::ZERO,
        hosts: HOST_CACHE,
        token_lifetime: world.plan.lifetime,
    };
    if world.mutation == Some(Mutation::LeadTooShort) {
        (bounds.edge, bounds.jwks_max_age) = (Duration::ZERO, Duration::ZERO);
    }
    if world.mutation == Some(Mutation::TailTooShort) {
        (bounds.hosts, bounds.token_lifetime) = (Duration::ZERO, Duration::ZERO);
    }
    bounds
}

/// Rotates again and again, as a schedule does.
pub(crate) async fn rotate_on_schedule(world: Rc<World>) {
    // The invocations of a function may find a container that is warm, or not.
    let machines = [
        Machine::new(&world, "rotation-1"),
        Machine::new(&world, "rotation-2"),
    ];
    loop {
        world.sleep(world.random.within(1_000, 15_000)).await;
        let token = begin(&world);
        rotate(&world, &machines, &token).await;
    }
}

/// What Secrets Manager does first: it stages a version for the rotation, unless one is under way.
fn begin(world: &World) -> String {
    let mut tables = world.tables.borrow_mut();
    let stages = &mut tables.stages;
    let pending = stages.version(Stage::Pending).map(str::to_owned);
    if let Some(begun) = pending.filter(|version| !stages.has(version, Stage::Current)) {
        return begun;
    }
    let id = || world.id().expect("chance");
    let token = format!("{}-{}", id(), id());
    stages.0.insert(Stage::Pending, token.clone());
    token
}

/// The four steps, each until it is done; over and over where one fails.
async fn rotate(world: &Rc<World>, machines: &[Rc<Machine>], token: &str) {
    let mut step = 0;
    while let Some(next) = STEPS.get(step) {
        match invoke(world, machines, *next, token).await {
            Some(Ok(())) => step += 1,
            Some(Err(RotateError::TooEarly(early))) => {
                world.tell(|| format!("rotation: {early}"));
                return;
            }
            // A key that was called back is given up by hand.
            Some(Err(RotateError::Withdrawn | RotateError::NotPending)) => return,
            Some(Err(_)) | None => {
                world.oracle.borrow_mut().meet(Case::CutOff);
                world.sleep(world.random.within(500, 4_000)).await;
                if world.random.chance(300) {
                    step = 0;
                }
            }
        }
    }
    world.oracle.borrow_mut().meet(Case::Rotation);
    world.tell(|| "rotation: finished".to_owned());
}

/// One invocation; now and then two at once. `None` if it ended without an answer.
async fn invoke(
    world: &Rc<World>,
    machines: &[Rc<Machine>],
    step: Step,
    token: &str,
) -> Option<Result<(), RotateError>> {
    let call = || {
        let machine = Rc::clone(world.random.pick(machines));
        let token = token.to_owned();
        world.executor.remote(async move {
            let done = machine.rotation().step(step, &token).await;
            machine.world.tell(|| {
                let said = done.as_ref().map_or_else(RotateError::code, |()| "done");
                format!("{}: {step:?}: {said}", machine.name)
            });
            done
        })
    };
    if world.random.chance(100) {
        let (_, answer) = futures_util::future::join(call(), call()).await;
        answer
    } else {
        call().await
    }
}
