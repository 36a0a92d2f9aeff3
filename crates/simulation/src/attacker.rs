//! Attackers with stolen secrets: tokens of ended sessions, used refresh tokens, leaked private
//! keys. One more attacker guesses passwords.

use std::rc::Rc;

use crate::account::PASSWORD;
use crate::crypto::forge;
use crate::edge::SimEdge;
use crate::host::{Ask, HostReply};
use crate::oracle::{Held, Invariant};
use crate::plan::{ROUNDING, SKEW};
use crate::probe::{ask_edge, draw_mode};
use crate::promise::Promise;
use crate::user::{Login, SimUser, own_id};
use crate::world::SimWorld;

/// The reuse window of a used refresh token: the product's own 10 s, plus the differences of
/// clocks.
const WINDOW: u64 = 10_000 + SKEW + ROUNDING;

impl SimUser {
    /// Presents the tokens of an ended session.
    pub(crate) async fn show(self, stolen: Vec<Held>) {
        for _ in 0..50 {
            self.world.sleep(self.world.random.within(200, 1_800)).await;
            self.use_edge(self.world.random.pick(&stolen)).await;
        }
    }

    /// Presents a used refresh token after its reuse window.
    pub(crate) async fn refresh_again(self, stolen: Login) {
        let world = &self.world;
        world.sleep(WINDOW + world.random.within(1, 25_000)).await;
        let token = &stolen.access;
        for _ in 0..30 {
            let begun = world.now();
            world
                .oracle
                .borrow_mut()
                .session_ends(&token.session, begun, false);
            let (.., reply) = self.send(Ask::Refresh(stolen.refresh.clone())).await;
            let code = match reply {
                Some(HostReply::Granted(..)) => None,
                Some(HostReply::Refused(code)) => Some(code),
                Some(HostReply::Done | HostReply::Failed | HostReply::NoKey) | None => {
                    world.sleep(world.random.within(100, 2_000)).await;
                    continue;
                }
            };
            let now = world.now();
            let mut oracle = world.oracle.borrow_mut();
            oracle.came_again(token, begun, code, now);
            if code == Some("reused") {
                world.promise(Promise::Ended(own_id(&token.session)));
            }
            return;
        }
    }

    /// Guesses passwords at many hosts at once.
    pub(crate) async fn guess(self) {
        loop {
            self.world
                .sleep(self.world.random.within(5_000, 40_000))
                .await;
            let guesses = (0..self.world.random.within(4, 24))
                .map(|number| self.ask(self.credentials(format!("{PASSWORD} {number}"), None)));
            for (_, reply) in futures_util::future::join_all(guesses).await {
                if let Some(HostReply::Refused("too_many_attempts")) = reply {
                    self.world.oracle.borrow_mut().count(Invariant::Quota);
                }
            }
        }
    }
}

/// Signs with every key that ever existed, and with some that were never published.
pub(crate) async fn sign(world: Rc<SimWorld>, edges: Vec<Rc<SimEdge>>) {
    loop {
        let random = &world.random;
        world.sleep(random.within(300, 3_000)).await;
        let key = if random.chance(100) {
            "k0".to_owned()
        } else {
            format!("k{}", random.within(1, world.keys.get()))
        };
        let (edge, token) = (random.pick(&edges), Held::read(&forge(&world, &key)));
        let mode = draw_mode(&world);
        if let Some((asked, answer)) = ask_edge(&world, edge, &token, mode, "forger").await {
            let published = world.tables.borrow().published.contains(&key);
            let mut oracle = world.oracle.borrow_mut();
            oracle.forged(&asked, &key, published, &answer);
        }
    }
}
