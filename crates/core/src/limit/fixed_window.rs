//! The fixed-window counter of a bucket with a quota too large for a sliding window.

use core::time::Duration;
use std::collections::BTreeMap;

use crate::limit::{Attempt, LimitDecision, Quota};
use crate::time::UnixTime;

/// The total of attempts so far, and the total at which each window, counted from 1970, is full.
///
/// Windows of `per` follow each other from 1970 on. An attempt passes while the previous window, in
/// full, and its own hold fewer than the quota. This is stricter than a sliding window, because any
/// span of `per` touches at most two windows. The limits of windows never change, so one conditional write
/// suffices and no window's count is reset. Only a refund lowers the total.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FixedWindow {
    used: u64,
    /// For each window: the total at its first attempt plus the quota.
    full_at: BTreeMap<u64, u64>,
    last: Option<Attempt>,
}

impl FixedWindow {
    /// A stored counter: the total, the limit of each window, and the last attempt that passed.
    pub const fn new(used: u64, full_at: BTreeMap<u64, u64>, last: Option<Attempt>) -> Self {
        Self {
            used,
            full_at,
            last,
        }
    }

    /// The window of `now`, counted from 1970.
    pub fn span(quota: Quota, now: UnixTime) -> u64 {
        let seconds = quota.per().as_secs();
        now.as_secs().checked_div(seconds).unwrap_or(0)
    }

    /// Whether `attempt` passes. The last counted attempt passes again, because it is a retry.
    pub fn check(&self, quota: Quota, attempt: Attempt) -> LimitDecision {
        let now = attempt.at();
        let span = Self::span(quota, now);
        if self.last == Some(attempt) || !self.is_full(span) {
            return LimitDecision::Allow;
        }
        // After one more window without attempts nothing counts.
        let next = span.saturating_add(1);
        let free = if self.is_full(next) {
            next.saturating_add(1)
        } else {
            next
        };
        let free_at = free.saturating_mul(quota.per().as_secs());
        LimitDecision::RetryAfter(now.until(UnixTime::from_secs(free_at)))
    }

    /// The counter after `attempt` has passed.
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

    /// The counter without the successful `attempt`, which it counted. Once an attempt of the next
    /// window is counted, the counter stays: the quota of that window contains `attempt` already.
    #[must_use]
    pub fn refund(mut self, quota: Quota, attempt: Attempt) -> Self {
        let span = Self::span(quota, attempt.at());
        let next = span.saturating_add(1);
        if self.full_at.contains_key(&span) && !self.full_at.contains_key(&next) {
            self.used = self.used.saturating_sub(1);
        }
        self
    }

    /// Whether more than half of the quota is used for `span`'s attempts.
    pub fn is_half_used(&self, quota: Quota, now: UnixTime) -> bool {
        let half = u64::from(quota.attempts() / 2);
        self.full_for(Self::span(quota, now))
            .is_some_and(|full| full.saturating_sub(self.used) < half)
    }

    /// The number of attempts that count at `now`, at most the quota.
    pub fn used(&self, quota: Quota, now: UnixTime) -> u32 {
        let Some(full) = self.full_for(Self::span(quota, now)) else {
            return 0;
        };
        let left = u32::try_from(full.saturating_sub(self.used)).unwrap_or(u32::MAX);
        quota.attempts().saturating_sub(left)
    }

    /// The time after which no attempt counts any more; `None` if none counts at `now`.
    pub fn unused_in(&self, quota: Quota, now: UnixTime) -> Option<Duration> {
        if self.used(quota, now) == 0 {
            return None;
        }
        let span = Self::span(quota, now);
        // An attempt counts in its own window and in the next one.
        let windows = if self.full_at.contains_key(&span) {
            2
        } else {
            1
        };
        let free = span.saturating_add(windows);
        let free_at = free.saturating_mul(quota.per().as_secs());
        Some(now.until(UnixTime::from_secs(free_at)))
    }

