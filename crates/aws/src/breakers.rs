//! One circuit breaker for each service that a client calls, and its call statistics.

use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use portcullis_core::breaker::{
    Breaker, BreakerConfig, BreakerPermit, BreakerState, CallOutcome, Permit,
};

use crate::dependency::Dependency;
use crate::error::{CallError, ResponseError};
use crate::error_code::ErrorClass;
use crate::transport::TransportError;

/// The interval at which a call polls for the result of a running probe.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// The maximum number of polls: a healthy service answers a probe within that time.
pub(crate) const MAX_POLLS: u32 = 8;

/// The calls to one service and their results, since the client was created.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CallStats {
    /// Attempts that were sent.
    pub sent: u64,
    /// Sent attempts that count as failures of the service.
    pub failed: u64,
    /// Calls that were rejected without being sent.
    pub refused: u64,
}

impl CallStats {
    /// The sum of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent.saturating_add(other.sent),
            failed: self.failed.saturating_add(other.failed),
            refused: self.refused.saturating_add(other.refused),
        }
    }
}

/// A breaker that counts its calls. All callers share it.
#[derive(Debug)]
pub struct CountedBreaker(Mutex<(Breaker, CallStats)>);

impl Default for CountedBreaker {
    /// A closed breaker with [`BreakerConfig::DEFAULT`].
    fn default() -> Self {
        Self(Mutex::new((
            Breaker::new(BreakerConfig::DEFAULT),
            CallStats::default(),
        )))
    }
}

impl CountedBreaker {
    /// Whether a call may be sent, and the new state of the breaker if it changed.
    pub fn admit(&self, now: Duration) -> (BreakerPermit, Option<BreakerState>) {
        self.with(|breaker, stats| {
            let admission = breaker.admit(now);
            if matches!(admission, BreakerPermit::Pass(_)) {
                stats.sent = stats.sent.saturating_add(1);
            }
            admission
        })
    }

    /// Records the outcome of a call. Returns the new state of the breaker if it changed.
    pub fn record(
        &self,
        permit: Permit,
        outcome: CallOutcome,
        now: Duration,
        random: u64,
    ) -> Option<BreakerState> {
        let settled = self.with(|breaker, stats| {
            if outcome == CallOutcome::Failed {
                stats.failed = stats.failed.saturating_add(1);
            }
            breaker.record(permit, outcome, now, random);
        });
        settled.1
    }

    /// Counts a call that was not sent.
    pub fn refused(&self) {
        self.with(|_, stats| {
            stats.refused = stats.refused.saturating_add(1);
        });
    }

    /// The state of the breaker and its statistics.
    pub fn state(&self) -> (BreakerState, CallStats) {
        self.with(|breaker, stats| (breaker.standing(), *stats)).0
    }

    fn with<T>(
        &self,
        act: impl FnOnce(&mut Breaker, &mut CallStats) -> T,
    ) -> (T, Option<BreakerState>) {
        // Every state that a panicking thread can leave behind is a valid breaker state.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (breaker, stats) = &mut *held;
        let before = breaker.standing();
        let done = act(breaker, stats);
        let after = breaker.standing();
        (done, (before != after).then_some(after))
    }
}

/// A breaker for each [`Dependency`].
#[derive(Debug, Default)]
pub(crate) struct Breakers([CountedBreaker; Dependency::ALL.len()]);

impl Breakers {
    /// The breaker of the dependency `dependency`.
    pub(crate) const fn of(&self, dependency: Dependency) -> &CountedBreaker {
        let [dynamodb, secrets_manager, ses] = &self.0;
        match dependency {
            Dependency::DynamoDb => dynamodb,
            Dependency::SecretsManager => secrets_manager,
            Dependency::Ses => ses,
        }
    }
}

/// The outcome of an attempt for the breaker, if it says anything about the service.
///
/// A failed condition, an invalid request and a missing permission are responses of a healthy
/// service.
// SECURITY: throttling is also such a response. Otherwise an attacker who overloads one row would
// open the breaker for all callers.
pub(crate) fn outcome(error: &CallError) -> Option<CallOutcome> {
    match error {
        CallError::Sign(_) | CallError::Open => None,
        CallError::Transport(error) => match error {
            TransportError::Connect(_) | TransportError::Timeout | TransportError::Broken(_) => {
                Some(CallOutcome::Failed)
            }
            TransportError::TooLong => Some(CallOutcome::Answered),
        },
        CallError::Service(error) => match error.class() {
            ErrorClass::Server => Some(CallOutcome::Failed),
            ErrorClass::Condition
            | ErrorClass::Throttle
            | ErrorClass::Conflict
            | ErrorClass::Access
            | ErrorClass::Resource
            | ErrorClass::Request => Some(CallOutcome::Answered),
        },
        CallError::Answer(error) => match error {
            ResponseError::NotJson | ResponseError::Damaged | ResponseError::Redirect => {
                Some(CallOutcome::Failed)
            }
            ResponseError::TooLong | ResponseError::Unread | ResponseError::Lacks(_) => {
                Some(CallOutcome::Answered)
            }
        },
    }
}
