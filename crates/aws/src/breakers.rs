//! A circuit breaker for each service that a client calls, and what it has counted.

use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use portcullis_core::breaker::{
    Breaker, BreakerConfig, BreakerPermit, BreakerState, Outcome, Permit,
};

use crate::dependency::Dependency;
use crate::error::{CallError, ResponseError};
use crate::error_code::ErrorClass;
use crate::transport::TransportError;

/// How long a call that meets a probe under way waits at a time to learn how that ended.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// How often it does so: what is well answers a probe by then, and for what is not nobody waits.
pub(crate) const MAX_POLLS: u32 = 8;

/// How many calls of a service went out and what became of them, since the client was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CallStats {
    /// Tries that were sent.
    pub sent: u64,
    /// Those of them that count as failures of the service.
    pub failed: u64,
    /// Calls that were refused without being sent.
    pub refused: u64,
}

/// A breaker that counts what passes it. All who call share it.
#[derive(Debug)]
pub struct CountedBreaker(Mutex<(Breaker, CallStats)>);

impl Default for CountedBreaker {
    /// A closed one by [`Rules::USUAL`].
    fn default() -> Self {
        Self(Mutex::new((
            Breaker::new(BreakerConfig::DEFAULT),
            CallStats::default(),
        )))
    }
}

impl CountedBreaker {
    /// Whether a call may go out, and how the breaker stands if that changed it.
    pub fn admit(&self, now: Duration) -> (BreakerPermit, Option<BreakerState>) {
        self.with(|breaker, tally| {
            let admission = breaker.admit(now);
            if matches!(admission, BreakerPermit::Pass(_)) {
                tally.sent = tally.sent.saturating_add(1);
            }
            admission
        })
    }

    /// Takes note of what became of a call; tells how the breaker stands if that changed it.
    pub fn record(
        &self,
        permit: Permit,
        outcome: Outcome,
        now: Duration,
        chance: u64,
    ) -> Option<BreakerState> {
        let settled = self.with(|breaker, tally| {
            if outcome == Outcome::Failed {
                tally.failed = tally.failed.saturating_add(1);
            }
            breaker.record(permit, outcome, now, chance);
        });
        settled.1
    }

    /// Takes note of a call that was not sent.
    pub fn refused(&self) {
        self.with(|_, tally| {
            tally.refused = tally.refused.saturating_add(1);
        });
    }

    /// How it stands, and what it has counted.
    pub fn state(&self) -> (BreakerState, CallStats) {
        self.with(|breaker, tally| (breaker.standing(), *tally)).0
    }

    fn with<T>(
        &self,
        act: impl FnOnce(&mut Breaker, &mut CallStats) -> T,
    ) -> (T, Option<BreakerState>) {
        // Whatever a thread that panicked left there is a state the rules know.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (breaker, tally) = &mut *held;
        let before = breaker.standing();
        let done = act(breaker, tally);
        let after = breaker.standing();
        (done, (before != after).then_some(after))
    }
}

/// A breaker for each [`Dependency`].
#[derive(Debug, Default)]
pub(crate) struct Breakers([CountedBreaker; Dependency::ALL.len()]);

impl Breakers {
    /// The breaker of `way`.
    pub(crate) const fn of(&self, way: Dependency) -> &CountedBreaker {
        let [dynamodb, secrets_manager, ses] = &self.0;
        match way {
            Dependency::DynamoDb => dynamodb,
            Dependency::SecretsManager => secrets_manager,
            Dependency::Ses => ses,
        }
    }
}

/// What the end of a try tells of the service, if anything.
///
/// A condition that failed, a request that is wrong, a right that is missing: those are answers of
/// a service that is well.
// SECURITY: throttling is one as well. Whoever heats one row would else close the way for all.
pub(crate) fn outcome(error: &CallError) -> Option<Outcome> {
    match error {
        CallError::Sign(_) | CallError::Open => None,
        CallError::Transport(error) => match error {
            TransportError::Connect(_) | TransportError::Timeout | TransportError::Broken(_) => {
                Some(Outcome::Failed)
            }
            TransportError::TooLong => Some(Outcome::Answered),
        },
        CallError::Service(error) => match error.class() {
            ErrorClass::Server => Some(Outcome::Failed),
            ErrorClass::Condition
            | ErrorClass::Throttle
            | ErrorClass::Conflict
            | ErrorClass::Access
            | ErrorClass::Resource
            | ErrorClass::Request => Some(Outcome::Answered),
        },
        CallError::Answer(error) => match error {
            ResponseError::NotJson | ResponseError::Damaged | ResponseError::Redirect => {
                Some(Outcome::Failed)
            }
            ResponseError::TooLong | ResponseError::Unread | ResponseError::Lacks(_) => {
                Some(Outcome::Answered)
            }
        },
    }
}
