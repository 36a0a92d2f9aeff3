//! The worst that can happen to an edge as a new key comes: it reads its keys just before that is
//! published, and not again until it signs. Chance alone would take millions of seeds for it.

use std::rc::{Rc, Weak};

use portcullis_core::route::RevocationMode;
use portcullis_core::secret::Secret;
use portcullis_service::ports::SecureRandom as _;

use crate::account::{PASSWORD, account};
use crate::crypto::forge;
use crate::edge::Edge;
use crate::host::{Ask, Credentials, Host, Reply};
use crate::oracle::{Case, Held};
use crate::probe::ask_edge;
use crate::world::World;

/// So long before the publication the edge begins to read.
const BEFORE: u64 = 60;

/// So long after it the edge is cut off from its keys: until they are too old, and a little more.
const CUT_OFF: u64 = 50_000;

/// So long after it somebody begins to ask for a token under the new key, and for so long.
const SCOUT_FROM: u64 = 37_000;
const SCOUT_FOR: u64 = 6_000;

/// Has `world` start a race at each publication, between these hosts and edges.
pub(crate) fn install(world: &Rc<World>, hosts: &[Rc<Host>], edges: &[Rc<Edge>]) {
    let hosts: Vec<_> = hosts.iter().map(Rc::downgrade).collect();
    let edges: Vec<_> = edges.iter().map(Rc::downgrade).collect();
    let hook = move |world: &Rc<World>| lay(world, &hosts, &edges);
    world.on_publication.replace(Some(Box::new(hook)));
}

/// Lays an ambush about a publication that is made now, if this world has one: how long the
/// publication is to be on its way then.
fn lay(world: &Rc<World>, hosts: &[Weak<Host>], edges: &[Weak<Edge>]) -> Option<u64> {
    let who = world.plan.ambushed.clone()?;
    if world.plan.is_quiet(world.now()) || world.is_cut_off() {
        return None;
    }
    // As long as its maker relies on it, and not a moment longer.
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

async fn spring(world: &Rc<World>, hosts: &[Weak<Host>], edge: &Rc<Edge>, key: &str) {
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

/// Waits for the first token of `host` that is not under `former` any more, and shows it to `edge`.
async fn scout(world: Rc<World>, host: Rc<Host>, edge: Rc<Edge>, former: String) {
    let name = format!("scout of {}", host.name);
    let credentials = Credentials {
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
        if let Some(Reply::Granted(access, ..)) = reply {
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
