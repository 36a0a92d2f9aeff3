//! The edge's straight line: a request for the origin becomes a decision.
//!
//! The first half needs nothing but the policy; only a token for a guarded route asks for a
//! snapshot of the world. How that is come by differs by door.

use portcullis_core::bearer::bearer_token;
use portcullis_core::decision::Decision;
use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::path::CanonicalPath;
use portcullis_core::revocation::{Revocations, TokenIds};
use portcullis_core::route::{Access, Requirement};
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;

use crate::ports::{Clock, SignatureVerifier};
use crate::store::StoreError;

/// What is known of a request before anything is read or verified.
#[derive(Clone, Debug)]
#[must_use]
pub struct RoutedRequest<'g, 't> {
    /// The path that is judged and forwarded.
    pub path: CanonicalPath,
    /// What its route asks.
    pub requirement: &'g Requirement,
    /// The token to judge; `None` on an open route.
    pub token: Option<&'t str>,
}

/// A request refused before anything was read, with what its route asks if it came to that.
pub type Refused<'g> = (Denial, Option<&'g Requirement>);

/// Finds the route of a request and the token it brings. A token on an open route is not looked
/// at: nobody's identity is forwarded there.
///
/// # Errors
///
/// The [`Denial`], with the requirement once the route is known.
pub fn route_request<'g, 't>(
    gate: &'g Gate,
    raw_path: &str,
    authorization: Option<&'t str>,
) -> Result<RoutedRequest<'g, 't>, Refused<'g>> {
    let path = CanonicalPath::parse(raw_path).map_err(|denial| (denial, None))?;
    let requirement = gate.requirement(&path).map_err(|denial| (denial, None))?;
    let token = match requirement.access {
        Access::Open => None,
        Access::Token => {
            let token =
                bearer_token(authorization).map_err(|denial| (denial, Some(requirement)))?;
            Some(token.ok_or((Denial::MissingToken, Some(requirement)))?)
        }
    };
    Ok(RoutedRequest {
        path,
        requirement,
        token,
    })
}

/// Tells what stands against one token, where what is known leaves a doubt or is not asked.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own, so Send is inferred there"
)]
pub trait Lookup {
    /// What stands against `token`, read consistently from its own rows.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also if only part of it could be read.
    async fn look_up(&self, token: TokenIds<'_>) -> Result<Revocations, StoreError>;
}

/// Verifies `token` against the keys of `snapshot` and decides. What its route wants looked up, or
/// what is in doubt, is looked up.
///
/// # Errors
///
/// The first [`Denial`] met; [`Denial::RevocationUnknown`] if the look-up failed.
pub async fn verify_and_decide(
    gate: &Gate,
    requirement: &Requirement,
    token: &str,
    snapshot: &Snapshot,
    signatures: &impl SignatureVerifier,
    lookup: &impl Lookup,
    clock: &impl Clock,
) -> Result<Verified<Claims>, Denial> {
    let now = clock.now();
    // Nobody's signature is checked against keys that nobody may rely on.
    gate.check_staleness(requirement, snapshot, now)?;
    let caller = verify(gate, token, snapshot, signatures, now).await?;
    if !gate.needs_lookup(requirement, &caller, snapshot) {
        return settle(gate, requirement, caller, snapshot, now);
    }
    // The signature was checked before: nobody makes us read by a token that is no token.
    let revoked = lookup
        .look_up(caller.get().revocable(caller.key_id()))
        .await
        .map_err(|_| Denial::RevocationUnknown)?;
    settle(
        gate,
        requirement,
        caller,
        &snapshot.for_one(revoked, now),
        clock.now(),
    )
}

fn settle(
    gate: &Gate,
    requirement: &Requirement,
    caller: Verified<Claims>,
    snapshot: &Snapshot,
    now: UnixTime,
) -> Result<Verified<Claims>, Denial> {
    match gate.decide(requirement, Some(&caller), snapshot, now) {
        Decision::Allow(_) => Ok(caller),
        Decision::Deny(denial) => Err(denial),
    }
}

/// Inspects `token`, has its signature checked, and accepts it.
pub(crate) async fn verify(
    gate: &Gate,
    token: &str,
    snapshot: &Snapshot,
    signatures: &impl SignatureVerifier,
    now: UnixTime,
) -> Result<Verified<Claims>, Denial> {
    let inspected = gate.verifier().inspect(token, snapshot.keys(), now)?;
    let verdict = signatures
        .check(&inspected.check()?)
        .await
        .map_err(|_| Denial::UnusableKey)?;
    inspected.accept(verdict)
}
