//! The exact sliding window: the last attempts of a bucket, one by one.

use core::time::Duration;

use crate::limit::{Attempt, LimitDecision, Quota};
use crate::time::UnixTime;

/// The last attempts that passed, latest first, and the number of consecutive failures.
///
/// INVARIANT: each attempt that passes is at least `per` after the one `attempts` positions before
/// it. Of any `attempts + 1`, two share their position modulo `attempts` and are at least `per`
/// apart. So no span of `per` exceeds the quota, in whatever order hosts with different clocks
/// write.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SlidingWindow {
    latest_first: Vec<Attempt>,
    failures: u32,
}

impl SlidingWindow {
    /// A stored window: attempts, latest first.
    pub const fn new(latest_first: Vec<Attempt>, failures: u32) -> Self {
        Self {
            latest_first,
            failures,
        }
    }

    /// The number of consecutive attempts that passed and were not settled as successful.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// The number of attempts that count at `now`, at most the quota.
    pub fn used(&self, quota: Quota, now: UnixTime) -> u32 {
        let counted = self.counted(quota, now).count();
        u32::try_from(counted).unwrap_or(u32::MAX)
    }

    /// The time after which no attempt counts any more; `None` if none counts at `now`.
    pub fn unused_in(&self, quota: Quota, now: UnixTime) -> Option<Duration> {
        let ends = self.counted(quota, now);
        let last = ends.map(|attempt| attempt.at().plus(quota.per())).max()?;
        Some(now.until(last))
    }

    fn counted(&self, quota: Quota, now: UnixTime) -> impl Iterator<Item = &Attempt> {
        let most = usize::try_from(quota.attempts()).unwrap_or(usize::MAX);
        let latest = self.latest_first.iter().take(most);
        latest.filter(move |attempt| now < attempt.at().plus(quota.per()))
    }

    /// The number of attempts after `attempt`; `None` if the window does not contain it.
    pub fn place_of(&self, attempt: Attempt) -> Option<usize> {
        self.latest_first.iter().position(|kept| *kept == attempt)
    }

