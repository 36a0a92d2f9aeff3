//! The edge's whole question: may this request pass?

use crate::decision::Decision;
use crate::denial::Denial;
use crate::path::CanonicalPath;
use crate::policy::Policy;
use crate::revocation::RevocationStatus;
use crate::route::{Access, Requirement, RevocationMode};
use crate::snapshot::Snapshot;
use crate::time::UnixTime;
use crate::token::claims::Claims;
use crate::token::verifier::{Verified, Verifier};

/// Decides about requests under one policy.
#[derive(Clone, Debug)]
pub struct Gate {
    policy: Policy,
}

impl Gate {
    /// A gate under `policy`.
    pub const fn new(policy: Policy) -> Self {
        Self { policy }
    }

    /// The policy it stands under.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Judges tokens of the issuers the policy trusts.
    pub fn verifier(&self) -> Verifier<'_> {
        Verifier::new(&self.policy.issuers)
    }

    /// What the policy asks of a request for `path`.
    ///
    /// # Errors
    ///
    /// [`Denial::UnknownRoute`]: what no route covers is refused.
    pub fn requirement(&self, path: &CanonicalPath) -> Result<&Requirement, Denial> {
        self.policy.routes.find(path).ok_or(Denial::UnknownRoute)
    }

    /// Decides whether `caller` satisfies `requirement`, as things stand at `now`.
    ///
    /// Everything that can change after a signature was checked is judged here, every time: how
    /// old `snapshot` is, the token's times, its key's end, what was called back, its scopes. A
    /// caller whose issuer the policy no longer trusts is nobody.
    pub fn decide<'c>(
        &self,
        requirement: &Requirement,
        caller: Option<&'c Verified<Claims>>,
        snapshot: &Snapshot,
        now: UnixTime,
    ) -> Decision<'c> {
        let caller = match (requirement.access, caller) {
            (Access::Open, _) => return Decision::Allow(None),
            (Access::Token, None) => return Denial::MissingToken.into(),
            (Access::Token, Some(caller)) => caller,
        };
        match self.check(requirement, caller, snapshot, now) {
            Ok(()) => Decision::Allow(Some(caller)),
            Err(denial) => denial.into(),
        }
    }

    fn check(
        &self,
        requirement: &Requirement,
        caller: &Verified<Claims>,
        snapshot: &Snapshot,
        now: UnixTime,
    ) -> Result<(), Denial> {
        let claims = caller.get();
        let standing = snapshot
            .revocations()
            .status(claims.revocable(caller.key_id()));
        // However old it is, what is known to be called back stays so.
        if standing != RevocationStatus::Revoked {
            self.check_ages(requirement, snapshot, now, Ages::All)?;
        }
        let trusted = self
            .policy
            .issuer(&claims.issuer)
            .ok_or(Denial::UnknownIssuer)?;
        trusted.judge_time(claims, now)?;
        if caller.key_ends_at().is_some_and(|end| end <= now) {
            return Err(Denial::UnknownKey);
        }
        match standing {
            RevocationStatus::Revoked => return Err(Denial::Revoked),
            RevocationStatus::MaybeRevoked => return Err(Denial::RevocationUnknown),
            RevocationStatus::NotRevoked => {}
        }
        // INVARIANT: a route that asks for a look-up is never decided by the feed.
        if requirement.revocation == RevocationMode::Lookup && !snapshot.is_looked_up() {
            return Err(Denial::RevocationUnknown);
        }
        if requirement
            .scopes
            .iter()
            .all(|scope| claims.scopes.contains(scope))
        {
            Ok(())
        } else {
            Err(Denial::InsufficientScope)
        }
    }

    /// Whether what is known may be relied on to check a token of this route at all. What will be
    /// looked up may be old here.
    ///
    /// # Errors
    ///
    /// [`Denial::StaleSnapshot`] once `snapshot` is older than the policy, or the route by its
    /// `serve_stale`, lets anyone rely on.
    pub fn check_staleness(
        &self,
        requirement: &Requirement,
        snapshot: &Snapshot,
        now: UnixTime,
    ) -> Result<(), Denial> {
        let ages = match requirement.revocation {
            RevocationMode::Feed => Ages::All,
            RevocationMode::Lookup => Ages::Keys,
        };
        self.check_ages(requirement, snapshot, now, ages)
    }

    /// Whether the store's own rows must tell how `caller` stands: the route wants it so, or what
    /// is known leaves it in doubt. One who is known to be called back need not be looked up.
    pub fn needs_lookup(
        &self,
        requirement: &Requirement,
        caller: &Verified<Claims>,
        snapshot: &Snapshot,
    ) -> bool {
        let revocable = caller.get().revocable(caller.key_id());
        match snapshot.revocations().status(revocable) {
            RevocationStatus::Revoked => false,
            RevocationStatus::MaybeRevoked => true,
            RevocationStatus::NotRevoked => requirement.revocation == RevocationMode::Lookup,
        }
    }

    fn check_ages(
        &self,
        requirement: &Requirement,
        snapshot: &Snapshot,
        now: UnixTime,
        ages: Ages,
    ) -> Result<(), Denial> {
        let bound = |hard: core::time::Duration| {
            requirement
                .serve_stale
                .map_or(hard, |stale| stale.max(hard))
        };
        let revocations_stale = match ages {
            Ages::All => snapshot.age(now) > bound(self.policy.revocations.hard),
            Ages::Keys => false,
        };
        let stale = snapshot.is_ahead_of(now)
            || revocations_stale
            || now.since(snapshot.keys_read_at()) > bound(self.policy.keys.hard);
        if stale {
            Err(Denial::StaleSnapshot)
        } else {
            Ok(())
        }
    }
}

/// Whose age is judged.
#[derive(Clone, Copy)]
enum Ages {
    Keys,
    All,
}

#[cfg(test)]
mod tests;
