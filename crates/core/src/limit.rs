//! Rate limits: how many attempts pass in a window, and when the next one may.
//!
//! A [`Quota`] of up to [`MAX_EXACT_ATTEMPTS`] attempts uses a [`sliding_window::SlidingWindow`], which
//! keeps the last attempts. A larger one uses a [`fixed_window::FixedWindow`], which counts the
//! previous window in full. Both return an exact retry time. A [`kind::LimitKind`] defines the
//! attempt and its bucket.

pub mod client;
pub mod device;
pub mod fixed_window;
pub mod kind;
pub mod quotas;
pub mod sliding_window;

use core::time::Duration;

use thiserror::Error;

use crate::time::UnixTime;

/// The largest quota with a sliding window: more attempts would not fit into one write unit.
pub const MAX_EXACT_ATTEMPTS: u32 = 32;

/// The largest quota.
pub const MAX_ATTEMPTS: u32 = 1_000_000;

/// The longest window of a quota.
pub const MAX_PERIOD: Duration = Duration::from_secs(24 * 60 * 60);

/// The number of permitted attempts per window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quota {
    attempts: u32,
    seconds: u64,
}

/// The text is no valid quota.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a quota is attempts/seconds: 1 to 1000000 attempts in 1 to 86400 seconds")]
pub struct QuotaError;

impl Quota {
    /// A quota of `attempts` in `per`, each clamped to its valid range.
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

    /// Parses `10/3600`: ten attempts in an hour.
    ///
    /// # Errors
    ///
    /// [`QuotaError`] if the text is malformed or out of range.
    pub fn parse(text: &str) -> Result<Self, QuotaError> {
        let (attempts, seconds) = text.split_once('/').ok_or(QuotaError)?;
        let attempts = attempts.parse().map_err(|_| QuotaError)?;
        let seconds = seconds.parse().map_err(|_| QuotaError)?;
        let quota = Self::of(attempts, Duration::from_secs(seconds));
        // A clamped value was out of range.
        let fits = quota.attempts == attempts && quota.seconds == seconds;
        fits.then_some(quota).ok_or(QuotaError)
    }

    /// The number of permitted attempts.
    pub const fn attempts(self) -> u32 {
        self.attempts
    }

    /// The length of the window.
    pub const fn per(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// Whether the quota uses a sliding window.
    pub const fn is_exact(self) -> bool {
        self.attempts <= MAX_EXACT_ATTEMPTS
    }
}

/// `10/3600`, as [`Quota::parse`] accepts it.
impl core::fmt::Display for Quota {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}/{}", self.attempts, self.seconds)
    }
}

/// The number of tags within a second.
const TAGS: u64 = 1_000_000_000;

/// One attempt: its second, and a random tag that distinguishes attempts of the same second.
///
/// The tag identifies an attempt in its bucket: a write retried after a lost response finds itself,
/// and a completed login refunds only its own attempt. SECURITY: the host draws the tag; with a tag
/// of the client's choice, many attempts could pass as one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Attempt(u64);

impl Attempt {
    /// An attempt at `at`. The client must have no influence on the bits in `random`.
    pub fn new(at: UnixTime, random: u32) -> Self {
        let tag = u64::from(random).checked_rem(TAGS).unwrap_or(0);
        Self(Self::first_of(at).0.saturating_add(tag))
    }

    /// The smallest attempt of the second `at`: attempts sort by their seconds.
    pub const fn first_of(at: UnixTime) -> Self {
        Self(at.as_secs().saturating_mul(TAGS))
    }

    /// Parses the value of [`Attempt::stamp`].
    pub const fn from_stamp(stamp: u64) -> Self {
        Self(stamp)
    }

    /// Second and tag in one number, for storage.
    pub const fn stamp(self) -> u64 {
        self.0
    }

    /// Its second.
    pub const fn at(self) -> UnixTime {
        UnixTime::from_secs(self.0 / TAGS)
    }
}

/// The decision on an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum LimitDecision {
    /// The attempt is allowed.
    Allow,
    /// The client may retry after this time, to the second, unless another attempt takes the place.
    RetryAfter(Duration),
    /// The bucket has too many consecutive failures; waiting does not help.
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
    fn a_quota_is_parsed_within_its_bounds() {
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
