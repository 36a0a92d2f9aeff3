//! A bounded queue that serves networks in turn, so that one network cannot fill it.
//!
//! Each network has its own waiting line. The lines are served round robin. If all places are taken,
//! a network with a shorter line takes the last place of the longest line.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_core::limit::client::ClientNetwork;
use tokio::sync::oneshot;

/// A network; clients without a known address share one line.
pub(super) type Network = Option<ClientNetwork>;

/// The queue.
#[derive(Debug)]
pub(super) struct FairQueue {
    at_once: usize,
    waiting: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    /// The lines in the order of their next turn. None is empty.
    lines: VecDeque<Line>,
}

#[derive(Debug)]
struct Line {
    network: Network,
    waiters: VecDeque<oneshot::Sender<Turn>>,
}

/// The permission to run; dropping it starts the next waiter.
#[derive(Debug)]
pub(super) struct Turn(Arc<FairQueue>);

/// All places are taken, or a network with a shorter line took this one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct QueueFull;

impl FairQueue {
    /// A queue that runs `at_once` and lets `waiting` more wait.
    pub(super) fn new(at_once: usize, waiting: usize) -> Arc<Self> {
        Arc::new(Self {
            at_once: at_once.max(1),
            waiting,
            state: Mutex::default(),
        })
    }

    /// Waits for a turn of `network`.
    ///
    /// # Errors
    ///
    /// [`QueueFull`].
    pub(super) async fn turn(self: &Arc<Self>, network: Network) -> Result<Turn, QueueFull> {
        let waiter = {
            let mut state = self.state();
            state.forget_cancelled();
            // The lines are empty unless all turns are taken.
            if state.running < self.at_once {
                state.running = state.running.saturating_add(1);
                return Ok(Turn(Arc::clone(self)));
            }
            state.enqueue(network, self.waiting)?
        };
        // A closed channel means that another network took the place.
        waiter.await.map_err(|_closed| QueueFull)
    }

