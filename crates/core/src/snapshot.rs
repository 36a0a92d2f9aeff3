//! What an edge knows of the world, and how long that may be relied on.

use core::time::Duration;

use crate::keys::document::KeyDocument;
use crate::keys::ring::KeyRing;
use crate::policy::{KeySource, Policy, Staleness};
use crate::revocation::Revocations;
use crate::time::UnixTime;

/// Keys and revocations, and when each was read.
///
/// Times are the start of the oldest read that the knowledge rests on: what was written while a
/// read was under way may be missing from it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    keys: KeyRing,
    keys_read_at: UnixTime,
    revocations: Revocations,
    revocations_read_at: UnixTime,
}

impl Snapshot {
    /// What is known after a first reading of both.
    pub fn new(
        policy: &Policy,
        document: &KeyDocument,
        revocations: Revocations,
        read_at: UnixTime,
    ) -> Self {
        let mut keys = KeyRing::default();
        for trusted in &policy.issuers {
            match &trusted.keys {
                KeySource::Document => keys.put_document(&trusted.issuer, document),
                KeySource::Fixed(set) => keys.put_set(&trusted.issuer, set),
            }
        }
        Self {
            keys,
            keys_read_at: read_at,
            revocations,
            revocations_read_at: read_at,
        }
    }

    /// The same with the keys read anew.
    #[must_use]
    pub fn with_keys(mut self, policy: &Policy, document: &KeyDocument, read_at: UnixTime) -> Self {
        if let Some(trusted) = policy.document_issuer() {
            self.keys.put_document(&trusted.issuer, document);
        }
        self.keys_read_at = read_at;
        self
    }

    /// The same with the feed followed further.
    #[must_use]
    pub fn with_revocations(mut self, revocations: Revocations, read_at: UnixTime) -> Self {
        self.revocations = revocations;
        self.revocations_read_at = read_at;
        self
    }

    /// The keys that verify.
    pub const fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// What was called back.
    pub const fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// When the reading of the keys began.
    pub const fn keys_read_at(&self) -> UnixTime {
        self.keys_read_at
    }

    /// When the reading of the revocations began.
    pub const fn revocations_read_at(&self) -> UnixTime {
        self.revocations_read_at
    }

    /// How old the knowledge of revocations is, in whole seconds.
    pub const fn age(&self, now: UnixTime) -> Duration {
        now.since(self.revocations_read_at)
    }

    /// How it stands under `policy`: as its staler half does.
    pub fn freshness(&self, policy: &Policy, now: UnixTime) -> Freshness {
        let keys = Freshness::of(policy.keys, now.since(self.keys_read_at));
        let revocations = Freshness::of(policy.revocations, self.age(now));
        keys.max(revocations)
    }
}

/// What to do about knowledge of some age; later variants are staler.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Freshness {
    /// Rely on it.
    Fresh,
    /// Rely on it, and read it again behind this request.
    Due,
    /// Read it again before answering; if that fails, rely on it once more.
    Late,
    /// Read it again before answering; if that fails, refuse.
    Spent,
}

impl Freshness {
    fn of(staleness: Staleness, age: Duration) -> Self {
        if age < staleness.poll {
            Self::Fresh
        } else if age < staleness.soft {
            Self::Due
        } else if age <= staleness.hard {
            Self::Late
        } else {
            Self::Spent
        }
    }
}

/// Who reads next: a claim with a deadline instead of a lock, since its holder may vanish.
#[derive(Clone, Copy, Debug, Default)]
pub struct RefreshClaim {
    until: Option<UnixTime>,
}

/// How long a reading may take before somebody else may begin one.
pub const CLAIM_LIFETIME: Duration = Duration::from_secs(5);

impl RefreshClaim {
    /// Takes the claim; `false` while somebody else holds it.
    #[must_use]
    pub fn take(&mut self, now: UnixTime) -> bool {
        let free = self.until.is_none_or(|until| until <= now);
        if free {
            self.until = Some(now.after(CLAIM_LIFETIME));
        }
        free
    }

    /// Gives it back once the reading ended, well or not.
    pub const fn release(&mut self) {
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_000);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn knowledge_ages_by_the_second() {
        let staleness = Staleness {
            poll: secs(5),
            soft: secs(10),
            hard: secs(30),
        };
        for (age, freshness) in [
            (0, Freshness::Fresh),
            (4, Freshness::Fresh),
            (5, Freshness::Due),
            (9, Freshness::Due),
            (10, Freshness::Late),
            (30, Freshness::Late),
            (31, Freshness::Spent),
        ] {
            assert_eq!(Freshness::of(staleness, secs(age)), freshness, "{age}");
        }
    }

    #[test]
    fn a_claim_is_free_again_at_its_deadline_though_its_holder_vanished() {
        let mut claim = RefreshClaim::default();
        assert!(claim.take(NOON));
        assert!(!claim.take(UnixTime::from_secs(1_004)));
        assert!(claim.take(UnixTime::from_secs(1_005)));
        claim.release();
        assert!(claim.take(UnixTime::from_secs(1_005)));
    }
}
