//! One thread and one clock that jumps: the seed draws the next task, and time passes only when no
//! task can run.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use crate::random::Random;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Runs tasks in virtual milliseconds.
#[derive(Default)]
pub(crate) struct Executor {
    now: Cell<u64>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    ready: Arc<Mutex<Vec<u64>>>,
    timers: RefCell<BTreeMap<(u64, u64), Waker>>,
    next: Cell<u64>,
    crashing: Cell<bool>,
}

/// Makes its task runnable.
struct Ready {
    task: u64,
    ready: Arc<Mutex<Vec<u64>>>,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        let mut ready = self.ready.lock().expect("one thread");
        if !ready.contains(&self.task) {
            ready.push(self.task);
        }
    }
}

impl Executor {
    /// Milliseconds since the start, by the one true clock.
    pub(crate) const fn now(&self) -> u64 {
        self.now.get()
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let name = self.name();
        self.tasks.borrow_mut().insert(name, Box::pin(task));
        self.waker(name).wake();
    }

    /// Waits for `millis`.
    pub(crate) fn sleep(self: &Rc<Self>, millis: u64) -> Sleep {
        Sleep {
            executor: Rc::clone(self),
            until: self.now().saturating_add(millis),
            set: false,
        }
    }

    /// Ends the running task here: none of it continues, and no other task is notified.
    pub(crate) async fn crash(&self) -> ! {
        self.crashing.set(true);
        pending::<()>().await;
        unreachable!("a crashed task is never run again")
    }

    /// Runs every task until `end`.
    pub(crate) fn run(&self, end: u64, random: &Random) {
        loop {
            while let Some(task) = self.take_ready(random) {
                self.poll(task);
            }
            let timer = self.timers.borrow_mut().pop_first();
            match timer {
                Some(((at, _), waker)) if at <= end => {
                    self.now.set(at.max(self.now()));
                    waker.wake();
                }
                _ => break,
            }
        }
        self.clear();
    }

    /// Drops the waiting tasks: they hold the [`SimWorld`](crate::world::World), which holds this
    /// executor.
    pub(crate) fn clear(&self) {
        let (tasks, timers) = (self.tasks.take(), self.timers.take());
        drop((tasks, timers));
    }

    fn poll(&self, name: u64) {
        let Some(mut task) = self.tasks.borrow_mut().remove(&name) else {
            return;
        };
        let waker = self.waker(name);
        let polled = task.as_mut().poll(&mut Context::from_waker(&waker));
        let crashed = self.crashing.replace(false);
        if polled.is_pending() && !crashed {
            self.tasks.borrow_mut().insert(name, task);
        }
    }

    fn take_ready(&self, random: &Random) -> Option<u64> {
        let mut ready = self.ready.lock().expect("one thread");
        if ready.is_empty() {
            return None;
        }
        let last = u64::try_from(ready.len() - 1).expect("few");
        let place = usize::try_from(random.within(0, last)).expect("few");
        Some(ready.swap_remove(place))
    }

    fn waker(&self, task: u64) -> Waker {
        let ready = Arc::clone(&self.ready);
        Waker::from(Arc::new(Ready { task, ready }))
    }

    fn name(&self) -> u64 {
        self.next.set(self.next.get() + 1);
        self.next.get()
    }
}

/// A wait in virtual time.
pub(crate) struct Sleep {
    executor: Rc<Executor>,
    until: u64,
    set: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.executor.now() >= self.until {
            return Poll::Ready(());
        }
        if !self.set {
            self.set = true;
            let place = (self.until, self.executor.name());
            let waker = context.waker().clone();
            self.executor.timers.borrow_mut().insert(place, waker);
        }
        Poll::Pending
    }
}

/// The result of a call: a response, or the notice that none will come.
struct Slot<T> {
    answer: Option<T>,
    over: bool,
    waker: Option<Waker>,
}

/// Wakes the caller however the callee ends.
struct Line<T>(Rc<RefCell<Slot<T>>>);

impl<T> Drop for Line<T> {
    fn drop(&mut self) {
        let mut slot = self.0.borrow_mut();
        slot.over = true;
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
    }
}

impl Executor {
    /// Runs `work` in a task of its own, which may crash without the caller; returns `None` then.
    pub(crate) async fn remote<T: 'static>(
        &self,
        work: impl Future<Output = T> + 'static,
    ) -> Option<T> {
        let slot = Rc::new(RefCell::new(Slot {
            answer: None,
            over: false,
            waker: None,
        }));
        let line = Line(Rc::clone(&slot));
        self.spawn(async move {
            let answer = work.await;
            line.0.borrow_mut().answer = Some(answer);
        });
        std::future::poll_fn(move |context| {
            let mut slot = slot.borrow_mut();
            if slot.over {
                return Poll::Ready(slot.answer.take());
            }
            slot.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_jumps_to_the_next_event_and_a_crash_is_reported() {
        let executor = Rc::new(Executor::default());
        let seen = Rc::new(RefCell::new(Vec::new()));
        for millis in [500, 20] {
            let (executor, seen) = (Rc::clone(&executor), Rc::clone(&seen));
            let inner = Rc::clone(&executor);
            executor.spawn(async move {
                inner.sleep(millis).await;
                let crashes = Rc::clone(&inner);
                let answer = inner.remote(async move {
                    if millis == 20 {
                        crashes.crash().await;
                    }
                    millis
                });
                let answer = answer.await;
                seen.borrow_mut().push((answer, inner.now()));
            });
        }
        executor.run(1_000, &Random::new(1));
        assert_eq!(*seen.borrow(), [(None, 20), (Some(500), 500)]);
    }
}
