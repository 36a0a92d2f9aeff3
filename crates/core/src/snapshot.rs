//! The snapshot: keys and revocations at an edge, and how long they may be used.

use core::time::Duration;

use crate::keys::document::KeyDocument;
use crate::keys::ring::KeyRing;
use crate::policy::{KeySource, Policy, Staleness};
use crate::revocation::{CLOCK_SKEW, Revocations};
use crate::time::UnixTime;

/// Keys and revocations, with the time of each read.
///
/// Each time is the start of the oldest read involved, because a read may miss writes that happen
/// during it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    keys: KeyRing,
    keys_version: u64,
    keys_read_at: UnixTime,
    revocations: Revocations,
    revocations_read_at: UnixTime,
    looked_up: bool,
}

impl Snapshot {
    /// The snapshot before any read: the policy's own fixed keys.
    // Once in the Worker, not once for each caller.
    #[inline(never)]
    pub fn unread(policy: &Policy) -> Self {
        let mut keys = KeyRing::default();
        for trusted in &policy.issuers {
            match &trusted.keys {
                KeySource::Document => {}
                KeySource::Fixed(set) => keys.put_set(&trusted.issuer, set),
            }
        }
        Self {
            keys,
            keys_version: 0,
            keys_read_at: UnixTime::default(),
            revocations: Revocations::default(),
            revocations_read_at: UnixTime::default(),
            looked_up: false,
        }
    }

    /// The snapshot after a read of both that began at `read_at`.
    pub fn new(
        policy: &Policy,
        document: &KeyDocument,
        revocations: Revocations,
        read_at: UnixTime,
    ) -> Self {
        Self::unread(policy)
            .with_keys(policy, document, read_at)
            .with_revocations(revocations, read_at)
    }

    /// The same keys with the store's own rows of one token: `revocations`, read at `read_at`.
    /// Valid for that token alone.
    #[must_use]
    pub fn for_one(&self, revocations: Revocations, read_at: UnixTime) -> Self {
        Self {
            keys: self.keys.clone(),
            keys_version: self.keys_version,
            keys_read_at: self.keys_read_at,
            revocations,
            revocations_read_at: read_at,
            looked_up: true,
        }
    }

    /// Whether the revocations come from a lookup of the one token.
    pub const fn is_looked_up(&self) -> bool {
        self.looked_up
    }

    /// The same snapshot with newly read keys.
    #[must_use]
    pub fn with_keys(mut self, policy: &Policy, document: &KeyDocument, read_at: UnixTime) -> Self {
        if let Some(trusted) = policy.document_issuer() {
            self.keys.put_document(&trusted.issuer, document);
        }
        self.keys_version = document.version();
        self.keys_read_at = read_at;
        self
    }

    /// The newer half of each, because two concurrent reads may end in any order.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        // Within one second the later read has more revocations.
        let has_newer_keys = other.has_newer_keys_than(&self);
        let known = |half: &Self| (half.revocations_read_at, half.revocations.len());
        if known(&self) < known(&other) {
            self.revocations = other.revocations;
            self.revocations_read_at = other.revocations_read_at;
        }
        if has_newer_keys {
            self.keys = other.keys;
            self.keys_version = other.keys_version;
            self.keys_read_at = other.keys_read_at;
        }
        self
    }

    /// Whether its keys were read later than those of `other`.
    pub fn has_newer_keys_than(&self, other: &Self) -> bool {
        (other.keys_read_at, other.keys_version) < (self.keys_read_at, self.keys_version)
    }

    /// Whether a half was read later than `now`. Then the clock was set back and the age is
    /// unknown.
    pub fn is_ahead_of(&self, now: UnixTime) -> bool {
        now.plus(CLOCK_SKEW) < self.keys_read_at.max(self.revocations_read_at)
    }

    /// The same snapshot with later rows of the feed.
    #[must_use]
    pub fn with_revocations(mut self, revocations: Revocations, read_at: UnixTime) -> Self {
        self.revocations = revocations;
        self.revocations_read_at = read_at;
        self
    }

    /// The verification keys.
    pub const fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// The revocations.
    pub const fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// The start of the read of the keys.
    pub const fn keys_read_at(&self) -> UnixTime {
        self.keys_read_at
    }

    /// The start of the read of the revocations.
    pub const fn revocations_read_at(&self) -> UnixTime {
        self.revocations_read_at
    }

    /// The age of the revocations, in whole seconds.
    pub const fn age(&self, now: UnixTime) -> Duration {
        now.since(self.revocations_read_at)
    }

    /// The freshness under `policy`: that of the staler half.
    pub fn freshness(&self, policy: &Policy, now: UnixTime) -> Freshness {
        if self.is_ahead_of(now) {
            return Freshness::Expired;
        }
        let keys = Freshness::of(policy.keys, now.since(self.keys_read_at));
        let revocations = Freshness::of(policy.revocations, self.age(now));
        keys.max(revocations)
    }
}

/// The action for a snapshot of some age; later variants are staler.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Freshness {
    /// Use the snapshot.
    Fresh,
    /// Use the snapshot and refresh it in the background.
    StaleWhileRevalidate,
    /// Refresh before the response; if that fails, use the old snapshot.
    StaleIfError,
    /// Refresh before the response; if that fails, reject the request.
    Expired,
}

impl Freshness {
    fn of(staleness: Staleness, age: Duration) -> Self {
        if age < staleness.poll {
            Self::Fresh
        } else if age < staleness.soft {
            Self::StaleWhileRevalidate
        } else if age <= staleness.hard {
            Self::StaleIfError
        } else {
            Self::Expired
        }
    }
}

