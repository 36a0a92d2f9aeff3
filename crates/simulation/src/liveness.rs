//! Checks the recovery after an outage.

use std::rc::Rc;

use portcullis_core::denial::Denial;
use portcullis_core::route::RevocationMode;
use portcullis_core::secret::Secret;
use portcullis_service::ports::SecureRandom as _;

use crate::account::PASSWORD;
use crate::account::account;
use crate::crypto::forge;
use crate::edge::SimEdge;
use crate::host::{Ask, HostReply, LoginAttempt, SimHost};
use crate::oracle::{Held, Invariant};
use crate::plan::{Outage, SimDependency};
use crate::probe::ask_edge;
use crate::rotation::Machine;
use crate::world::SimWorld;

/// The time before the end of an outage at which its nodes are checked for being down, in
/// milliseconds.
const LOOK_BEFORE: u64 = 5_000;

/// The wait between two checks, in milliseconds.
const REST: u64 = 150;

/// Checks every node of an outage: a node under constant requests recovers in time.
pub(crate) fn watch_outages(
    world: &Rc<SimWorld>,
    hosts: &[Rc<SimHost>],
    edges: &[Rc<SimEdge>],
    machines: &[Rc<Machine>],
) {
    for outage in &world.plan.outages {
        let concerned = |who: &str| outage.concerns(who);
        let is_edges = outage.of != SimDependency::Secrets;
        for edge in edges.iter().filter(|one| is_edges && concerned(&one.name)) {
            let (world, edge, outage) = (Rc::clone(world), Rc::clone(edge), outage.clone());
            Rc::clone(&world.executor).spawn(async move {
                look(&world, &outage, &edge.name, async || {
                    lets_in(&world, &edge).await
                })
                .await;
            });
        }
        for (number, host) in hosts.iter().enumerate() {
            if !concerned(&host.name) {
                continue;
            }
            let (world, host, outage) = (Rc::clone(world), Rc::clone(host), outage.clone());
            let owner = account(
                &world,
                &format!("{}.{}@example.com", host.name, outage.from),
            );
            Rc::clone(&world.executor).spawn(async move {
                let credentials = LoginAttempt {
                    email: owner,
                    password: Secret::new(PASSWORD.to_owned()),
                    cookie: None,
                    address: format!("203.0.113.{number}"),
                };
                let ask = async || logs_in(&world, &host, &credentials).await;
                look(&world, &outage, &host.name, ask).await;
            });
        }
        for machine in machines.iter().filter(|one| concerned(one.name)) {
            let (world, machine, outage) = (Rc::clone(world), Rc::clone(machine), outage.clone());
            Rc::clone(&world.executor).spawn(async move {
                let ask = async || {
                    let work = Rc::clone(&machine).repeat();
                    world.executor.remote(work).await == Some(true)
                };
                look(&world, &outage, machine.name, ask).await;
            });
        }
    }
}

/// Sends requests to `who` from shortly before `outage` ends until it serves. A node that was down
/// at the end must recover in time.
async fn look(world: &SimWorld, outage: &Outage, who: &str, serves: impl AsyncFn() -> bool) {
    let healed_at = outage.until;
    let bound = world.plan.back_within();
    let mut was_down = false;
    world.sleep(healed_at.saturating_sub(LOOK_BEFORE)).await;
    // A node in an ambush recovers only after it.
    while world.now() < world.plan.end && !world.is_ambushed(who) {
        let is_served = serves().await;
        let now = world.now();
        if now <= healed_at {
            was_down = !is_served;
        } else if is_served && !was_down {
            return;
        } else {
            was_down = true;
        }
        let took = now.saturating_sub(healed_at);
        if took > bound {
            let what = format!("{who} has not recovered {bound} ms after the outage");
            world.oracle.borrow_mut().fail(Invariant::Healed, what);
            return;
        }
        if now > healed_at && is_served {
            world.tell(|| format!("{who} has recovered {took} ms after the outage"));
            world.oracle.borrow_mut().count(Invariant::Healed);
            return;
        }
        world.sleep(REST).await;
    }
}

/// Presents a valid token, under the key that signed last.
async fn lets_in(world: &SimWorld, edge: &Rc<SimEdge>) -> bool {
    let Some(key) = world.oracle.borrow().signing().map(str::to_owned) else {
        return false;
    };
    let token = Held::read(&forge(world, &key));
    let asked = ask_edge(world, edge, &token, RevocationMode::Feed, "watch");
    let Some((asked, answer)) = asked.await else {
        return false;
    };
    world.oracle.borrow_mut().answered(&asked, &token, &answer);
    // The oracle decides whether it may reject the token, for example after an emergency.
    !matches!(
        answer.said,
        Err(Denial::StaleSnapshot | Denial::RevocationUnknown)
    )
}

async fn logs_in(world: &SimWorld, host: &Rc<SimHost>, credentials: &LoginAttempt) -> bool {
    let asked_at = world.now();
    let id = world.id().expect("chance");
    let work = Rc::clone(host).answer(Ask::Login(credentials.clone()), id);
    match world.executor.remote(work).await {
        Some(HostReply::Granted(..)) => true,
        // After an emergency no key may exist until the operator creates one.
        Some(HostReply::NoKey) => {
            let mut oracle = world.oracle.borrow_mut();
            oracle.lacks_key(&host.name, asked_at, world.now());
            true
        }
        // A throttled client retries.
        Some(HostReply::Refused(_) | HostReply::Done | HostReply::Failed) | None => false,
    }
}
