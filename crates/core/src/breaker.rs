//! The circuit breaker: calls to a failing dependency are refused, except for occasional probes.
//!
//! Closed, every call passes. A failure counts one, and a response removes half a failure. At the
//! threshold the breaker opens: calls are refused at once, so that no client waits and no retries
//! overload the dependency. A dependency that fails every other time is refused, too; one that
//! fails now and then is not. After an interval the breaker is half open and lets a few probes
//! pass. One response closes it; one failure opens it again.
//!
//! The time may be any clock that advances while the host is frozen; a clock that was set back
//! causes a probe. Randomness spreads the intervals.

use core::time::Duration;

/// The thresholds and intervals.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BreakerConfig {
    /// The number of failures that opens it; each response removes half of one.
    pub failures: u32,
    /// The maximum time open. Randomness removes up to half, so that breakers that opened together
    /// do not probe together.
    pub interval: Duration,
    /// The maximum number of concurrent probes.
    pub probes: u32,
    /// The time after which a probe without outcome is given up: its caller may have vanished.
    pub probe_timeout: Duration,
}

impl BreakerConfig {
    /// The configuration of every entry point: a recovered dependency is used again within two
    /// seconds.
    pub const DEFAULT: Self = Self {
        failures: 5,
        interval: Duration::from_secs(2),
        probes: 1,
        probe_timeout: Duration::from_secs(5),
    };
}

/// The breaker of one dependency.
#[derive(Clone, Debug)]
pub struct Breaker {
    rules: BreakerConfig,
    state: State,
    epoch: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In halves of a failure.
    Closed {
        halves: u32,
    },
    Open {
        since: Duration,
        until: Duration,
    },
    HalfOpen {
        probes: u32,
        latest: Duration,
    },
}

/// The state of a breaker, for logs and metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BreakerState {
    /// Every call passes.
    Closed,
    /// A few probes pass.
    HalfOpen,
    /// No call passes.
    Open,
}

impl BreakerState {
    /// Its number in metrics. Closed is 0, so one alarm threshold is enough.
    pub const fn level(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }

    /// Its name in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half open",
            Self::Open => "open",
        }
    }
}

/// The permission for a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum BreakerPermit {
    /// Send it; [`Breaker::record`] takes its outcome.
    Pass(Permit),
    /// Wait: probes are in flight, and their outcome comes soon.
    Wait,
    /// Do not send it.
    Refuse,
}

/// The permit for one call, in the state that granted it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Permit {
    epoch: u64,
    probe: bool,
}

impl Permit {
    /// Whether the call is a probe.
    pub const fn is_probe(self) -> bool {
        self.probe
    }
}

/// The outcome of a call for the breaker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// A response, of any content.
    Answered,
    /// No response, or one that reports a failing service.
    Failed,
}

impl Breaker {
    /// A closed breaker.
    pub const fn new(rules: BreakerConfig) -> Self {
        Self {
            rules,
            state: State::Closed { halves: 0 },
            epoch: 0,
        }
    }

    /// The state.
    pub const fn standing(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether a call may be sent at `now`.
    pub fn admit(&mut self, now: Duration) -> BreakerPermit {
        match self.state {
            State::Closed { .. } => return self.permit(false),
            // A clock that went back does not tell how long this has been open.
            State::Open { since, until } if since <= now && now < until => {
                return BreakerPermit::Refuse;
            }
            State::HalfOpen { probes, latest }
                if probes >= self.rules.probes
                    && latest <= now
                    && now < latest.saturating_add(self.rules.probe_timeout) =>
            {
                return BreakerPermit::Wait;
            }
            State::HalfOpen { probes, .. } if probes < self.rules.probes => {
                self.state = State::HalfOpen {
                    probes: probes.saturating_add(1),
                    latest: now,
                };
            }
            State::Open { .. } | State::HalfOpen { .. } => self.turn(State::HalfOpen {
                probes: 1,
                latest: now,
            }),
        }
        self.permit(true)
    }

    /// Records the outcome of a permitted call. A permit of an earlier state is ignored.
    pub fn record(&mut self, permit: Permit, outcome: Outcome, now: Duration, chance: u64) {
        if permit.epoch != self.epoch {
            return;
        }
        match (self.state, outcome) {
            (State::Closed { halves }, Outcome::Answered) => {
                let halves = halves.saturating_sub(1);
                self.state = State::Closed { halves };
            }
            (State::Closed { halves }, Outcome::Failed) => {
                let halves = halves.saturating_add(2);
                if halves < self.rules.failures.saturating_mul(2) {
                    self.state = State::Closed { halves };
                } else {
                    self.open(now, chance);
                }
            }
            (State::HalfOpen { .. }, Outcome::Answered) => {
                self.turn(State::Closed { halves: 0 });
            }
            (State::HalfOpen { .. }, Outcome::Failed) => self.open(now, chance),
            // No call is permitted while it is open.
            (State::Open { .. }, _) => {}
        }
    }

    fn open(&mut self, now: Duration, chance: u64) {
        let until = now.saturating_add(wait(self.rules.interval, chance));
        self.turn(State::Open { since: now, until });
    }

    const fn turn(&mut self, state: State) {
        self.state = state;
        self.epoch = self.epoch.wrapping_add(1);
    }

    const fn permit(&self, probe: bool) -> BreakerPermit {
        BreakerPermit::Pass(Permit {
            epoch: self.epoch,
            probe,
        })
    }
}

/// `interval` minus up to half of it, in whole milliseconds.
fn wait(interval: Duration, chance: u64) -> Duration {
    let half = interval.checked_div(2).unwrap_or_default();
    let steps = u64::try_from(half.as_millis()).unwrap_or(u64::MAX);
    let less = chance
        .checked_rem(steps.saturating_add(1))
        .unwrap_or_default();
    interval.saturating_sub(Duration::from_millis(less))
}

#[cfg(test)]
mod tests;
