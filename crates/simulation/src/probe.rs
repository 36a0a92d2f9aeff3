//! One request to an edge, seen from outside.

use std::rc::Rc;

use portcullis_core::route::RevocationMode;
use portcullis_service::ports::Clock as _;

use crate::edge::SimEdge;
use crate::edge_answer::EdgeAnswer;
use crate::oracle::edges::Asked;
use crate::oracle::{Held, brief};
use crate::world::SimWorld;

/// The revocation mode of a route: now and then a lookup.
pub(crate) fn draw_mode(world: &SimWorld) -> RevocationMode {
    if world.random.chance(80) {
        RevocationMode::Lookup
    } else {
        RevocationMode::Feed
    }
}

/// `who` presents `token` to `edge`. Returns the request and the response; `None` after a crash.
pub(crate) async fn ask_edge<'e>(
    world: &SimWorld,
    edge: &'e Rc<SimEdge>,
    token: &Held,
    mode: RevocationMode,
    who: &str,
) -> Option<(Asked<'e>, EdgeAnswer)> {
    let (asked_at, edge_asked) = (world.now(), edge.clock.now().as_secs());
    let work = Rc::clone(edge).admit(token.text.clone(), mode);
    let answer = world.executor.remote(work).await?;
    world.tell(|| {
        let said = answer.said.as_ref();
        let said = said.map_or_else(|denial| denial.code(), |()| "lets in");
        let how = match mode {
            RevocationMode::Feed => "",
            RevocationMode::Lookup => ", looked up",
        };
        let (edge, id, key) = (&edge.name, brief(&token.id), &token.key);
        format!("{edge} {said}: {who} with {id} under {key}{how}")
    });
    let asked = Asked {
        edge: &edge.name,
        mode,
        asked_at,
        answered_at: world.now(),
        edge_asked,
        edge_now: edge.clock.now().as_secs(),
        changed_at: world.tables.borrow().hurried.get(&token.key).copied(),
        is_spared: world.spares(&edge.name, asked_at),
    };
    Some((asked, answer))
}
