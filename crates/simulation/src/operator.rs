//! An emergency: the operator revokes a key and creates another.

use std::rc::Rc;

use portcullis_service::ports::{Clock as _, RequestMeta, SecureRandom as _};
use portcullis_service::rotate::RotateError;
use portcullis_service::rotate::manual::rotate_now;
use portcullis_service::rotate::revoke::{KeyRevocation, revoke_key};

use crate::mutation::Mutation;
use crate::oracle::Case;
use crate::oracle::service::Failures;
use crate::rotation::{Machine, retire};
use crate::world::SimWorld;

/// Revokes a key at the time in the plan, if it has one.
pub(crate) async fn work(world: Rc<SimWorld>) {
    let Some(at) = world.plan.drops_at else {
        return;
    };
    world.sleep(at).await;
    let name = {
        let tables = world.tables.borrow();
        let keys = tables.document.keys();
        let key = world.random.pick(keys);
        key.key.id().unwrap_or_default().to_owned()
    };
    let terminal = Machine::new(&world, "operator");
    drop_key(&terminal, &name).await;
    let mut failures = Failures::default();
    loop {
        let begun = world.now();
        let done = rotate(&terminal).await;
        // It is too early only if a key signs.
        let is_answered = matches!(done, Some(Ok(_) | Err(RotateError::TooEarly(_))));
        if is_answered {
            world.oracle.borrow_mut().next_key(world.now());
        }
        let what = "a manual rotation";
        world.tried("operator", what, &mut failures, is_answered, begun);
        if let Some(Ok(version)) = done {
            retire(&world, &version);
            return;
        }
        if world.mutation == Some(Mutation::DropSilently) {
            return;
        }
        world.sleep(world.random.within(500, 3_000)).await;
    }
}

/// Revokes `name` and retries until it is done.
async fn drop_key(terminal: &Rc<Machine>, name: &str) {
    let world = &terminal.world;
    world.tell(|| format!("operator revokes {name}"));
    let mut failures = Failures::default();
    loop {
        let begun = world.now();
        world.oracle.borrow_mut().key_drops(name, begun, false);
        let is_done = try_drop(terminal, name).await;
        let what = "the revocation of a key";
        world.tried("operator", what, &mut failures, is_done, begun);
        if is_done {
            break;
        }
        world.sleep(world.random.within(200, 2_000)).await;
    }
    let now = world.now();
    world.oracle.borrow_mut().key_drops(name, now, true);
    world.oracle.borrow_mut().meet(Case::Emergency);
    world.tell(|| format!("operator has revoked {name}"));
}

async fn try_drop(terminal: &Rc<Machine>, name: &str) -> bool {
    let (machine, name) = (Rc::clone(terminal), name.to_owned());
    let work = async move {
        let call = RequestMeta {
            now: machine.clock.now(),
            request_id: machine.world.id().expect("chance"),
            client_address: String::new(),
        };
        let rotation = machine.rotation(&call);
        let lifetime = rotation.bounds.token_lifetime;
        revoke_key(&name, lifetime, rotation.clock, rotation.context).await
    };
    let done = terminal.world.executor.remote(work).await;
    match done {
        Some(Ok(KeyRevocation::Done | KeyRevocation::UnknownKey)) => true,
        Some(Ok(KeyRevocation::Contended) | Err(_)) | None => false,
    }
}

/// Creates the next key manually; `None` if the command did not complete.
async fn rotate(terminal: &Rc<Machine>) -> Option<Result<String, RotateError>> {
    let machine = Rc::clone(terminal);
    let work = async move {
        let call = machine.call();
        let done = rotate_now(&machine.rotation(&call)).await;
        machine.world.tell(|| {
            let said = done.as_ref().map_or_else(|error| error.code(), |_| "done");
            format!("operator rotates manually: {said}")
        });
        done
    };
    terminal.world.executor.remote(work).await
}
