//! The scheduled work of a host: packs closed minutes of the feed.

use std::rc::Rc;
use std::time::Duration;

use portcullis_service::pack::pack;
use portcullis_service::ports::{Clock as _, SecureRandom as _};

use crate::clock::SimClock;
use crate::mutation::Mutation;
use crate::plan::SimDependency;
use crate::store::View;
use crate::world::SimWorld;

/// Packs about once a minute until the end of the run.
pub(crate) async fn work(world: Rc<SimWorld>) {
    let store = View::new(&world, "packer", SimDependency::Store);
    let clock = Rc::new(SimClock::new(&world, "packer"));
    loop {
        world.sleep(world.random.within(30_000, 70_000)).await;
        let (own, store, clock) = (Rc::clone(&world), store.clone(), Rc::clone(&clock));
        let round = world.executor.remote(async move {
            let mut now = clock.now();
            if own.mutation == Some(Mutation::PackEarly) {
                now = now.plus(Duration::from_secs(40));
            }
            let id = own.id().expect("chance");
            pack(&store, own.plan.lifetime, now, &id).await
        });
        let round = round.await;
        assert!(
            world.mutation != Some(Mutation::Panic),
            "the mutation `Panic` stops the simulation"
        );
        world.tell(|| match round {
            Some(Ok(outcome)) => format!("packer: {outcome:?}"),
            Some(Err(error)) => format!("packer: {error}"),
            None => "packer has crashed".to_owned(),
        });
    }
}
