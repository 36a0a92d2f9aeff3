//! The worst that can happen to an edge as a new key comes: it reads its keys just before that is
//! published, and not again until it signs. Chance alone would take millions of seeds for it.

use std::rc::{Rc, Weak};

use portcullis_core::route::RevocationMode;

use crate::crypto::forge;
use crate::edge::Edge;
use crate::oracle::{Case, Held};
use crate::question::ask_edge;
use crate::world::World;

/// So long before the publication the edge begins to read.
const BEFORE: u64 = 60;

/// So long after it the edge is cut off from its keys: until they are too old, and a little more.
const CUT_OFF: u64 = 50_000;

/// Lays an ambush about a publication that is made now, if this world has one: how long the
/// publication is to be on its way then.
pub(crate) fn lay(world: &Rc<World>) -> Option<u64> {
    let who = world.plan.ambushed.clone()?;
    if world.plan.is_quiet(world.now()) || world.is_cut_off() {
        return None;
    }
    // As long as its maker relies on it, and not a moment longer.
    let there = world.random.within(1_000, 2_950);
    let own = Rc::clone(world);
    world.executor.spawn(async move {
        own.sleep(there - BEFORE).await;
        let edges = own.edges.borrow().clone();
        let edge = edges
            .iter()
            .filter_map(Weak::upgrade)
            .find(|one| one.name == who);
        let (Some(edge), Some(key)) = (edge, own.oracle.borrow().signing().map(str::to_owned))
        else {
            return;
        };
        spring(&own, &edge, &key).await;
    });
    Some(there)
}

async fn spring(world: &Rc<World>, edge: &Rc<Edge>, key: &str) {
    edge.evict();
    world.cut_off(&edge.name, world.now() + BEFORE, CUT_OFF);
    let token = Held::read(&forge(world, key));
    if let Some((asked, answer)) =
        ask_edge(world, edge, &token, RevocationMode::Feed, "ambush").await
    {
        world.oracle.borrow_mut().meet(Case::Ambush);
        world.oracle.borrow_mut().answered(&asked, &token, &answer);
    }
}