    /// Passes a finished turn on.
    fn release(self: &Arc<Self>) {
        let next = {
            let mut state = self.state();
            state.forget_cancelled();
            let next = state.dequeue();
            if next.is_none() {
                state.running = state.running.saturating_sub(1);
            }
            next
        };
        // If the waiter has gone meanwhile, its turn comes back here and is dropped, which starts
        // the next one.
        if let Some(waiter) = next {
            drop(waiter.send(Turn(Arc::clone(self))));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every state that a panicking thread can leave behind is valid.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds a waiter to the line of `network`, within `places` of all lines.
    fn enqueue(
        &mut self,
        network: Network,
        places: usize,
    ) -> Result<oneshot::Receiver<Turn>, QueueFull> {
        let own = self.lines.iter().position(|line| line.network == network);
        let length = |place: Option<usize>| {
            let line = place.and_then(|place| self.lines.get(place));
            line.map_or(0, |line| line.waiters.len())
        };
        let taken: usize = self.lines.iter().map(|line| line.waiters.len()).sum();
        if places <= taken {
            let lines = self.lines.iter().enumerate();
            let (longest, _) = lines
                .max_by_key(|(_, line)| line.waiters.len())
                .ok_or(QueueFull)?;
            // With two waiters more, the longest line is still not shorter afterwards.
            if length(Some(longest)) < length(own).saturating_add(2) {
                return Err(QueueFull);
            }
            if let Some(line) = self.lines.get_mut(longest) {
                line.waiters.pop_back();
            }
        }
        let (sender, waiter) = oneshot::channel();
        match own.and_then(|own| self.lines.get_mut(own)) {
            Some(line) => line.waiters.push_back(sender),
            None => self.lines.push_back(Line {
                network,
                waiters: VecDeque::from([sender]),
            }),
        }
        Ok(waiter)
    }

    /// The next waiter. Its network is served again after all others.
    fn dequeue(&mut self) -> Option<oneshot::Sender<Turn>> {
        let mut line = self.lines.pop_front()?;
        let waiter = line.waiters.pop_front();
        if !line.waiters.is_empty() {
            self.lines.push_back(line);
        }
        waiter
    }

    /// Removes waiters whose request has ended.
    fn forget_cancelled(&mut self) {
        for line in &mut self.lines {
            line.waiters.retain(|waiter| !waiter.is_closed());
        }
        self.lines.retain(|line| !line.waiters.is_empty());
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.release();
    }
}

#[cfg(test)]
mod tests {
    use core::net::{IpAddr, Ipv4Addr};
    use core::task::Poll;

    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;
    use proptest::prelude::*;

    use super::*;

    fn network(number: u8) -> Network {
        Some(ClientNetwork::of(IpAddr::V4(Ipv4Addr::new(
            203, 0, 113, number,
        ))))
    }

    /// A request that waits for its turn.
    struct Request {
        network: u8,
        turn: BoxFuture<'static, Result<Turn, QueueFull>>,
    }

    impl Request {
        /// Enters the queue.
        fn of(queue: &Arc<FairQueue>, network_number: u8) -> (Self, Poll<Result<Turn, QueueFull>>) {
            let queue = Arc::clone(queue);
            let turn = async move { queue.turn(network(network_number)).await };
            let mut request = Self {
                network: network_number,
                turn: turn.boxed(),
            };
            let answer = request.poll();
            (request, answer)
        }

        fn poll(&mut self) -> Poll<Result<Turn, QueueFull>> {
            (&mut self.turn)
                .now_or_never()
                .map_or(Poll::Pending, Poll::Ready)
        }
    }

    /// The requests that still wait; the turns of the others go into `turns`.
    fn answered(waiting: Vec<Request>, turns: &mut Vec<Turn>) -> Vec<Request> {
        let mut still = Vec::new();
        for mut request in waiting {
            match request.poll() {
                Poll::Pending => still.push(request),
                Poll::Ready(Ok(turn)) => turns.push(turn),
                Poll::Ready(Err(QueueFull)) => {}
            }
        }
        still
    }

    #[test]
    fn a_flood_of_one_network_delays_another_network_by_one_turn() {
        let queue = FairQueue::new(1, 8);
        let (_, running) = Request::of(&queue, 1);
        let mut flood: Vec<_> = (0..8).map(|_| Request::of(&queue, 1).0).collect();
        let (mut bystander, answer) = Request::of(&queue, 2);
        assert!(answer.is_pending(), "the bystander gets a place");
        let last = flood.last_mut().expect("eight").poll();
        assert!(matches!(last, Poll::Ready(Err(QueueFull))));
        drop(running);
        let Poll::Ready(Ok(first)) = flood[0].poll() else {
            panic!("the first of the flood is next");
        };
        drop(first);
        let Poll::Ready(Ok(_turn)) = bystander.poll() else {
            panic!("then the bystander, before the rest of the flood");
        };
        assert!(flood[1].poll().is_pending());
    }

    #[test]
    fn a_full_queue_rejects_the_network_that_fills_it() {
        let queue = FairQueue::new(1, 2);
        let _running = Request::of(&queue, 1);
        let _waiting = [Request::of(&queue, 1), Request::of(&queue, 1)];
        let (_, answer) = Request::of(&queue, 1);
        assert!(matches!(answer, Poll::Ready(Err(QueueFull))));
        // Lines of equal length keep their places.
        let (_first, answer) = Request::of(&queue, 2);
        assert!(answer.is_pending());
        let (_, answer) = Request::of(&queue, 3);
        assert!(matches!(answer, Poll::Ready(Err(QueueFull))));
    }

    #[test]
    fn a_cancelled_waiter_frees_its_place_and_its_turn() {
        let queue = FairQueue::new(1, 1);
        let (_, running) = Request::of(&queue, 1);
        drop(Request::of(&queue, 2));
        let (mut next, answer) = Request::of(&queue, 1);
        assert!(answer.is_pending(), "the place is free again");
        drop(running);
        assert!(matches!(next.poll(), Poll::Ready(Ok(_))));
        let (_, answer) = Request::of(&queue, 3);
        assert!(matches!(answer, Poll::Ready(Ok(_))), "no turn is lost");
    }

    proptest! {
        #[test]
        fn no_turn_is_lost_and_no_network_is_rejected_while_another_waits_more_often(
            at_once in 1_usize..4,
            places in 0_usize..12,
            steps in proptest::collection::vec((0_u8..5, 0_u8..4), 1..200),
        ) {
            let queue = FairQueue::new(at_once, places);
            let mut turns: Vec<Turn> = Vec::new();
            let mut waiting: Vec<Request> = Vec::new();
            for (number, step) in steps {
                match step {
                    0 | 1 => match Request::of(&queue, number) {
                        (_, Poll::Ready(Ok(turn))) => turns.push(turn),
                        (request, Poll::Pending) => waiting.push(request),
                        (_, Poll::Ready(Err(QueueFull))) => {
                            // A rejected network has at least as many waiters as its fair share.
                            let own = waiting.iter().filter(|other| other.network == number);
                            let own = own.count();
                            for other in 0..5 {
                                let line = waiting.iter().filter(|it| it.network == other);
                                prop_assert!(line.count() <= own.saturating_add(1));
                            }
                        }
                    },
                    2 if !turns.is_empty() => drop(turns.remove(0)),
                    3 if usize::from(number) < waiting.len() => {
                        drop(waiting.remove(usize::from(number)));
                    }
                    _ => {}
                }
                waiting = answered(waiting, &mut turns);
                prop_assert!(turns.len() <= at_once);
                prop_assert!(waiting.len() <= places);
                prop_assert!(waiting.is_empty() || turns.len() == at_once, "an idle turn");
            }
            while !turns.is_empty() {
                drop(turns.remove(0));
                waiting = answered(waiting, &mut turns);
            }
            prop_assert!(waiting.is_empty(), "a waiter without a turn");
            prop_assert_eq!(queue.state().running, 0);
            prop_assert!(queue.state().lines.is_empty());
        }
    }
}
