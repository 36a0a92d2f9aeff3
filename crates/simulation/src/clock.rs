//! Clocks that are wrong by at most one second, and in some runs are set now and then.

use std::cell::Cell;
use std::rc::Rc;

use portcullis_core::time::UnixTime;
use portcullis_service::ports::Clock;

use crate::bounds::EPOCH;
use crate::executor::Executor;
use crate::plan::SKEW;
use crate::world::SimWorld;

/// The clock of one machine.
pub(crate) struct SimClock {
    executor: Rc<Executor>,
    offset: Rc<Cell<i64>>,
}

impl SimClock {
    pub(crate) fn new(world: &Rc<SimWorld>, limit_key: &str) -> Self {
        let offset = Rc::new(Cell::new(draw(world)));
        if world.plan.steps {
            let (world, offset, limit_key) =
                (Rc::clone(world), Rc::clone(&offset), limit_key.to_owned());
            let executor = Rc::clone(&world.executor);
            executor.spawn(async move {
                loop {
                    world.sleep(world.random.within(5_000, 60_000)).await;
                    let step = draw(&world) - offset.get();
                    offset.set(offset.get() + step);
                    world.tell(|| format!("{limit_key}'s clock is set by {step} ms"));
                }
            });
        }
        Self {
            executor: Rc::clone(&world.executor),
            offset,
        }
    }
}

impl Clock for SimClock {
    fn now(&self) -> UnixTime {
        second(self.executor.now(), self.offset.get())
    }
}

/// Offset so that no two clocks differ by more than the skew; in an ambush, by the maximum.
fn draw(world: &SimWorld) -> i64 {
    let most = i64::try_from(SKEW / 2).expect("small");
    if world.plan.ambushed.is_some() {
        return *world.random.pick(&[-most, most]);
    }
    i64::try_from(world.random.within(0, SKEW)).expect("small") - most
}

/// The second that a clock with `offset` milliseconds shows at the true time `now`.
pub(crate) fn second(now: u64, offset: i64) -> UnixTime {
    let millis = now.saturating_add(EPOCH).saturating_add_signed(offset);
    UnixTime::from_secs(millis / 1_000)
}