/// The refresh lease. It has a deadline and is not a lock, because its holder may crash.
#[derive(Clone, Copy, Debug, Default)]
pub struct RefreshLease(State);

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Free,
    Reading {
        until: UnixTime,
    },
    Failed {
        until: UnixTime,
    },
}

/// The state of the lease for a requester.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum LeaseState {
    /// The requester gets the lease: it reads and reports the result.
    Acquired,
    /// Another request is reading.
    HeldByOther,
    /// A read has just failed; the next one waits for a cooldown.
    BackingOff,
}

/// The lifetime of a lease, after which another request may start a read.
pub const LEASE_DURATION: Duration = Duration::from_secs(5);

/// The cooldown after a failed read, and so the maximum delay until the edge recovers after the
/// store.
pub const RETRY_INTERVAL: Duration = Duration::from_secs(1);

impl RefreshLease {
    /// Acquires the lease if it is free.
    pub fn take(&mut self, now: UnixTime) -> LeaseState {
        match self.0 {
            State::Reading { until } if now < until => return LeaseState::HeldByOther,
            State::Failed { until } if now < until => return LeaseState::BackingOff,
            State::Free | State::Reading { .. } | State::Failed { .. } => {}
        }
        self.0 = State::Reading {
            until: now.plus(LEASE_DURATION),
        };
        LeaseState::Acquired
    }

    /// Whether a read is running.
    pub fn is_reading(&self, now: UnixTime) -> bool {
        matches!(self.0, State::Reading { until } if now < until)
    }

    /// Releases the lease after a successful read.
    pub const fn release(&mut self) {
        self.0 = State::Free;
    }

    /// Releases the lease after a failed read.
    pub const fn fail(&mut self, now: UnixTime) {
        self.0 = State::Failed {
            until: now.plus(RETRY_INTERVAL),
        };
    }
}

/// The cooldown between key refreshes that an unknown `kid` triggers. It bounds the store reads
/// that invented `kid` values cause.
pub const UNKNOWN_KEY_COOLDOWN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_000);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn snapshot_freshness_changes_to_the_second() {
        let staleness = Staleness {
            poll: secs(5),
            soft: secs(10),
            hard: secs(30),
        };
        for (age, freshness) in [
            (0, Freshness::Fresh),
            (4, Freshness::Fresh),
            (5, Freshness::StaleWhileRevalidate),
            (9, Freshness::StaleWhileRevalidate),
            (10, Freshness::StaleIfError),
            (30, Freshness::StaleIfError),
            (31, Freshness::Expired),
        ] {
            assert_eq!(Freshness::of(staleness, secs(age)), freshness, "{age}");
        }
    }

    #[test]
    fn a_lease_is_free_at_its_deadline_after_its_holder_crashed() {
        let mut claim = RefreshLease::default();
        assert_eq!(claim.take(NOON), LeaseState::Acquired);
        assert_eq!(
            claim.take(UnixTime::from_secs(1_004)),
            LeaseState::HeldByOther
        );
        assert!(claim.is_reading(UnixTime::from_secs(1_004)));
        assert!(!claim.is_reading(UnixTime::from_secs(1_005)));
        assert_eq!(claim.take(UnixTime::from_secs(1_005)), LeaseState::Acquired);
        claim.release();
        assert_eq!(claim.take(UnixTime::from_secs(1_005)), LeaseState::Acquired);
    }

    #[test]
    fn a_failed_read_is_not_retried_in_the_same_second() {
        let mut claim = RefreshLease::default();
        assert_eq!(claim.take(NOON), LeaseState::Acquired);
        claim.fail(NOON);
        assert_eq!(claim.take(NOON), LeaseState::BackingOff);
        assert_eq!(claim.take(UnixTime::from_secs(1_001)), LeaseState::Acquired);
    }

    fn snapshot(version: u64, keys_read_at: u64, revocations_read_at: u64) -> Snapshot {
        Snapshot {
            keys: KeyRing::default(),
            keys_version: version,
            keys_read_at: UnixTime::from_secs(keys_read_at),
            revocations: Revocations::default(),
            revocations_read_at: UnixTime::from_secs(revocations_read_at),
            looked_up: false,
        }
    }
    fn merged(one: &Snapshot, other: &Snapshot) -> (u64, u64, u64) {
        let merged = one.clone().merge(other.clone());
        let secs = |time: UnixTime| time.as_secs();
        (
            merged.keys_version,
            secs(merged.keys_read_at),
            secs(merged.revocations_read_at),
        )
    }

    #[test]
    fn concurrent_reads_merge_to_the_newer_keys_and_revocations() {
        for (one, other, both) in [
            (snapshot(1, 10, 10), snapshot(2, 20, 20), (2, 20, 20)),
            (snapshot(2, 20, 20), snapshot(1, 10, 30), (2, 20, 30)),
            (snapshot(1, 10, 10), snapshot(2, 10, 10), (2, 10, 10)),
        ] {
            assert_eq!(merged(&one, &other), both);
            assert_eq!(merged(&other, &one), both);
        }
    }

    #[test]
    fn a_clock_set_back_makes_no_stale_snapshot_fresh() {
        let policy = r#"{"issuers":[{"issuer":"https://us","audience":"api","algorithms":["EdDSA"],
            "keys":"document","profile":"at+jwt"}],"routes":[]}"#;
        let policy = Policy::parse(policy, None).expect("good");
        let freshness = |read_at| snapshot(1, read_at, read_at).freshness(&policy, NOON);
        assert_eq!(freshness(1_002), Freshness::Fresh);
        assert_eq!(freshness(1_003), Freshness::Expired);
    }
}
