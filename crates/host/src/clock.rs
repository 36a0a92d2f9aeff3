//! The only source of the time: read once for each request, and again after I/O whose duration
//! matters.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::time::SystemTime;

use portcullis_core::time::UnixTime;
use portcullis_service::ports::Clock;
use thiserror::Error;

/// A wall clock. Tests use one that stands still.
pub trait WallClock: fmt::Debug + Send + Sync {
    /// The current second.
    ///
    /// # Errors
    ///
    /// [`ClockError`] if the clock is unreadable.
    fn read(&self) -> Result<UnixTime, ClockError>;

    /// The time since 1970, with the clock's own precision. It advances while Lambda has frozen the
    /// process, which a monotonic clock need not do.
    fn elapsed(&self) -> Duration {
        let secs = self.read().map(UnixTime::as_secs);
        Duration::from_secs(secs.unwrap_or_default())
    }
}

/// The machine's clock is before 1970, so no decision can rely on it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the clock of this machine is before 1970")]
pub struct ClockError;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl WallClock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "time enters here")]
    fn read(&self) -> Result<UnixTime, ClockError> {
        seconds(SystemTime::now())
    }

    #[expect(clippy::disallowed_methods, reason = "time enters here")]
    fn elapsed(&self) -> Duration {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since_epoch.unwrap_or_default()
    }
}

/// The wall clock over one request. A failed reading repeats the previous one, and
/// [`RequestClock::ensure_readable`] reports the failure.
#[derive(Debug)]
pub struct RequestClock<'a> {
    wall: &'a dyn WallClock,
    last: AtomicU64,
    failed: AtomicBool,
}

impl<'a> RequestClock<'a> {
    /// A clock that starts at `now`.
    pub const fn new(wall: &'a dyn WallClock, now: UnixTime) -> Self {
        Self {
            wall,
            last: AtomicU64::new(now.as_secs()),
            failed: AtomicBool::new(false),
        }
    }

    /// # Errors
    ///
    /// [`ClockError`] if any reading failed.
    pub fn ensure_readable(&self) -> Result<(), ClockError> {
        if self.failed.load(Ordering::Relaxed) {
            Err(ClockError)
        } else {
            Ok(())
        }
    }
}

impl Clock for RequestClock<'_> {
    fn now(&self) -> UnixTime {
        if let Ok(now) = self.wall.read() {
            self.last.store(now.as_secs(), Ordering::Relaxed);
        } else {
            self.failed.store(true, Ordering::Relaxed);
        }
        UnixTime::from_secs(self.last.load(Ordering::Relaxed))
    }
}

fn seconds(time: SystemTime) -> Result<UnixTime, ClockError> {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH);
    since_epoch
        .map(|span| UnixTime::from_secs(span.as_secs()))
        .map_err(|_before| ClockError)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[derive(Debug)]
    struct Script(AtomicU64);

    /// Counts down: 1, 0, then unreadable.
    impl WallClock for Script {
        fn read(&self) -> Result<UnixTime, ClockError> {
            let left = self
                .0
                .load(Ordering::Relaxed)
                .checked_sub(1)
                .ok_or(ClockError)?;
            self.0.store(left, Ordering::Relaxed);
            Ok(UnixTime::from_secs(left))
        }
    }

    #[test]
    fn a_request_clock_reports_an_earlier_failed_reading() {
        let wall = Script(AtomicU64::new(2));
        let watch = RequestClock::new(&wall, UnixTime::from_secs(9));
        assert_eq!(watch.now().as_secs(), 1);
        assert_eq!(
            (watch.now().as_secs(), watch.ensure_readable()),
            (0, Ok(()))
        );
        assert_eq!(
            (watch.now().as_secs(), watch.ensure_readable()),
            (0, Err(ClockError))
        );
    }

    #[test]
    fn breakers_measure_time_by_the_wall_clock() {
        let clock = SystemClock;
        let before = clock.read().expect("after 1970").as_secs();
        let elapsed = clock.elapsed();
        let after = clock.read().expect("after 1970").as_secs();
        assert!((before..=after).contains(&elapsed.as_secs()), "{elapsed:?}");
    }

    #[test]
    fn a_clock_before_1970_is_unreadable() {
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(seconds(epoch), Ok(UnixTime::from_secs(0)));
        assert_eq!(seconds(epoch - Duration::from_secs(1)), Err(ClockError));
        assert!(SystemClock.read().expect("after 1970") > UnixTime::from_secs(1_700_000_000));
    }
}
