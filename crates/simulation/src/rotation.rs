//! The rotation function: the product's own four steps, each in its own invocation that may end at
//! any point, and Secrets Manager, which repeats them.

use std::rc::Rc;
use std::time::Duration;

use portcullis_core::id::Id;
use portcullis_core::keys::rotation::RotationBounds;
use portcullis_core::root_keys::RootKeys;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_service::context::ServiceContext;
use portcullis_service::ports::{Clock as _, RequestMeta, SecureRandom as _};
use portcullis_service::rotate::ports::RotationPorts;
use portcullis_service::rotate::{RotateError, Rotation, Step};
use portcullis_service::settings::Settings;
use portcullis_service::signing::key_factory::KeyFactory as _;
use portcullis_service::signing::secret::Stage;

use crate::bounds::millis_of;
use crate::bounds::{HOST_CACHE, KEYS_HARD, KEYS_SOFT};
use crate::clock::SimClock;
use crate::crypto::SimSignatures;
use crate::host::root_keys;
use crate::mutation::Mutation;
use crate::oracle::Case;
use crate::oracle::service::Failures;
use crate::plan::{ROUNDING, SKEW, SimDependency};
use crate::settings::settings;
use crate::store::View;
use crate::world::SimWorld;

const STEPS: [Step; 4] = [Step::Create, Step::Set, Step::Test, Step::Finish];

/// A machine that runs rotations: the function's or an operator's own.
pub(crate) struct Machine {
    pub(crate) world: Rc<SimWorld>,
    pub(crate) name: &'static str,
    store: View,
    secrets: View,
    root_keys: RootKeys,
    settings: Settings,
    pub(crate) clock: SimClock,
}

impl RotationPorts for Machine {
    type Secret = View;
    type Factory = SimWorld;
    type Signatures = SimSignatures;
    type Clock = SimClock;
    type Store = View;
    type Random = SimWorld;
}

impl Machine {
    pub(crate) fn new(world: &Rc<SimWorld>, name: &'static str) -> Rc<Self> {
        Rc::new(Self {
            world: Rc::clone(world),
            name,
            store: View::new(world, name, SimDependency::Store),
            secrets: View::new(world, name, SimDependency::Secrets),
            root_keys: root_keys(),
            settings: settings(world.plan.lifetime, world.mutation),
            clock: SimClock::new(world, name),
        })
    }

    async fn step(&self, step: Step, token: &str) -> Result<(), RotateError> {
        let is_first = self
            .world
            .begun
            .borrow_mut()
            .insert(format!("{step:?} {token}"));
        if self.world.mutation == Some(Mutation::BeginOnce) && !is_first {
            return Err(RotateError::Contended);
        }
        let call = self.call();
        self.rotation(&call).step(step, token).await
    }

    /// Repeats the last call, which changes nothing; returns whether it got a response.
    pub(crate) async fn repeat(self: Rc<Self>) -> bool {
        let version = {
            let tables = self.world.tables.borrow();
            tables.stages.version(Stage::Current).map(str::to_owned)
        };
        let version = version.expect("the initial one");
        let call = self.call();
        let done = self.rotation(&call).step(Step::Finish, &version).await;
        !matches!(done, Err(RotateError::Store(_)))
    }

    /// A call that starts now. A rotation identifies its writes by the version, so every call has
    /// the same identifier.
    pub(crate) fn call(&self) -> RequestMeta {
        RequestMeta {
            now: self.clock.now(),
            request_id: Id::from_random([0; 16]),
            client_address: self.name.to_owned(),
        }
    }

    pub(crate) fn rotation<'a>(&'a self, call: &'a RequestMeta) -> Rotation<'a, Self> {
        Rotation {
            context: ServiceContext {
                store: &self.store,
                random: &*self.world,
                root_keys: &self.root_keys,
                settings: &self.settings,
                call,
            },
            secret: &self.secrets,
            factory: &*self.world,
            signatures: &SimSignatures,
            clock: &self.clock,
            bounds: bounds(&self.world),
            algorithm: Algorithm::EdDsa,
        }
    }
}

/// The cache times in this simulation. If clocks are set, keys may be older than an edge's clock
/// shows.
pub(crate) fn true_bounds(world: &SimWorld) -> RotationBounds {
    RotationBounds {
        edge: KEYS_HARD + Duration::from_millis(world.plan.stepped()),
        jwks_max_age: HOST_CACHE,
        third_parties: Duration::ZERO,
        hosts: HOST_CACHE,
        token_lifetime: world.plan.lifetime,
    }
}

