//! The plan that a seed draws: the number of nodes, the outages and the faults.

use std::time::Duration;

use portcullis_core::breaker::BreakerConfig;

use crate::bounds::TIME_OUT;
use crate::random::Random;

/// The time before a recovery without faults, in milliseconds, so that only the recovery is
/// measured.
const QUIET_BEFORE: u64 = 6_000;

/// The time after a recovery without faults, in milliseconds.
const QUIET_AFTER: u64 = 14_000;

/// The maximum difference of two clocks (S), in milliseconds: each is off by at most half of it.
pub(crate) const SKEW: u64 = 2_000;

/// The maximum error of a reading in whole seconds, in milliseconds.
pub(crate) const ROUNDING: u64 = 1_000;

/// The duration of a request itself with all dependencies available, in milliseconds.
pub(crate) const ASKING: u64 = 500;

/// A dependency of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SimDependency {
    Store,
    /// Its one row is unavailable, the rest of the store responds.
    KeyDocument,
    Secrets,
}

/// An outage of a dependency, in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Outage {
    pub(crate) of: SimDependency,
    /// The one node that is cut off; every node, if `None`.
    pub(crate) who: Option<String>,
    pub(crate) from: u64,
    pub(crate) until: u64,
}

impl Outage {
    pub(crate) fn concerns(&self, node: &str) -> bool {
        self.who.as_ref().is_none_or(|who| who == node)
    }

    fn lasts_at(&self, now: u64) -> bool {
        self.from <= now && now < self.until
    }
}

/// The plan of one seed.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The end of the run, in milliseconds.
    pub(crate) end: u64,
    /// The token lifetime. All times except the bounds of revocations are shorter than in the
    /// product, so that a few minutes contain whole rotations.
    pub(crate) lifetime: Duration,
    pub(crate) hosts: u64,
    pub(crate) edges: u64,
    pub(crate) users: u64,
    pub(crate) outages: Vec<Outage>,
    /// Whether an unavailable dependency does not respond, instead of rejecting calls.
    pub(crate) hangs: bool,
    /// The number of slow transmissions per thousand, which take seconds.
    pub(crate) slow: u64,
    /// A host with mostly slow transmissions, though none is too slow for its timeouts.
    pub(crate) laggard: Option<String>,
    /// The time when a key is revoked, if one is.
    pub(crate) drops_at: Option<u64>,
    /// Whether single calls fail, are slow or crash. Without them every request must be served.
    pub(crate) faults: bool,
    /// Whether probes are lost until a dependency recovers.
    pub(crate) loses_probes: bool,
    /// The edge of the ambush: it reads its keys just before a new one is published, and cannot
    /// read them again until that one signs.
    pub(crate) ambushed: Option<String>,
    /// Whether clocks are set now and then, within their maximum error.
    pub(crate) steps: bool,
}

impl Plan {
    pub(crate) fn draw(random: &Random) -> Self {
        // With longer-lived tokens a cold edge reads far enough back to find packs.
        let (end, lifetime) = if random.chance(120) {
            (480_000, Duration::from_secs(160))
        } else {
            (200_000, Duration::from_secs(40))
        };
        let (hosts, edges) = (random.within(2, 3), random.within(1, 3));
        let faults = random.chance(800);
        let mut plan = Self {
            end,
            lifetime,
            hosts,
            edges,
            users: random.within(2, 3),
            outages: vec![],
            hangs: random.chance(500),
            faults,
            slow: *random.pick(&[25, 25, 100, 250]),
            laggard: random
                .chance(200)
                .then(|| format!("host-{}", random.within(1, hosts))),
            drops_at: random
                .chance(500)
                .then(|| random.within(20_000, end - 60_000)),
            loses_probes: faults && random.chance(300),
            ambushed: random
                .chance(200)
                .then(|| format!("edge-{}", random.within(1, edges))),
            steps: random.chance(250),
        };
        let mut from = random.within(20_000, 70_000);
        for _ in 0..random.within(0, end / 100_000) {
            let until = from + random.within(6_000, 45_000);
            let (of, who) = plan.target(random);
            if until + QUIET_AFTER < end {
                plan.outages.push(Outage {
                    of,
                    who,
                    from,
                    until,
                });
            }
            from = until + random.within(30_000, 60_000);
        }
        plan
    }

    /// The target of an outage: a dependency, and the affected node.
    fn target(&self, random: &Random) -> (SimDependency, Option<String>) {
        let host = format!("host-{}", random.within(1, self.hosts));
        let edge = format!("edge-{}", random.within(1, self.edges));
        match random.within(0, 9) {
            0..=3 => (SimDependency::Store, None),
            4 => (SimDependency::Store, Some(edge)),
            5 => (SimDependency::KeyDocument, Some(edge)),
            6 => (SimDependency::Store, Some(host)),
            7..=8 => (SimDependency::Secrets, None),
            _ => (SimDependency::Secrets, Some(host)),
        }
    }

    /// Whether `dependency` is unavailable to `node` at `now`.
    pub(crate) fn is_away(&self, dependency: SimDependency, node: &str, now: u64) -> bool {
        let mut outages = self.outages.iter();
        outages.any(|one| one.of == dependency && one.concerns(node) && one.lasts_at(now))
    }

    /// Whether a dependency is about to recover, or has just recovered.
    pub(crate) fn is_quiet(&self, now: u64) -> bool {
        let mut outages = self.outages.iter();
        outages.any(|one| {
            (one.until.saturating_sub(QUIET_BEFORE)..one.until + QUIET_AFTER).contains(&now)
        })
    }

    /// Whether a dependency is about to recover.
    pub(crate) fn is_healing(&self, now: u64) -> bool {
        let mut outages = self.outages.iter();
        outages.any(|one| (one.until.saturating_sub(QUIET_BEFORE)..one.until).contains(&now))
    }

    /// The time limit for the recovery of service after that of a dependency. Either a hanging
    /// probe times out and the breaker stays open for an interval, or a lost probe is abandoned and
    /// another one sent. Then a failed read is repeated after 1 s; rounding to whole seconds and
    /// the request itself come on top.
    pub(crate) fn back_within(&self) -> u64 {
        let millis = |span: Duration| u64::try_from(span.as_millis()).expect("short");
        let hung = if self.hangs { TIME_OUT } else { 0 };
        let interval = millis(BreakerConfig::DEFAULT.interval);
        let lost = if self.loses_probes {
            millis(BreakerConfig::DEFAULT.probe_timeout)
        } else {
            0
        };
        hung.max(lost) + interval + 1_000 + ROUNDING + ASKING
    }

    /// Whether all dependencies of `node` were available between `from` and `to`, and none had just
    /// recovered.
    pub(crate) fn spares(&self, node: &str, from: u64, to: u64) -> bool {
        let mut outages = self.outages.iter();
        let back_within = self.back_within();
        outages.all(|one| !one.concerns(node) || to < one.from || one.until + back_within < from)
    }

    /// The error that setting a clock may add to a measured span.
    pub(crate) const fn stepped(&self) -> u64 {
        if self.steps { SKEW } else { 0 }
    }
}