    /// Whether `span` is full. It counts from the first attempt of the previous window, or from its
    /// own first attempt if that window had none.
    fn is_full(&self, span: u64) -> bool {
        self.full_for(span).is_some_and(|full| self.used >= full)
    }

    /// The total at which `span` is full.
    fn full_for(&self, span: u64) -> Option<u64> {
        let before = span.checked_sub(1);
        let before = before.and_then(|before| self.full_at.get(&before));
        before.or_else(|| self.full_at.get(&span)).copied()
    }
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the numbers and texts of a test are its own"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The start of an hour.
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
            .fold(FixedWindow::default(), |window, second| {
                assert_eq!(
                    window.check(quota, at(second)),
                    LimitDecision::Allow,
                    "{second}"
                );
                window.count(quota, at(second))
            })
    }

    #[test]
    fn the_previous_window_counts_in_full() {
        let window = with((0..60).chain(3_600..3_640));
        assert_eq!(window.check(of_hundred(), at(3_640)), wait(3_560));
        // The sixty of the first hour no longer count; forty of the second remain.
        assert_eq!(window.check(of_hundred(), at(7_199)), wait(1));
        assert_eq!(window.check(of_hundred(), at(7_200)), LimitDecision::Allow);
    }

    #[test]
    fn a_used_quota_is_available_again_after_the_next_window() {
        let window = with(0..100);
        assert_eq!(window.check(of_hundred(), at(100)), wait(7_100));
        assert_eq!(window.check(of_hundred(), at(7_199)), wait(1));
        assert_eq!(window.check(of_hundred(), at(7_200)), LimitDecision::Allow);
    }

    #[test]
    fn the_used_attempts_are_those_of_this_window_and_the_previous_one() {
        let quota = of_hundred();
        let seconds = quota.per().as_secs();
        let state = |window: &FixedWindow, second| {
            let now = UnixTime::from_secs(NOON + second);
            let left = window.unused_in(quota, now).map(|left| left.as_secs());
            (window.used(quota, now), left)
        };
        assert_eq!(state(&FixedWindow::default(), 0), (0, None));
        let window = with([0, 1, 2]);
        for (second, expected) in [
            (2, (3, Some(2 * seconds - 2))),
            (seconds - 1, (3, Some(seconds + 1))),
            (seconds, (3, Some(seconds))),
            (2 * seconds - 1, (3, Some(1))),
            (2 * seconds, (0, None)),
        ] {
            assert_eq!(state(&window, second), expected, "{second}");
        }
        let later = with([0, 1, 2, seconds + 5]);
        assert_eq!(state(&later, seconds + 5), (4, Some(2 * seconds - 5)));
        assert_eq!(state(&later, 2 * seconds), (1, Some(seconds)));
        let full = with(core::iter::repeat_n(0, 1).chain(1..100));
        assert_eq!(state(&full, 99).0, 100);
    }

    #[test]
    fn a_retried_write_counts_once_in_a_fixed_window() {
        let window = with([0]);
        assert_eq!(window.clone().count(of_hundred(), at(0)), window);
    }

    proptest! {
        #[test]
        fn no_span_exceeds_the_quota_and_retry_after_is_exact(
            attempts in 33_u32..60, per in 1_u64..500,
            steps in prop::collection::vec(0_u64..20, 0..400),
        ) {
            let quota = Quota::of(attempts, Duration::from_secs(per));
            let (mut window, mut now, mut passed) = (FixedWindow::default(), 0, Vec::new());
            for (place, step) in steps.into_iter().enumerate() {
                now += step;
                let tag = u32::try_from(place).unwrap();
                let attempt = Attempt::new(UnixTime::from_secs(NOON + now), tag);
                match window.check(quota, attempt) {
                    LimitDecision::Allow => {
                        window = window.count(quota, attempt);
                        passed.push(now);
                    }
                    LimitDecision::RetryAfter(span) => {
                        let then = now + span.as_secs();
                        prop_assert_eq!(window.check(quota, at(then - 1)), wait(1));
                        prop_assert_eq!(window.check(quota, at(then)), LimitDecision::Allow);
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
