//! The look at what is back after an outage.

use std::rc::Rc;

use portcullis_core::denial::Denial;
use portcullis_core::id::Id;
use portcullis_core::keys::rotation::{SignWith, sign_with};
use portcullis_core::route::RevocationMode;
use portcullis_core::secret::Secret;
use portcullis_service::ports::Chance as _;
use portcullis_service::rotate::ports::{Keysmith as _, Stage};

use crate::account;
use crate::edge::Edge;
use crate::host::{Ask, Credentials, Host, Reply};
use crate::oracle::Invariant;
use crate::store::clock;
use crate::user::PASSWORD;
use crate::world::{BACK_WITHIN, World};

/// Looks at every host and edge after each outage: those that are asked all the while are back.
pub(crate) fn watch_outages(world: &Rc<World>, hosts: &[Rc<Host>], edges: &[Rc<Edge>]) {
    for outage in &world.plan.outages {
        let until = outage.until;
        for edge in edges {
            let (world, edge) = (Rc::clone(world), Rc::clone(edge));
            Rc::clone(&world.executor).spawn(async move {
                world.sleep(until).await;
                // Any token makes an edge look whether it knows enough to judge one.
                let back = async || {
                    let answer = edge.admit("no.token.atall", RevocationMode::Feed).await;
                    answer != Err(Denial::StaleSnapshot)
                };
                look(&world, until, &edge.name, back).await;
            });
        }
        for host in hosts {
            let (world, host) = (Rc::clone(world), Rc::clone(host));
            Rc::clone(&world.executor).spawn(async move {
                world.sleep(until).await;
                let email = account(&world, &format!("watch-{}@example.com", host.name));
                let back = async || {
                    let ask = Ask::Login(Credentials {
                        email: email.clone(),
                        password: Secret::new(PASSWORD.to_owned()),
                        cookie: None,
                        address: "203.0.113.1".to_owned(),
                    });
                    let id: Id = world.id().expect("chance");
                    let reply = Rc::clone(&host).answer(ask, id).await;
                    match reply {
                        // Somebody who asks too often has been answered as well.
                        Reply::Granted(..) | Reply::Refused(_) => true,
                        // After an emergency there may be no key, until the operator made one.
                        Reply::NoKey => nobody_signs(&world),
                        Reply::Done | Reply::Failed => false,
                    }
                };
                look(&world, until, &host.name, back).await;
            });
        }
    }
}

/// Whether it is true that no key may sign, within what clocks may differ by.
fn nobody_signs(world: &World) -> bool {
    let tables = world.tables.borrow();
    let key_of = |stage| {
        let version = tables.stages.version(stage)?;
        let key = world.read(tables.versions.get(version)?).ok()?;
        Some(key.name().to_owned())
    };
    let (current, previous) = (key_of(Stage::Current), key_of(Stage::Previous));
    [-2_000, 0, 2_000].into_iter().any(|offset| {
        let now = clock(world.now(), offset);
        let (current, previous) = (current.as_deref(), previous.as_deref());
        let signs = sign_with(
            &tables.document,
            current,
            previous,
            world.plan.lifetime,
            now,
        );
        signs == SignWith::Neither
    })
}

async fn look(world: &Rc<World>, healed_at: u64, who: &str, back: impl AsyncFn() -> bool) {
    while world.now() <= healed_at + BACK_WITHIN && world.now() < world.plan.end {
        let asked_at = world.now();
        if back().await {
            let took = world.now() - healed_at;
            world.tell(|| format!("{who} is back {took} ms after the outage"));
            world.oracle.borrow_mut().count(Invariant::Healed);
            return;
        }
        if asked_at == world.now() || world.now() - asked_at < 50 {
            world.sleep(50).await;
        }
    }
    let what = format!("{who} is not back {BACK_WITHIN} ms after the outage");
    world.oracle.borrow_mut().fail(Invariant::Healed, what);
}
