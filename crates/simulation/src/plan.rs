//! What a seed makes of its world: how many there are, when something is away, and what goes wrong.

use std::time::Duration;

use portcullis_core::breaker::BreakerConfig;

use crate::bounds::TIME_OUT;
use crate::random::Random;

/// So long before a dependency heals no fault happens, so that what is seen after it is the healing.
const QUIET_BEFORE: u64 = 6_000;

/// So long after it none happens either.
const QUIET_AFTER: u64 = 14_000;

/// How far two clocks may be apart (S), in milliseconds: each is at most half of it off.
pub(crate) const SKEW: u64 = 2_000;

/// What a reading in whole seconds may hide, in milliseconds.
pub(crate) const ROUNDING: u64 = 1_000;

/// How long the asking itself takes, of one who finds everything there.
pub(crate) const ASKING: u64 = 500;

/// What a node depends on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dependency {
    Store,
    /// Its one row, the rest of the store answers.
    KeyDocument,
    Secrets,
}

/// When a dependency is away, in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Outage {
    pub(crate) of: Dependency,
    /// The one node that is cut off; everybody, if it is none.
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

/// What a seed draws at the beginning.
#[derive(Debug)]
pub(crate) struct Plan {
    /// When the world ends, in milliseconds.
    pub(crate) end: u64,
    /// How long tokens live: everything is as in the product but shorter, so that minutes hold
    /// whole rotations.
    pub(crate) lifetime: Duration,
    pub(crate) hosts: u64,
    pub(crate) edges: u64,
    pub(crate) users: u64,
    pub(crate) outages: Vec<Outage>,
    /// Whether what is away says nothing, instead of refusing.
    pub(crate) hangs: bool,
    /// How many ways of a thousand take seconds.
    pub(crate) slow: u64,
    /// A host to which most ways are long, though none too long for its answers.
    pub(crate) laggard: Option<String>,
    /// Whether a key is called back, and when.
    pub(crate) drops_at: Option<u64>,
    /// Whether single calls fail, dawdle or crash. Where they do not, everybody must be served.
    pub(crate) faults: bool,
    /// Whether probes vanish up to the moment at which a dependency heals.
    pub(crate) loses_probes: bool,
    /// An edge that reads its keys just before a new one is published, and cannot read them again
    /// until that one signs.
    pub(crate) ambushed: Option<String>,
    /// Whether clocks are set now and then, within what they may be off.
    pub(crate) steps: bool,
}

impl Plan {
    pub(crate) fn draw(random: &Random) -> Self {
        // Where tokens live longer, a cold edge looks far enough back to find packs.
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

    /// What is away, and for whom.
    fn target(&self, random: &Random) -> (Dependency, Option<String>) {
        let host = format!("host-{}", random.within(1, self.hosts));
        let edge = format!("edge-{}", random.within(1, self.edges));
        match random.within(0, 9) {
            0..=3 => (Dependency::Store, None),
            4 => (Dependency::Store, Some(edge)),
            5 => (Dependency::KeyDocument, Some(edge)),
            6 => (Dependency::Store, Some(host)),
            7..=8 => (Dependency::Secrets, None),
            _ => (Dependency::Secrets, Some(host)),
        }
    }

    /// Whether `dependency` is away from `node` at `now`.
    pub(crate) fn is_away(&self, dependency: Dependency, node: &str, now: u64) -> bool {
        let mut outages = self.outages.iter();
        outages.any(|one| one.of == dependency && one.concerns(node) && one.lasts_at(now))
    }

    /// Whether something is about to heal, or has just healed.
    pub(crate) fn is_quiet(&self, now: u64) -> bool {
        let mut outages = self.outages.iter();
        outages.any(|one| {
            (one.until.saturating_sub(QUIET_BEFORE)..one.until + QUIET_AFTER).contains(&now)
        })
    }

    /// Whether something is about to heal.
    pub(crate) fn is_healing(&self, now: u64) -> bool {
        let mut outages = self.outages.iter();
        outages.any(|one| (one.until.saturating_sub(QUIET_BEFORE)..one.until).contains(&now))
    }

    /// After a dependency heals, so long until service must be back: a probe that hung when it
    /// healed runs out of time and the breaker stays open for an interval, or a probe that was lost
    /// is given up and another made; then a failed reading is repeated after a second, clocks tell
    /// whole seconds, and whoever looks takes a moment.
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

    /// Whether between `from` and `to` nothing that `node` depends on was away from it, nor had
    /// just come back.
    pub(crate) fn spares(&self, node: &str, from: u64, to: u64) -> bool {
        let mut outages = self.outages.iter();
        let back_within = self.back_within();
        outages.all(|one| !one.concerns(node) || to < one.from || one.until + back_within < from)
    }

    /// What setting a clock may add to a span that is measured by it.
    pub(crate) const fn stepped(&self) -> u64 {
        if self.steps { SKEW } else { 0 }
    }
}
