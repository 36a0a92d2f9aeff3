//! Runs a few futures concurrently.

use core::future::{Future, poll_fn};
use core::task::Poll;

/// The outputs of `futures`, in their order. For a few futures only: a wake-up polls all of them,
/// which needs a tenth of the code of a ready queue.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    poll_fn(move |context| {
        for (future, output) in &mut running {
            if output.is_none()
                && let Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *output = Some(ready);
            }
        }
        if running.iter().any(|(_, output)| output.is_none()) {
            return Poll::Pending;
        }
        let finished = core::mem::take(&mut running);
        Poll::Ready(
            finished
                .into_iter()
                .filter_map(|(_, output)| output)
                .collect(),
        )
    })
    .await
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;
    use core::pin::pin;
    use core::task::{Context, Waker};

    use super::*;

    #[test]
    fn join_all_starts_all_futures_and_returns_their_outputs_in_order() {
        let turns = Cell::new(0);
        let waits = |until: u32| {
            let turns = &turns;
            poll_fn(move |_| {
                turns.set(turns.get() + 1);
                if turns.get() > until {
                    Poll::Ready(until)
                } else {
                    Poll::Pending
                }
            })
        };
        let mut all = pin!(join_all([waits(5), waits(0), waits(3)]));
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(all.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(all.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(all.as_mut().poll(&mut context), Poll::Ready(vec![5, 0, 3]));
        assert_eq!(
            pin!(join_all::<core::future::Ready<u8>>([])).poll(&mut context),
            Poll::Ready(vec![])
        );
    }
}
