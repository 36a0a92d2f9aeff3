//! The worst case of an edge at a key change: it reads its keys just before the publication, and
//! not again until the new key signs. Random timing would need millions of seeds for it.

use std::rc::{Rc, Weak};

use portcullis_core::route::RevocationMode;
use portcullis_core::secret::Secret;
use portcullis_service::ports::SecureRandom as _;

use crate::account::{PASSWORD, account};
use crate::crypto::forge;
use crate::edge::SimEdge;
use crate::host::{Ask, HostReply, LoginAttempt, SimHost};
use crate::oracle::{Case, Held};
use crate::probe::ask_edge;
use crate::world::SimWorld;

/// The edge begins to read this many milliseconds before the publication.
const BEFORE: u64 = 60;

/// The edge cannot read its keys for this many milliseconds after it: until they are too old, and a
/// little longer.
const CUT_OFF: u64 = 50_000;

/// The delay after it, and the span, in which a client requests a token under the new key.
const SCOUT_FROM: u64 = 37_000;
const SCOUT_FOR: u64 = 6_000;

/// Has `world` start a race at each publication, between these hosts and edges.
pub(crate) fn install(world: &Rc<SimWorld>, hosts: &[Rc<SimHost>], edges: &[Rc<SimEdge>]) {
    let hosts: Vec<_> = hosts.iter().map(Rc::downgrade).collect();
    let edges: Vec<_> = edges.iter().map(Rc::downgrade).collect();
    let hook = move |world: &Rc<SimWorld>| lay(world, &hosts, &edges);
    world.on_publication.replace(Some(Box::new(hook)));
}

/// Starts a race around a publication that is made now, if the plan has one. Returns how long the
/// publication then takes to arrive.
fn lay(world: &Rc<SimWorld>, hosts: &[Weak<SimHost>], edges: &[Weak<SimEdge>]) -> Option<u64> {
    let who = world.plan.ambushed.clone()?;
    if world.plan.is_quiet(world.now()) || world.is_cut_off() {
        return None;
    }
    // Just short of the longest delay that the rotation tolerates.
    let there = world.random.within(2_000, 2_950);
    let own = Rc::clone(world);
    let (hosts, edges) = (hosts.to_vec(), edges.to_vec());
    world.executor.spawn(async move {
        own.sleep(there - BEFORE).await;
        let edge = edges
            .iter()
            .filter_map(Weak::upgrade)
            .find(|one| one.name == who);
        let (Some(edge), Some(key)) = (edge, own.oracle.borrow().signing().map(str::to_owned))
        else {
            return;
        };
        spring(&own, &hosts, &edge, &key).await;
    });
    Some(there)
}

async fn spring(world: &Rc<SimWorld>, hosts: &[Weak<SimHost>], edge: &Rc<SimEdge>, key: &str) {
    edge.evict();
    world.cut_off(&edge.name, world.now() + BEFORE, CUT_OFF);
    let token = Held::read(&forge(world, key));
    let asked = ask_edge(world, edge, &token, RevocationMode::Feed, "ambush");
    let Some((asked, answer)) = asked.await else {
        return;
    };
    world.oracle.borrow_mut().meet(Case::Ambush);
    world.oracle.borrow_mut().answered(&asked, &token, &answer);
    for host in hosts.iter().filter_map(Weak::upgrade) {
        let scout = scout(Rc::clone(world), host, Rc::clone(edge), key.to_owned());
        world.executor.spawn(scout);
    }
}

/// Waits for the first token of `host` under a key other than `former`, and presents it to `edge`.
async fn scout(world: Rc<SimWorld>, host: Rc<SimHost>, edge: Rc<SimEdge>, former: String) {
    let name = format!("scout of {}", host.name);
    let credentials = LoginAttempt {
        email: account(
            &world,
            &format!("{}.{}@example.com", host.name, world.now()),
        ),
        password: Secret::new(PASSWORD.to_owned()),
        cookie: None,
        address: String::new(),
    };
    world.sleep(SCOUT_FROM).await;
    let until = world.now() + SCOUT_FOR;
    while world.now() < until {
        let (asked_at, id) = (world.now(), world.id().expect("chance"));
        let work = Rc::clone(&host).answer(Ask::Login(credentials.clone()), id);
        let reply = world.executor.remote(work).await;
        if let Some(HostReply::Granted(access, ..)) = reply {
            let token = Held::read(&access);
            let now = world.now();
            world.oracle.borrow_mut().issued(&token, asked_at, now);
            if token.key != former {
                let asked = ask_edge(&world, &edge, &token, RevocationMode::Feed, &name);
                if let Some((asked, answer)) = asked.await {
                    world.oracle.borrow_mut().answered(&asked, &token, &answer);
                }
                return;
            }
        }
        world.sleep(100).await;
    }
}
