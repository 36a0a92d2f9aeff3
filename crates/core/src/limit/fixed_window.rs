//! The count of a bucket whose quota is too large to keep attempt by attempt.

use std::collections::BTreeMap;

use crate::limit::{Attempt, LimitDecision, Quota};
use crate::time::UnixTime;

/// How many attempts there have ever been, and how many there may be before each span counted
/// from 1970 is full.
///
/// Spans of `per` follow each other from 1970 on. An attempt passes while the span before, in full,
/// and its own hold fewer than the quota: more strictly than a sliding window, never less, since any
/// span of `per` touches at most two of them. Two numbers only ever grow, so that one conditional
/// write is enough: no span's count has to be set back.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FixedWindow {
    used: u64,
    /// By span: the count at its first attempt, and the quota on top.
    full_at: BTreeMap<u64, u64>,
    last: Option<Attempt>,
}

impl FixedWindow {
    /// A tally as it was kept: the count so far, where each span is full, the last that passed.
    pub const fn new(used: u64, full_at: BTreeMap<u64, u64>, last: Option<Attempt>) -> Self {
        Self {
            used,
            full_at,
            last,
        }
    }

    /// The span that `now` lies in, counted from 1970.
    pub fn span(quota: Quota, now: UnixTime) -> u64 {
        let seconds = quota.per().as_secs();
        now.as_secs().checked_div(seconds).unwrap_or(0)
    }

    /// Whether `attempt` passes. The last one that was counted has passed: it is a repetition.
    pub fn check(&self, quota: Quota, attempt: Attempt) -> LimitDecision {
        let now = attempt.at();
        let span = Self::span(quota, now);
        if self.last == Some(attempt) || !self.is_full(span) {
            return LimitDecision::Allow;
        }
        // A span of silence on top of its own, and nothing counts any more.
        let next = span.saturating_add(1);
        let free = if self.is_full(next) {
            next.saturating_add(1)
        } else {
            next
        };
        let free_at = free.saturating_mul(quota.per().as_secs());
        LimitDecision::RetryAfter(now.until(UnixTime::from_secs(free_at)))
    }

    /// The tally once `attempt` has passed.
    #[must_use]
    pub fn count(mut self, quota: Quota, attempt: Attempt) -> Self {
        if self.last != Some(attempt) {
            let span = Self::span(quota, attempt.at());
            let full = self.used.saturating_add(u64::from(quota.attempts()));
            self.full_at.entry(span).or_insert(full);
            self.used = self.used.saturating_add(1);
            self.last = Some(attempt);
        }
        self
    }

    /// Whether nobody passes in `span`: it counts from the first attempt of the span before, or
    /// from its own where that had none.
    fn is_full(&self, span: u64) -> bool {
        let before = span.checked_sub(1);
        let before = before.and_then(|before| self.full_at.get(&before));
        before
            .or_else(|| self.full_at.get(&span))
            .is_some_and(|full| self.used >= *full)
    }
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the numbers and texts of a test are its own"
)]
mod tests {
    use core::time::Duration;

    use super::*;
    use proptest::prelude::*;

    /// The beginning of an hour.
    const NOON: u64 = 1_795_435_200;

    fn at(second: u64) -> Attempt {
        Attempt::new(UnixTime::from_secs(NOON + second), 7)
    }

    fn of_hundred() -> Quota {
        Quota::of(100, Duration::from_secs(3_600))
    }

    fn wait(seconds: u64) -> LimitDecision {
        LimitDecision::RetryAfter(Duration::from_secs(seconds))
    }

    fn with(seconds: impl IntoIterator<Item = u64>) -> FixedWindow {
        let quota = of_hundred();
        seconds
            .into_iter()
            .fold(FixedWindow::default(), |tally, second| {
                assert_eq!(
                    tally.check(quota, at(second)),
                    LimitDecision::Allow,
                    "{second}"
                );
                tally.count(quota, at(second))
            })
    }

    #[test]
    fn the_span_before_counts_in_full() {
        let tally = with((0..60).chain(3_600..3_640));
        assert_eq!(tally.check(of_hundred(), at(3_640)), wait(3_560));
        // The sixty of the first hour are gone with it; forty of the second are left.
        assert_eq!(tally.check(of_hundred(), at(7_199)), wait(1));
        assert_eq!(tally.check(of_hundred(), at(7_200)), LimitDecision::Allow);
    }

    #[test]
    fn who_used_all_of_an_hour_waits_for_the_next_but_one() {
        let tally = with(0..100);
        assert_eq!(tally.check(of_hundred(), at(100)), wait(7_100));
        assert_eq!(tally.check(of_hundred(), at(7_199)), wait(1));
        assert_eq!(tally.check(of_hundred(), at(7_200)), LimitDecision::Allow);
    }

    #[test]
    fn a_repeated_write_counts_once() {
        let tally = with([0]);
        assert_eq!(tally.clone().count(of_hundred(), at(0)), tally);
    }

    proptest! {
        #[test]
        fn no_span_holds_more_than_the_quota_and_the_wait_is_exact(
            attempts in 33_u32..60, per in 1_u64..500,
            steps in prop::collection::vec(0_u64..20, 0..400),
        ) {
            let quota = Quota::of(attempts, Duration::from_secs(per));
            let (mut tally, mut now, mut passed) = (FixedWindow::default(), 0, Vec::new());
            for (place, step) in steps.into_iter().enumerate() {
                now += step;
                let tag = u32::try_from(place).unwrap();
                let attempt = Attempt::new(UnixTime::from_secs(NOON + now), tag);
                match tally.check(quota, attempt) {
                    LimitDecision::Allow => {
                        tally = tally.count(quota, attempt);
                        passed.push(now);
                    }
                    LimitDecision::RetryAfter(span) => {
                        let then = now + span.as_secs();
                        prop_assert_eq!(tally.check(quota, at(then - 1)), wait(1));
                        prop_assert_eq!(tally.check(quota, at(then)), LimitDecision::Allow);
                    }
                    LimitDecision::LockedOut => prop_assert!(false, "a tally has no ceiling"),
                }
            }
            for start in &passed {
                let within = passed.iter().filter(|second| (*start..start + per).contains(second));
                prop_assert!(within.count() <= usize::try_from(attempts).unwrap());
            }
        }
    }
}
