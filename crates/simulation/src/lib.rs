//! The whole system in virtual time: several hosts, edge isolates with different clocks, users,
//! rotations, crashes between any two steps, and a store with every kind of failure.
//!
//! The rules and the use cases are the product's own. The store is in memory behind the same ports,
//! and signatures are fakes. One seed draws every event, so a failing seed fails again and prints
//! its events. `docs/simulation.md` lists the invariants.
//!
//! ```
//! let report = portcullis_simulation::run(7, None, false);
//! assert!(report.violation.is_none(), "{:?}", report.violation);
//! ```

mod account;
mod attacker;
mod bounds;
mod clock;
mod crypto;
mod edge;
mod edge_answer;
mod executor;
mod host;
mod key_read_race;
mod liveness;
mod mutation;
mod operator;
mod oracle;
mod packer;
mod plan;
mod probe;
mod promise;
mod random;
mod rotation;
mod settings;
mod store;
mod tables;
mod user;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use portcullis_core::keys::document::KeyDocument;
use portcullis_core::time::UnixTime;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_service::ports::Signer as _;
use portcullis_service::signing::key_factory::KeyFactory as _;
use portcullis_service::signing::secret::Stage;

pub use crate::mutation::Mutation;
pub use crate::oracle::{Case, Invariant, REVOKED_WITHIN, Violation};

use crate::account::account;
use crate::edge::SimEdge;
use crate::host::SimHost;
use crate::liveness::watch_outages;
use crate::rotation::rotate_on_schedule;
use crate::user::SimUser;
use crate::world::SimWorld;

/// The result of one seed.
#[derive(Clone, Debug, Default)]
pub struct SimulationReport {
    /// How often each invariant was checked.
    pub counters: BTreeMap<Invariant, u64>,
    /// How often each case occurred.
    pub met: BTreeMap<Case, u64>,
    /// The first violated invariant.
    pub violation: Option<Violation>,
    /// The events, line by line, if they were requested.
    pub story: Vec<String>,
}

/// Runs the simulation of `seed`; `reported` records its events. A panic, here or in the product, also
/// counts as a violation, with the events so far.
pub fn run(seed: u64, mutation: Option<Mutation>, reported: bool) -> SimulationReport {
    let world = SimWorld::new(seed, mutation, reported);
    world.tell(|| format!("seed {seed}: {:?}", world.plan));
    let lived = catch_unwind(AssertUnwindSafe(|| {
        furnish(&world);
        world.run();
        world.settle_accounts();
    }));
    match lived {
        Ok(()) => world.oracle.borrow_mut().count(Invariant::Runs),
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
            let what = said.unwrap_or_else(|| "a panic".to_owned());
            world.oracle.borrow_mut().fail(Invariant::Runs, what);
            world.executor.clear();
        }
    }
    let oracle = world.oracle.borrow();
    SimulationReport {
        counters: oracle.counters.clone(),
        met: oracle.met.clone(),
        violation: oracle.violation.clone(),
        story: world.take_story(),
    }
}

/// Creates and starts all nodes.
fn furnish(world: &Rc<SimWorld>) {
    first_key(world);
    let hosts: Vec<_> = (1..=world.plan.hosts)
        .map(|number| SimHost::new(world, format!("host-{number}")))
        .collect();
    let edges: Vec<_> = (1..=world.plan.edges)
        .map(|number| SimEdge::new(world, format!("edge-{number}")))
        .collect();
    key_read_race::install(world, &hosts, &edges);
    let machines = rotation::machines(world);
    watch_outages(world, &hosts, &edges, &machines);
    world.tell_outages();
    for number in 1..=world.plan.users {
        let email = account(world, &format!("user{number}@example.com"));
        for device in ["phone", "laptop"] {
            let user = SimUser {
                world: Rc::clone(world),
                name: format!("user{number}'s {device}"),
                email: email.clone(),
                address: format!("192.0.2.{number}"),
                hosts: hosts.clone(),
                edges: edges.clone(),
            };
            world.executor.spawn(user.live());
        }
    }
    world
        .executor
        .spawn(attacker::sign(Rc::clone(world), edges.clone()));
    let guesser = SimUser {
        world: Rc::clone(world),
        name: "guesser".to_owned(),
        email: account(world, "victim@example.com"),
        address: "198.51.100.1".to_owned(),
        hosts,
        edges,
    };
    world.executor.spawn(guesser.guess());
    for _ in 0..world.plan.hosts {
        world.executor.spawn(packer::work(Rc::clone(world)));
    }
    world
        .executor
        .spawn(rotate_on_schedule(Rc::clone(world), machines));
    world.executor.spawn(operator::work(Rc::clone(world)));
}

/// The initial key, current and published.
fn first_key(world: &SimWorld) {
    const VERSION: &str = "11111111-1111-1111-1111-111111111111";
    let key = world.make(Algorithm::EdDsa).expect("a key");
    let mut tables = world.tables.borrow_mut();
    let stages = &mut tables.stages.0;
    stages.insert(Stage::Current, VERSION.to_owned());
    let kept = world.write(&key);
    tables.versions.insert(VERSION.to_owned(), kept);
    tables.published.insert(key.name().to_owned());
    tables.document = KeyDocument::default().with(key.key().clone(), UnixTime::default());
}
