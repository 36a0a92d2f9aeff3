//! A circuit breaker for each service that a client calls.

use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use portcullis_core::breaker::{Admission, Breaker, Outcome, Permit, Rules, Standing};

use crate::code::Class;
use crate::error::{AnswerError, CallError};
use crate::operation::Service;
use crate::transport::TransportError;

/// How long a call that meets a probe under way waits at a time to learn how that ended.
pub(crate) const MOMENT: Duration = Duration::from_millis(25);

/// How often it does so: what is well answers a probe by then, and for what is not nobody waits.
pub(crate) const MOMENTS: u32 = 8;

/// One service as it is reached from here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// To DynamoDB.
    DynamoDb,
    /// To Secrets Manager.
    SecretsManager,
    /// To the mail service.
    Ses,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::DynamoDb, Self::SecretsManager, Self::Ses];

    /// Its name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DynamoDb => "dynamodb",
            Self::SecretsManager => "secretsmanager",
            Self::Ses => "ses",
        }
    }
}

impl From<Service> for Way {
    fn from(service: Service) -> Self {
        match service {
            Service::DynamoDb => Self::DynamoDb,
            Service::SecretsManager => Self::SecretsManager,
        }
    }
}

/// How many calls of a service went out and what became of them, since the client was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Tries that were sent.
    pub sent: u64,
    /// Those of them that count as failures of the service.
    pub failed: u64,
    /// Calls that were refused without being sent.
    pub refused: u64,
}

/// A breaker for each [`Way`].
#[derive(Debug)]
pub(crate) struct Breakers([Mutex<(Breaker, Tally)>; Way::ALL.len()]);

impl Default for Breakers {
    fn default() -> Self {
        Self(Way::ALL.map(|_| Mutex::new((Breaker::new(Rules::USUAL), Tally::default()))))
    }
}

impl Breakers {
    /// Whether a call over `way` may go out, and how the breaker stands if that changed it.
    pub(crate) fn admit(&self, way: Way, now: Duration) -> (Admission, Option<Standing>) {
        self.with(way, |breaker, tally| {
            let admission = breaker.admit(now);
            if matches!(admission, Admission::Pass(_)) {
                tally.sent = tally.sent.saturating_add(1);
            }
            admission
        })
    }

    /// Takes note of what became of a call; tells how the breaker stands if that changed it.
    pub(crate) fn settle(
        &self,
        way: Way,
        permit: Permit,
        outcome: Outcome,
        now: Duration,
        chance: u64,
    ) -> Option<Standing> {
        let settled = self.with(way, |breaker, tally| {
            if outcome == Outcome::Failed {
                tally.failed = tally.failed.saturating_add(1);
            }
            breaker.settle(permit, outcome, now, chance);
        });
        settled.1
    }

    /// A call that was not sent.
    pub(crate) fn refused(&self, way: Way) {
        self.with(way, |_, tally| {
            tally.refused = tally.refused.saturating_add(1);
        });
    }

    /// How the breaker of `way` stands, and what it has counted.
    pub(crate) fn state(&self, way: Way) -> (Standing, Tally) {
        self.with(way, |breaker, tally| (breaker.standing(), *tally))
            .0
    }

    fn with<T>(
        &self,
        way: Way,
        act: impl FnOnce(&mut Breaker, &mut Tally) -> T,
    ) -> (T, Option<Standing>) {
        let [dynamodb, secrets_manager, ses] = &self.0;
        let held = match way {
            Way::DynamoDb => dynamodb,
            Way::SecretsManager => secrets_manager,
            Way::Ses => ses,
        };
        // Whatever a thread that panicked left there is a state the rules know.
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        let (breaker, tally) = &mut *held;
        let before = breaker.standing();
        let done = act(breaker, tally);
        let after = breaker.standing();
        (done, (before != after).then_some(after))
    }
}

/// What the end of a try tells of the service. `last` says that it will not be tried again.
///
/// A condition that failed, a request that is wrong, a right that is missing: those are answers of
/// a service that is well. Throttling is one as well, unless waiting and asking again did not help.
pub(crate) fn outcome(error: &CallError, last: bool) -> Option<Outcome> {
    match error {
        CallError::Sign(_) | CallError::Open => None,
        CallError::Transport(error) => match error {
            TransportError::Connect(_) | TransportError::Timeout | TransportError::Broken(_) => {
                Some(Outcome::Failed)
            }
            TransportError::TooLong => Some(Outcome::Answered),
        },
        CallError::Service(error) => match error.class() {
            Class::Server => Some(Outcome::Failed),
            Class::Throttle => {
                if last {
                    Some(Outcome::Failed)
                } else {
                    None
                }
            }
            Class::Condition
            | Class::Conflict
            | Class::Access
            | Class::Resource
            | Class::Request => Some(Outcome::Answered),
        },
        CallError::Answer(error) => match error {
            AnswerError::NotJson | AnswerError::Damaged | AnswerError::Redirect => {
                Some(Outcome::Failed)
            }
            AnswerError::TooLong | AnswerError::Unread | AnswerError::Lacks(_) => {
                Some(Outcome::Answered)
            }
        },
    }
}