/// The bounds that rotations use.
fn bounds(world: &SimWorld) -> RotationBounds {
    let mut bounds = true_bounds(world);
    if world.mutation == Some(Mutation::LeadFromSoft) {
        bounds.edge = KEYS_SOFT;
    }
    if world.mutation == Some(Mutation::LeadTooShort) {
        (bounds.edge, bounds.jwks_max_age) = (Duration::ZERO, Duration::ZERO);
    }
    if world.mutation == Some(Mutation::TailTooShort) {
        (bounds.hosts, bounds.token_lifetime) = (Duration::ZERO, Duration::ZERO);
    }
    bounds
}

/// The containers of the function: an invocation may find a warm one, or not.
pub(crate) fn machines(world: &Rc<SimWorld>) -> [Rc<Machine>; 2] {
    [
        Machine::new(world, "rotation-1"),
        Machine::new(world, "rotation-2"),
    ]
}

/// Rotates repeatedly, as a schedule does.
pub(crate) async fn rotate_on_schedule(world: Rc<SimWorld>, machines: [Rc<Machine>; 2]) {
    loop {
        world.sleep(world.random.within(1_000, 15_000)).await;
        let token = begin(&world);
        rotate(&world, &machines, &token).await;
    }
}

/// The first action of Secrets Manager: stages a version for the rotation, unless one is pending.
fn begin(world: &SimWorld) -> String {
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

/// The four steps, each repeated until it is done.
async fn rotate(world: &Rc<SimWorld>, machines: &[Rc<Machine>], token: &str) {
    let (mut step, mut failures) = (0, Failures::default());
    while let Some(next) = STEPS.get(step) {
        let begun = world.now();
        let answer = invoke(world, machines, *next, token).await;
        let failed = match answer {
            Some(Ok(())) => false,
            Some(Err(RotateError::TooEarly(early))) => {
                world.tell(|| format!("rotation: {early}"));
                return;
            }
            // A revoked key is replaced manually.
            Some(Err(RotateError::KeyRevoked | RotateError::NotPending)) => return,
            Some(Err(_)) | None => true,
        };
        let what = "a step of a rotation";
        world.tried("rotation", what, &mut failures, !failed, begun);
        if !failed {
            step += 1;
            continue;
        }
        world.oracle.borrow_mut().meet(Case::CutOff);
        world.sleep(world.random.within(500, 4_000)).await;
        if world.random.chance(300) {
            step = 0;
        }
    }
    retire(world, token);
    world.oracle.borrow_mut().meet(Case::Rotation);
    world.tell(|| "rotation: finished".to_owned());
}

/// Reports to the oracle that `token` has become current, if it still is. From its `sign_from` on,
/// the other keys live for a retirement delay, or as long as an edge may not have read that.
pub(crate) fn retire(world: &SimWorld, token: &str) {
    let millis = |span: Duration| u64::try_from(span.as_millis()).expect("short");
    let tables = world.tables.borrow();
    let in_force = tables.stages.has(token, Stage::Current);
    let kept = tables.versions.get(token).filter(|_| in_force);
    let Some(key) = kept.and_then(|kept| world.read(kept).ok()) else {
        return;
    };
    let Some(current) = tables.document.find(key.name()) else {
        return;
    };
    world.oracle.borrow_mut().comes_into_force(key.name());
    let latest = world.now() + SKEW + ROUNDING;
    let ends =
        millis_of(current.sign_from).max(latest) + millis(true_bounds(world).retirement_delay());
    let heard = world.now() + millis(KEYS_HARD) + world.plan.stepped();
    // A key published later will follow this one and gets no end.
    let is_current = |name: &str| name == key.name();
    let names = tables.document.keys().iter().map(|other| {
        let name = other.key.id().unwrap_or_default();
        // An end that was set before stays.
        (name, other.ends_at.map(millis_of).unwrap_or_default())
    });
    for (name, reported) in names.take_while(|(name, _)| !is_current(name)) {
        let until = ends.max(heard).max(reported) + SKEW + 2 * ROUNDING;
        world.oracle.borrow_mut().retires(name, until);
    }
}

/// One invocation; now and then two at once. `None` if it ended without a response.
async fn invoke(
    world: &Rc<SimWorld>,
    machines: &[Rc<Machine>],
    step: Step,
    token: &str,
) -> Option<Result<(), RotateError>> {
    let call = || {
        let machine = Rc::clone(world.random.pick(machines));
        let token = token.to_owned();
        world.executor.remote(async move {
            let done = machine.step(step, &token).await;
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
