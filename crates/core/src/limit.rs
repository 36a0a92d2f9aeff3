//! Rate limits: how many attempts pass in a span of time, and when the next one will.
//!
//! A [`Quota`] of up to [`MOST_EXACT`] attempts is judged by a [`window::Window`], which keeps the
//! last ones; a larger one by a [`tally::Tally`], which counts the span before in full. Both are
//! exact about when to come back. What an attempt is, and which bucket it falls into, is a
//! [`scope::LimitKind`]'s to say.

pub mod client;
pub mod device;
pub mod fixed_window;
pub mod kind;
pub mod quotas;
pub mod sliding_window;

use core::time::Duration;

use thiserror::Error;

use crate::time::UnixTime;

/// The largest quota that is kept attempt by attempt: more would not fit into one write unit.
pub const MAX_EXACT_ATTEMPTS: u32 = 32;

/// The largest quota.
pub const MAX_ATTEMPTS: u32 = 1_000_000;

/// The longest span of a quota.
pub const MAX_PERIOD: Duration = Duration::from_secs(24 * 60 * 60);

/// How many attempts may pass in how long a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quota {
    attempts: u32,
    seconds: u64,
}

/// The text is no quota.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a quota is attempts/seconds: 1 to 1000000 attempts in 1 to 86400 seconds")]
pub struct QuotaError;

impl Quota {
    /// `attempts` in `per`, each moved to the nearest that a quota can have.
    pub const fn of(attempts: u32, per: Duration) -> Self {
        let seconds = per.as_secs();
        Self {
            attempts: match attempts {
                0 => 1,
                1..=MAX_ATTEMPTS => attempts,
                _ => MAX_ATTEMPTS,
            },
            seconds: match seconds {
                0 => 1,
                1..=86_400 => seconds,
                _ => MAX_PERIOD.as_secs(),
            },
        }
    }

    /// Reads `10/3600`: ten in an hour.
    ///
    /// # Errors
    ///
    /// [`QuotaError`] if it is not written so or outside the bounds.
    pub fn parse(text: &str) -> Result<Self, QuotaError> {
        let (attempts, seconds) = text.split_once('/').ok_or(QuotaError)?;
        let attempts = attempts.parse().map_err(|_| QuotaError)?;
        let seconds = seconds.parse().map_err(|_| QuotaError)?;
        let quota = Self::of(attempts, Duration::from_secs(seconds));
        // What had to be moved was out of bounds.
        let fits = quota.attempts == attempts && quota.seconds == seconds;
        fits.then_some(quota).ok_or(QuotaError)
    }

    /// How many attempts pass.
    pub const fn attempts(self) -> u32 {
        self.attempts
    }

    /// In how long a time.
    pub const fn per(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// Whether it is kept attempt by attempt.
    pub const fn is_exact(self) -> bool {
        self.attempts <= MAX_EXACT_ATTEMPTS
    }
}

/// `10/3600`, as [`Quota::parse`] reads it.
impl core::fmt::Display for Quota {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}/{}", self.attempts, self.seconds)
    }
}

/// How many tags there are within a second.
const TAGS: u64 = 1_000_000_000;

/// One attempt: its second, and a tag drawn at random that tells it from others of that second.
///
/// The tag is how an attempt knows itself again in its bucket: a write repeated after a lost
/// answer finds it, and a completed login takes its own attempt back and no other's. It is drawn by
/// the host: with a tag of the caller's choice, many attempts could pass as one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Attempt(u64);

impl Attempt {
    /// An attempt at `at`; `random` are bits that the caller of the host has no say in.
    pub fn new(at: UnixTime, random: u32) -> Self {
        let tag = u64::from(random).checked_rem(TAGS).unwrap_or(0);
        Self(Self::first_of(at).0.saturating_add(tag))
    }

    /// The least attempt there can be in the second `at`: attempts compare as their seconds do.
    pub const fn first_of(at: UnixTime) -> Self {
        Self(at.as_secs().saturating_mul(TAGS))
    }

    /// Reads what [`Attempt::stamp`] gave.
    pub const fn from_stamp(stamp: u64) -> Self {
        Self(stamp)
    }

    /// Second and tag in one number, for keeping.
    pub const fn stamp(self) -> u64 {
        self.0
    }

    /// Its second.
    pub const fn at(self) -> UnixTime {
        UnixTime::from_secs(self.0 / TAGS)
    }
}

/// What is to become of an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum LimitDecision {
    /// It passes.
    Allow,
    /// It may come back after this long, to the second, if nobody else takes the place.
    RetryAfter(Duration),
    /// So many have failed one after the other that waiting does not help.
    LockedOut,
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the numbers and texts of a test are its own"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quota_is_read_within_its_bounds() {
        for text in ["1/1", "10/3600", "32/60", "1000000/86400"] {
            assert_eq!(
                Quota::parse(text).map(|quota| quota.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in [
            "",
            "10",
            "10/",
            "/60",
            "0/60",
            "10/0",
            "1000001/60",
            "10/86401",
            "-1/60",
            "1.5/60",
            "10 / 60",
            "10/60/1",
            "4294967296/60",
        ] {
            assert_eq!(Quota::parse(text), Err(QuotaError), "{text}");
        }
        assert!(Quota::of(32, MAX_PERIOD).is_exact() && !Quota::of(33, MAX_PERIOD).is_exact());
    }

    proptest! {
        #[test]
        fn an_attempt_keeps_its_second_and_sorts_by_it(
            secs in 0_u64..10_000_000_000, later in 1_u64..100_000, a: u32, b: u32,
        ) {
            let first = Attempt::new(UnixTime::from_secs(secs), a);
            let second = Attempt::new(UnixTime::from_secs(secs + later), b);
            prop_assert_eq!(first.at().as_secs(), secs);
            prop_assert!(first < second);
            prop_assert!(Attempt::first_of(first.at()) <= first);
            prop_assert_eq!(Attempt::from_stamp(first.stamp()), first);
        }
    }
}
