//! The scheduled work of a host: closed minutes of the feed are packed.

use std::rc::Rc;
use std::time::Duration;

use portcullis_service::pack::pack;
use portcullis_service::ports::Chance as _;

use crate::mutation::Mutation;
use crate::store::{View, clock};
use crate::world::{Dependency, World};

/// Packs about once a minute, for as long as the world lasts.
pub(crate) async fn work(world: Rc<World>) {
    let store = View::new(&world, "packer", Dependency::Store);
    let offset = world.offset();
    loop {
        world.sleep(world.random.within(30_000, 70_000)).await;
        let (own, store) = (Rc::clone(&world), store.clone());
        let round = world.executor.remote(async move {
            let mut now = clock(own.now(), offset);
            if own.mutation == Some(Mutation::PackEarly) {
                now = now.after(Duration::from_secs(40));
            }
            let id = own.id().expect("chance");
            pack(&store, own.plan.lifetime, now, &id).await
        });
        let round = round.await;
        world.tell(|| match round {
            Some(Ok(outcome)) => format!("packer: {outcome:?}"),
            Some(Err(error)) => format!("packer: {error}"),
            None => "packer is gone".to_owned(),
        });
    }
}
