//! The circuit breaker: a failing dependency is not called, except for occasional probes.
//!
//! While the breaker is closed, every call passes. A failure counts one, a response takes half a
//! failure away, and at the threshold the breaker opens. Then calls are rejected at once: callers
//! do not wait for a timeout, and retries do not overload the failing dependency. A dependency that
//! fails every other call opens the breaker too; occasional failures do not. After a wait it is
//! half open and a few probes pass. A successful probe closes it, a failed one reopens it.
//!
//! Time comes from any clock that advances while the host is frozen; a clock set back triggers a
//! probe. Random bits spread the waits.

use core::time::Duration;

/// The thresholds for opening and the rules for probing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BreakerConfig {
    /// The number of failures that opens it; each response takes half a failure away.
    pub failures: u32,
    /// The maximum open time. Random jitter reduces it by up to half, so that breakers that opened
    /// together do not probe together.
    pub interval: Duration,
    /// The maximum number of concurrent probes.
    pub probes: u32,
    /// The time after which a probe without a result is given up, because its caller may have
    /// crashed.
    pub probe_timeout: Duration,
}

impl BreakerConfig {
    /// The configuration of every adapter: a recovered dependency is used again within two seconds.
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
    /// In half failures.
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
    /// The number in metrics. 0 is healthy, so an alarm needs one threshold.
    pub const fn level(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }

    /// The identifier in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half open",
            Self::Open => "open",
        }
    }
}

/// The decision on a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum BreakerPermit {
    /// The call may go out; its caller reports the result to [`Breaker::record`].
    Pass(Permit),
    /// Probes are running; their results are expected soon.
    Wait,
    /// The call is rejected.
    Refuse,
}

/// The permit for one call, in the state that issued it.
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

/// The result of a call, as a sign of the dependency's health.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallOutcome {
    /// The dependency responded, with any content.
    Answered,
    /// There was no response, or one that shows a failure of the dependency.
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

    /// The current state.
    pub const fn standing(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether a call may go out at `now`.
    pub fn admit(&mut self, now: Duration) -> BreakerPermit {
        match self.state {
            State::Closed { .. } => return self.permit(false),
            // A clock that was set back gives no valid open time.
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

    /// Records the result of a permitted call. Permits of an earlier state are ignored.
    pub fn record(&mut self, permit: Permit, outcome: CallOutcome, now: Duration, random: u64) {
        if permit.epoch != self.epoch {
            return;
        }
        match (self.state, outcome) {
            (State::Closed { halves }, CallOutcome::Answered) => {
                let halves = halves.saturating_sub(1);
                self.state = State::Closed { halves };
            }
            (State::Closed { halves }, CallOutcome::Failed) => {
                let halves = halves.saturating_add(2);
                if halves < self.rules.failures.saturating_mul(2) {
                    self.state = State::Closed { halves };
                } else {
                    self.open(now, random);
                }
            }
            (State::HalfOpen { .. }, CallOutcome::Answered) => {
                self.turn(State::Closed { halves: 0 });
            }
            (State::HalfOpen { .. }, CallOutcome::Failed) => self.open(now, random),
            // An open breaker issues no permits.
            (State::Open { .. }, _) => {}
        }
    }

    fn open(&mut self, now: Duration, random: u64) {
        let until = now.saturating_add(wait(self.rules.interval, random));
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
fn wait(interval: Duration, random: u64) -> Duration {
    let half = interval.checked_div(2).unwrap_or_default();
    let steps = u64::try_from(half.as_millis()).unwrap_or(u64::MAX);
    let less = random
        .checked_rem(steps.saturating_add(1))
        .unwrap_or_default();
    interval.saturating_sub(Duration::from_millis(less))
}

#[cfg(test)]
mod tests;
