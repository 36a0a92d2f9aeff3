//! The gate decides whether a request may pass.

use core::time::Duration;
use std::borrow::Cow;

use crate::denial::Denial;
use crate::path::CanonicalPath;
use crate::policy::Policy;
use crate::revocation::RevocationStatus;
use crate::route::{Access, Refused, Requirement, RevocationMode};
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

    /// The policy of the gate.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Verifies tokens of the issuers that the policy trusts.
    pub fn verifier(&self) -> Verifier<'_> {
        Verifier::new(&self.policy.issuers)
    }

    /// The policy's requirement for a request: that of the route of `path`, and those of the routes
    /// of its twins.
    ///
    /// # Errors
    ///
    /// As [`Routes::find`]: a path without a route is rejected.
    ///
    /// [`Routes::find`]: crate::route::Routes::find
    pub fn requirement(
        &self,
        method: &str,
        path: &CanonicalPath,
    ) -> Result<Cow<'_, Requirement>, Refused<'_>> {
        self.policy.routes.find(method, path)
    }

    /// Decides whether `caller` satisfies `requirement` at `now`.
    ///
    /// The decision covers everything that can change after the signature check: the age of
    /// `snapshot`, the times of the token, the end of its key, revocations, scopes and roles. A caller of
    /// an issuer that the policy no longer trusts is denied.
    ///
    /// # Errors
    ///
    /// The first [`Denial`]; [`Denial::RevocationUnknown`] if only the token's own rows in the
    /// store can tell whether it is revoked.
    pub fn decide(
        &self,
        requirement: &Requirement,
        caller: Option<&Verified<Claims>>,
        snapshot: &Snapshot,
        now: UnixTime,
    ) -> Result<(), Denial> {
        let caller = match (requirement.access, caller) {
            (Access::Open, _) | (Access::Optional, None) => return Ok(()),
            (Access::Token, None) => return Err(Denial::MissingToken),
            (Access::Token | Access::Optional, Some(caller)) => caller,
        };
        let status = status_of(caller, snapshot);
        // A revoked token stays revoked, however old the snapshot is.
        if status != RevocationStatus::Revoked {
            self.check_ages(requirement, snapshot, now, Ages::All)?;
        }
        self.decide_by(status, requirement, caller, snapshot, now)
    }

    /// The time from `now` until a response to `caller` that is still open is checked again: at the end of the token, and
    /// once in every soft bound of revocations.
    pub fn next_check(&self, caller: &Verified<Claims>, now: UnixTime) -> Duration {
        let claims = caller.get();
        let soft = self.policy.revocations.soft;
        let trusted = self.policy.issuer(&claims.issuer);
        let end = trusted.map(|trusted| claims.expires_at.plus(trusted.leeway));
        end.map_or(soft, |end| now.until(end).min(soft))
    }

    /// As [`Gate::decide`] for the bearer of a token, by a snapshot that [`Gate::check_staleness`] has accepted at
    /// `now`.
    ///
    /// # Errors
    ///
    /// As [`Gate::decide`].
    pub fn decide_by_usable(
        &self,
        requirement: &Requirement,
        caller: &Verified<Claims>,
        snapshot: &Snapshot,
        now: UnixTime,
    ) -> Result<(), Denial> {
        let status = status_of(caller, snapshot);
        self.decide_by(status, requirement, caller, snapshot, now)
    }

    #[inline(never)]
    fn decide_by(
        &self,
        status: RevocationStatus,
        requirement: &Requirement,
        caller: &Verified<Claims>,
        snapshot: &Snapshot,
        now: UnixTime,
    ) -> Result<(), Denial> {
        let claims = caller.get();
        let trusted = self
            .policy
            .issuer(&claims.issuer)
            .ok_or(Denial::UnknownIssuer)?;
        trusted.check_time(claims, now)?;
        if caller.key_ends_at().is_some_and(|end| end <= now) {
            return Err(Denial::UnknownKey);
        }
        match status {
            RevocationStatus::Revoked => return Err(Denial::Revoked),
            RevocationStatus::MaybeRevoked => return Err(Denial::RevocationUnknown),
            RevocationStatus::NotRevoked => {}
        }
        // INVARIANT: a route with a lookup is never decided by the feed.
        if requirement.revocation == RevocationMode::Lookup && !snapshot.is_looked_up() {
            return Err(Denial::RevocationUnknown);
        }
        // RFC 8707 §2: a token for one resource is no token for another.
        let resource = requirement.resource.as_ref();
        if resource.is_some_and(|resource| !resource.is_in(&claims.audience)) {
            return Err(Denial::WrongAudience);
        }
        requirement.check_rights(claims)?;
        // SECURITY: the identity of an accepted token is forwarded as a whole.
        self.policy.headers.claim_headers(claims).map(drop)
    }

    /// Checks that `snapshot` may decide about a token of this route. Revocations may be old if the
    /// route looks them up.
    ///
    /// # Errors
    ///
    /// [`Denial::StaleSnapshot`] if `snapshot` is older than the policy or the route's
    /// `serve_stale` allows.
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

    #[inline(never)]
    fn check_ages(
        &self,
        requirement: &Requirement,
        snapshot: &Snapshot,
        now: UnixTime,
        ages: Ages,
    ) -> Result<(), Denial> {
        let bound = |hard: Duration| {
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

fn status_of(caller: &Verified<Claims>, snapshot: &Snapshot) -> RevocationStatus {
    let token = caller.get().revocable(caller.key_id());
    snapshot.revocations().status(token)
}

/// The parts of a snapshot with a maximum age.
#[derive(Clone, Copy)]
enum Ages {
    Keys,
    All,
}

#[cfg(test)]
mod tests;
