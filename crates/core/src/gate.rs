//! The edge's whole question: may this request pass?

use crate::decision::Decision;
use crate::denial::Denial;
use crate::path::CanonicalPath;
use crate::policy::Policy;
use crate::revocation::Standing;
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

    /// Decides whether `caller` satisfies `need`, as things stand at `now`.
    ///
    /// Everything that can change after a signature was checked is judged here, every time: how
    /// old `world` is, the token's times, its key's end, what was called back, its scopes. A
    /// caller whose issuer the policy no longer trusts is nobody.
    pub fn decide<'c>(
        &self,
        need: &Requirement,
        caller: Option<&'c Verified<Claims>>,
        world: &Snapshot,
        now: UnixTime,
    ) -> Decision<'c> {
        let caller = match (need.access, caller) {
            (Access::Open, _) => return Decision::Allow(None),
            (Access::Token, None) => return Denial::MissingToken.into(),
            (Access::Token, Some(caller)) => caller,
        };
        match self.judge(need, caller, world, now) {
            Ok(()) => Decision::Allow(Some(caller)),
            Err(denial) => denial.into(),
        }
    }

    fn judge(
        &self,
        need: &Requirement,
        caller: &Verified<Claims>,
        world: &Snapshot,
        now: UnixTime,
    ) -> Result<(), Denial> {
        let claims = caller.get();
        let standing = world
            .revocations()
            .standing(claims.revocable(caller.key_id()));
        // However old it is, what is known to be called back stays so.
        if standing != Standing::Revoked {
            self.judge_ages(need, world, now, Ages::All)?;
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
            Standing::Revoked => return Err(Denial::Revoked),
            Standing::MaybeRevoked => return Err(Denial::RevocationUnknown),
            Standing::Clear => {}
        }
        // INVARIANT: a route that asks for a look-up is never decided by the feed.
        if need.revocation == RevocationMode::Lookup && !world.is_looked_up() {
            return Err(Denial::RevocationUnknown);
        }
        if need
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
    /// [`Denial::StaleSnapshot`] once `world` is older than the policy, or the route by its
    /// `serve_stale`, lets anyone rely on.
    pub fn judge_staleness(
        &self,
        need: &Requirement,
        world: &Snapshot,
        now: UnixTime,
    ) -> Result<(), Denial> {
        let ages = match need.revocation {
            RevocationMode::Feed => Ages::All,
            RevocationMode::Lookup => Ages::Keys,
        };
        self.judge_ages(need, world, now, ages)
    }

    /// Whether the store's own rows must tell how `caller` stands: the route wants it so, or what
    /// is known leaves it in doubt. One who is known to be called back need not be looked up.
    pub fn needs_lookup(
        &self,
        need: &Requirement,
        caller: &Verified<Claims>,
        world: &Snapshot,
    ) -> bool {
        let revocable = caller.get().revocable(caller.key_id());
        match world.revocations().standing(revocable) {
            Standing::Revoked => false,
            Standing::MaybeRevoked => true,
            Standing::Clear => need.revocation == RevocationMode::Lookup,
        }
    }

    fn judge_ages(
        &self,
        need: &Requirement,
        world: &Snapshot,
        now: UnixTime,
        ages: Ages,
    ) -> Result<(), Denial> {
        let bound =
            |hard: core::time::Duration| need.serve_stale.map_or(hard, |stale| stale.max(hard));
        let revocations_stale = match ages {
            Ages::All => world.age(now) > bound(self.policy.revocations.hard),
            Ages::Keys => false,
        };
        let stale = world.is_ahead_of(now)
            || revocations_stale
            || now.since(world.keys_read_at()) > bound(self.policy.keys.hard);
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
