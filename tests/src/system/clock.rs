//! A clock that stands still.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_core::time::UnixTime;
use portcullis_host::clock::{ClockError, WallClock};
use portcullis_local::ManualClock;

/// The common clock of host, proxy and engine. Only a test advances it.
#[derive(Clone)]
pub struct TestClock {
    engine: ManualClock,
    now: Arc<AtomicU64>,
}

/// Stands for a time before 1970.
const NONE: u64 = u64::MAX;

impl TestClock {
    pub(super) fn new(engine: ManualClock, now: u64) -> Self {
        Self {
            engine,
            now: Arc::new(AtomicU64::new(now)),
        }
    }

    /// Seconds since 1970.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    /// Advances by `seconds`.
    pub fn pass(&self, seconds: u64) {
        self.set(self.now().saturating_add(seconds));
    }

    /// Sets it back to before 1970, until it is set again.
    pub fn set_before_1970(&self) {
        self.now.store(NONE, Ordering::SeqCst);
    }

    /// Sets it.
    pub fn set(&self, now: u64) {
        self.engine.set(now);
        self.now.store(now, Ordering::SeqCst);
    }
}

impl fmt::Debug for TestClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestClock({})", self.now())
    }
}

impl WallClock for TestClock {
    fn read(&self) -> Result<UnixTime, ClockError> {
        match self.now() {
            NONE => Err(ClockError),
            now => Ok(UnixTime::from_secs(now)),
        }
    }
}