    /// Whether `attempt` passes. An attempt in the window passes again, because it is a retry.
    /// `ceiling` is the number of consecutive failures that locks the bucket.
    pub fn check(&self, quota: Quota, ceiling: Option<u32>, attempt: Attempt) -> LimitDecision {
        if self.place_of(attempt).is_some() {
            return LimitDecision::Allow;
        }
        if ceiling.is_some_and(|ceiling| self.failures >= ceiling) {
            return LimitDecision::LockedOut;
        }
        let place = usize::try_from(quota.attempts().saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(oldest) = self.latest_first.get(place) else {
            return LimitDecision::Allow;
        };
        let (now, free_at) = (attempt.at(), oldest.at().plus(quota.per()));
        if now >= free_at {
            LimitDecision::Allow
        } else {
            LimitDecision::RetryAfter(now.until(free_at))
        }
    }

    /// The window after `attempt` has passed. The attempt counts as failed until it is settled.
    #[must_use]
    pub fn shift(mut self, quota: Quota, attempt: Attempt) -> Self {
        if self.place_of(attempt).is_none() {
            self.latest_first.insert(0, attempt);
            let most = usize::try_from(quota.attempts()).unwrap_or(usize::MAX);
            self.latest_first.truncate(most);
            self.failures = self.failures.saturating_add(1);
        }
        self
    }

    /// The window after `attempt` succeeded: its place is free again, and the failure count is
    /// zero.
    #[must_use]
    pub fn refund(mut self, attempt: Attempt) -> Self {
        self.latest_first.retain(|kept| *kept != attempt);
        self.failures = 0;
        self
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

    const NOON: u64 = 1_795_435_200;

    fn at(second: u64) -> Attempt {
        Attempt::new(UnixTime::from_secs(NOON + second), 7)
    }

    fn quota(attempts: u32, seconds: u64) -> Quota {
        Quota::of(attempts, Duration::from_secs(seconds))
    }

    fn wait(seconds: u64) -> LimitDecision {
        LimitDecision::RetryAfter(Duration::from_secs(seconds))
    }

    #[test]
    fn the_oldest_attempt_leaves_the_window_to_the_second() {
        let quota = quota(2, 60);
        let window = SlidingWindow::default()
            .shift(quota, at(0))
            .shift(quota, at(10));
        assert_eq!(window.check(quota, None, at(10 + 1)), wait(49));
        assert_eq!(window.check(quota, None, at(59)), wait(1));
        assert_eq!(window.check(quota, None, at(60)), LimitDecision::Allow);
        let window = window.shift(quota, at(60));
        assert_eq!(window.check(quota, None, at(69)), wait(1));
        assert_eq!(window.check(quota, None, at(70)), LimitDecision::Allow);
    }

    #[test]
    fn the_used_attempts_are_those_inside_the_window_to_the_second() {
        let quota = quota(3, 60);
        let window = SlidingWindow::default()
            .shift(quota, at(0))
            .shift(quota, at(10));
        let state = |window: &SlidingWindow, second| {
            let now = UnixTime::from_secs(NOON + second);
            let left = window.unused_in(quota, now).map(|left| left.as_secs());
            (window.used(quota, now), left)
        };
        assert_eq!(state(&SlidingWindow::default(), 0), (0, None));
        for (second, expected) in [
            (10, (2, Some(60))),
            (59, (2, Some(11))),
            (60, (1, Some(10))),
            (69, (1, Some(1))),
            (70, (0, None)),
        ] {
            assert_eq!(state(&window, second), expected, "{second}");
        }
        let full = (20..30).fold(window, |window, second| window.shift(quota, at(second)));
        assert_eq!(state(&full, 30), (3, Some(59)));
        assert_eq!(state(&full.refund(at(29)), 30), (2, Some(58)));
    }

    #[test]
    fn a_retried_write_counts_once_in_a_sliding_window() {
        let quota = quota(1, 60);
        let window = SlidingWindow::default().shift(quota, at(0));
        assert_eq!(window.check(quota, None, at(0)), LimitDecision::Allow);
        assert_eq!(window.clone().shift(quota, at(0)), window);
        let other = Attempt::new(UnixTime::from_secs(NOON), 8);
        assert_eq!(window.check(quota, None, other), wait(60));
    }

    #[test]
    fn a_hundred_consecutive_failures_lock_out_and_a_successful_login_resets() {
        let quota = quota(1, 1);
        let window = (0..100).fold(SlidingWindow::default(), |window, second| {
            assert_eq!(
                window.check(quota, Some(100), at(second)),
                LimitDecision::Allow
            );
            window.shift(quota, at(second))
        });
        assert_eq!(
            window.check(quota, Some(100), at(5_000)),
            LimitDecision::LockedOut
        );
        assert_eq!(window.check(quota, None, at(5_000)), LimitDecision::Allow);
        let settled = window.refund(at(99));
        assert_eq!((settled.failures(), settled.place_of(at(99))), (0, None));
        assert_eq!(
            settled.check(quota, Some(100), at(5_000)),
            LimitDecision::Allow
        );
    }

    proptest! {
        /// Host clocks differ, so seconds come in any order.
        #[test]
        fn no_span_exceeds_the_quota_in_a_sliding_window(
            attempts in 1_u32..=32, per in 1_u64..500,
            seconds in prop::collection::vec(0_u64..1_000, 0..200),
        ) {
            let quota = quota(attempts, per);
            let (mut window, mut passed) = (SlidingWindow::default(), Vec::new());
            for (tag, second) in seconds.into_iter().enumerate() {
                let tag = u32::try_from(tag).unwrap();
                let attempt = Attempt::new(UnixTime::from_secs(NOON + second), tag);
                if window.check(quota, None, attempt) == LimitDecision::Allow {
                    window = window.shift(quota, attempt);
                    passed.push(second);
                }
            }
            for start in &passed {
                let within = passed.iter().filter(|second| (*start..start + per).contains(second));
                prop_assert!(within.count() <= usize::try_from(attempts).unwrap());
            }
        }

        #[test]
        fn an_attempt_passes_after_retry_after_and_not_a_second_earlier(
            attempts in 1_u32..=32, per in 1_u64..500,
            steps in prop::collection::vec(0_u64..60, 0..100),
        ) {
            let quota = quota(attempts, per);
            let (mut window, mut now) = (SlidingWindow::default(), 0);
            for step in steps {
                now += step;
                match window.check(quota, None, at(now)) {
                    LimitDecision::Allow => window = window.shift(quota, at(now)),
                    LimitDecision::RetryAfter(span) => {
                        let then = now + span.as_secs();
                        let early = window.check(quota, None, at(then - 1));
                        prop_assert_eq!(early, wait(1));
                        prop_assert_eq!(window.check(quota, None, at(then)), LimitDecision::Allow);
                    }
                    LimitDecision::LockedOut => prop_assert!(false, "no ceiling was set"),
                }
            }
        }

        /// With ordered clocks, a settled attempt leaves no trace.
        #[test]
        fn a_settled_attempt_frees_only_its_own_place(
            attempts in 1_u32..=8,
            steps in prop::collection::vec((0_u64..30, any::<bool>()), 0..100),
        ) {
            let quota = quota(attempts, 100);
            let (mut window, mut now, mut failed) = (SlidingWindow::default(), 1_000, Vec::new());
            for (tag, (step, good)) in steps.into_iter().enumerate() {
                now += step;
                let tag = u32::try_from(tag).unwrap();
                let attempt = Attempt::new(UnixTime::from_secs(NOON + now), tag);
                failed.retain(|second| *second + 100 > now);
                let room = failed.len() < usize::try_from(attempts).unwrap();
                let passes = window.check(quota, None, attempt) == LimitDecision::Allow;
                prop_assert_eq!(passes, room);
                if passes {
                    window = window.shift(quota, attempt);
                    if good { window = window.refund(attempt) } else { failed.push(now) }
                }
            }
        }
    }
}
