//! The circuit breaker: who has failed long enough is left alone, and asked now and then.
//!
//! Closed, every call passes. A failure counts one, an answer takes half a failure away, and at so
//! many failures it opens: calls are refused at once, so that nobody waits for an answer that does
//! not come, and what is ill is not held down by those who ask again. So what fails every other
//! time is given up too, though some of its calls are answered, and what fails now and then is not.
//! After a while it is half open: a few probes pass. One that is answered closes it, one that fails
//! opens it anew.
//!
//! Time is a reading of any clock that goes on while its host is frozen; one that was set back makes
//! it probe. Chance spreads the waits.

use core::time::Duration;

/// When it opens, and how it finds out that it may close.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BreakerConfig {
    /// How many failures open it, of which each answer takes half a one away.
    pub failures: u32,
    /// How long it stays open at the most; chance takes up to half of that away, so that many
    /// breakers that opened together do not probe together.
    pub interval: Duration,
    /// How many probes may be under way at once.
    pub probes: u32,
    /// After how long a probe that told nothing is given up: whoever made it may have vanished.
    pub probe_timeout: Duration,
}

impl BreakerConfig {
    /// The rules of every door: once what was away is back, it is used again within two seconds.
    pub const DEFAULT: Self = Self {
        failures: 5,
        interval: Duration::from_secs(2),
        probes: 1,
        probe_timeout: Duration::from_secs(5),
    };
}

/// One way to one dependency.
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

/// How a breaker stands, for logs and metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BreakerState {
    /// Every call passes.
    Closed,
    /// A few calls pass, to see.
    HalfOpen,
    /// No call passes.
    Open,
}

impl BreakerState {
    /// Its number in metrics. 0 is well: so an alarm needs one threshold.
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

/// What a call may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum BreakerPermit {
    /// It may go out; what becomes of it is told by [`Breaker::settle`].
    Pass(Permit),
    /// Probes are under way: what becomes of them will be known in a moment.
    Wait,
    /// It may not go out.
    Refuse,
}

/// The right to make one call, in the state that gave it.
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

/// What became of a call, as far as the way is concerned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// There was an answer, whatever it said.
    Answered,
    /// There was none, or one that says that the other side is ill.
    Failed,
}

impl Breaker {
    /// A closed one.
    pub const fn new(rules: BreakerConfig) -> Self {
        Self {
            rules,
            state: State::Closed { halves: 0 },
            epoch: 0,
        }
    }

    /// How it stands.
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
            // A clock that went back says nothing about how long this has been open.
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

    /// Takes note of what became of a call that passed. What was permitted in an earlier state
    /// tells nothing of this one, and is passed over.
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
            // Nothing is permitted while it is open.
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

/// `interval` less up to a half of it, in whole milliseconds.
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
