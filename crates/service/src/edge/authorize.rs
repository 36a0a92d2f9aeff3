//! The decision on one token: a usable snapshot, the signature, the decision.
//!
//! A refresh of the snapshot and a lookup are the only I/O. On a fresh snapshot the decision itself is not async.

use core::time::Duration;
use std::rc::Rc;

use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::revocation::{Revocations, TokenIds};
use portcullis_core::route::{Access, Requirement, RevocationMode};
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;

use crate::edge::snapshot_cache::{
    MAX_POLLS_WITH_SNAPSHOT, POLL_INTERVAL, RefreshPlan, SnapshotCache, UnknownKey,
};
use crate::ports::{Clock, SignatureVerifier};
use crate::snapshot::Keys;
use crate::store::StoreError;
use crate::verify::verify;

/// Reads the revocations of one token from its own rows, where the snapshot cannot decide or the route wants it.
#[expect(
    async_fn_in_trait,
    reason = "each entry point names its own, so Send is inferred there"
)]
pub trait Lookup {
    /// The revocations of `token`, which `snapshot` leaves undecided, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also if only part of it could be read.
    async fn look_up(
        &self,
        requirement: &Requirement,
        snapshot: &Snapshot,
        token: TokenIds<'_>,
    ) -> Result<Revocations, StoreError>;
}

/// One request at an isolate.
#[expect(
    async_fn_in_trait,
    reason = "futures of an isolate stay on their one thread"
)]
pub trait EdgeRequest: Clock + Lookup {
    /// The gate under the isolate's policy.
    fn gate(&self) -> &Gate;

    /// The snapshot of the isolate.
    fn snapshot_cache(&self) -> &SnapshotCache;

    /// The isolate's signature verification.
    fn signatures(&self) -> &impl SignatureVerifier;

    /// Whether the circuit breaker of the store is not closed.
    fn store_unavailable(&self) -> bool;

    /// Waits, by a timer of this request.
    async fn sleep(&self, span: Duration);

    /// Refreshes the snapshot by [`SnapshotCache::refresh`]. The refresh completes even if the client disconnects; a
    /// failure is logged.
    async fn refresh(&self, keys: Keys, began_at: UnixTime);

    /// Refreshes the snapshot after the response.
    fn refresh_in_background(&self, began_at: UnixTime);

    /// Called when `snapshot` has let a token pass.
    fn on_authorized(&self, requirement: &Requirement, snapshot: &Snapshot);
}

/// Authorizes `token` for a route with `requirement`. An open route has no caller, and where its identity is optional,
/// only that of an accepted token.
///
/// # Errors
///
/// The [`Denial`]; [`Denial::StaleSnapshot`] if no usable snapshot is available. None on an open route.
pub async fn authorize(
    request: &impl EdgeRequest,
    requirement: &Requirement,
    token: &str,
) -> Result<Option<Verified<Claims>>, Denial> {
    match requirement.access {
        Access::Open => Ok(None),
        Access::Optional => Ok(identify(request, requirement, token).await.ok()),
        Access::Token => require(request, requirement, token).await.map(Some),
    }
}

/// The caller on a route where the identity is optional.
async fn identify(
    request: &impl EdgeRequest,
    requirement: &Requirement,
    token: &str,
) -> Result<Verified<Claims>, Denial> {
    let gate = request.gate();
    let held = request.snapshot_cache().current();
    let mut snapshot = held.unwrap_or_else(|| Rc::new(Snapshot::unread(gate.policy())));
    let mut is_refreshed = false;
    loop {
        let verified = verify(gate, token, &snapshot, request.signatures(), request.now()).await;
        // SECURITY: a token that is bad by the snapshot of the isolate, fresh or not, causes no read. A token with an
        // unknown key causes no read of the keys either, only the refresh that is due.
        let decided = verified.and_then(|caller| {
            let decided = gate.decide_by_usable(requirement, &caller, &snapshot, request.now());
            decided.map(|()| caller)
        });
        if decided
            .as_ref()
            .is_err_and(|denial| *denial != Denial::UnknownKey)
        {
            return decided;
        }
        let newest = if is_refreshed {
            Rc::clone(&snapshot)
        } else {
            let newest = current_snapshot(request, requirement).await;
            newest.ok_or(Denial::StaleSnapshot)?
        };
        if Rc::ptr_eq(&newest, &snapshot) {
            let caller = decided?;
            // A stale key set verifies no signature.
            gate.check_staleness(requirement, &snapshot, request.now())?;
            request.on_authorized(requirement, &snapshot);
            return Ok(caller);
        }
        is_refreshed = true;
        snapshot = newest;
    }
}

async fn require(
    request: &impl EdgeRequest,
    requirement: &Requirement,
    token: &str,
) -> Result<Verified<Claims>, Denial> {
    by_usable_snapshot(request, requirement, async |snapshot| {
        let (gate, signatures) = (request.gate(), request.signatures());
        let caller =
            verify_and_decide(gate, requirement, token, snapshot, signatures, request).await?;
        request.on_authorized(requirement, snapshot);
        Ok(caller)
    })
    .await
}

/// Waits until `caller`, who was authorized for a route with `requirement`, may no longer use its response: the token
/// has expired, or is no longer valid in a snapshot of the isolate.
///
/// Checks once in every soft bound of the policy, by the feed: an open response causes no read beyond those of the
/// isolate, also on a route with lookups. `before_wait` gets the time until each check.
pub async fn until_denied(
    request: &impl EdgeRequest,
    mut requirement: Requirement,
    caller: &Verified<Claims>,
    before_wait: impl Fn(Duration),
) -> Denial {
    requirement.revocation = RevocationMode::Feed;
    loop {
        let wait = request.gate().next_check(caller, request.now());
        before_wait(wait);
        request.sleep(wait).await;
        if let Err(denial) = check_again(request, &requirement, caller).await {
            return denial;
        }
    }
}

async fn check_again(
    request: &impl EdgeRequest,
    requirement: &Requirement,
    caller: &Verified<Claims>,
) -> Result<(), Denial> {
    let snapshot = current_snapshot(request, requirement)
        .await
        .ok_or(Denial::StaleSnapshot)?;
    let gate = request.gate();
    let decided = gate.decide(requirement, Some(caller), &snapshot, request.now());
    decide_or_look_up(decided, gate, requirement, caller, &snapshot, request).await
}

/// Runs `decide` on the current snapshot, and again on newer keys while the token's key is unknown.
async fn by_usable_snapshot<R: EdgeRequest>(
    request: &R,
    requirement: &Requirement,
    decide: impl AsyncFn(&Snapshot) -> Result<Verified<Claims>, Denial>,
) -> Result<Verified<Claims>, Denial> {
    let mut snapshot = current_snapshot(request, requirement)
        .await
        .ok_or(Denial::StaleSnapshot)?;
    // Terminates: the keys of each round are newer than those of the round before.
    loop {
        match decide(&snapshot).await {
            Err(Denial::UnknownKey) => snapshot = with_newer_keys(request, &snapshot).await?,
            decided => return decided,
        }
    }
}

/// Verifies `token` against the keys of `snapshot` and decides. A lookup follows where the snapshot cannot decide or
/// the route wants one.
///
/// # Errors
///
/// The first [`Denial`] met; [`Denial::RevocationUnknown`] if the lookup failed.
pub async fn verify_and_decide(
    gate: &Gate,
    requirement: &Requirement,
    token: &str,
    snapshot: &Snapshot,
    signatures: &impl SignatureVerifier,
    request: &(impl Clock + Lookup),
) -> Result<Verified<Claims>, Denial> {
    let now = request.now();
    // A stale key set verifies no signature.
    gate.check_staleness(requirement, snapshot, now)?;
    let caller = verify(gate, token, snapshot, signatures, now).await?;
    let decided = gate.decide_by_usable(requirement, &caller, snapshot, now);
    decide_or_look_up(decided, gate, requirement, &caller, snapshot, request).await?;
    Ok(caller)
}

/// Completes the decision `decided` with a lookup, if only that can tell.
async fn decide_or_look_up(
    decided: Result<(), Denial>,
    gate: &Gate,
    requirement: &Requirement,
    caller: &Verified<Claims>,
    snapshot: &Snapshot,
    request: &(impl Clock + Lookup),
) -> Result<(), Denial> {
    match decided {
        // SECURITY: the lookup runs after the signature check, so forged tokens cause no store reads.
        // A route where the identity is optional never causes one.
        Err(Denial::RevocationUnknown) if requirement.access == Access::Token => {
            let now = request.now();
            let ids = caller.get().revocable(caller.key_id());
            let revoked = request.look_up(requirement, snapshot, ids).await;
            let revoked = revoked.map_err(|_| Denial::RevocationUnknown)?;
            let looked_up = snapshot.for_one(revoked, now);
            gate.decide(requirement, Some(caller), &looked_up, request.now())
        }
        decided => decided,
    }
}

/// The newest snapshot, usable or not: the decision checks its age.
async fn current_snapshot(
    request: &impl EdgeRequest,
    requirement: &Requirement,
) -> Option<Rc<Snapshot>> {
    let cache = request.snapshot_cache();
    let mut moments = 0_u32;
    loop {
        let now = request.now();
        match cache.plan(
            request.gate(),
            requirement,
            request.store_unavailable(),
            now,
        ) {
            RefreshPlan::UseCurrent => break,
            RefreshPlan::RefreshInBackground => {
                request.refresh_in_background(now);
                break;
            }
            RefreshPlan::RefreshFirst => {
                request.refresh(Keys::WhenDue, now).await;
                break;
            }
            RefreshPlan::WaitForOther(at_most) if at_most <= moments => break,
            RefreshPlan::WaitForOther(_) => {
                moments = moments.saturating_add(1);
                request.sleep(POLL_INTERVAL).await;
            }
        }
    }
    cache.current()
}

/// A snapshot with newer keys than `snapshot`, which lacks the key that a token names.
async fn with_newer_keys(
    request: &impl EdgeRequest,
    snapshot: &Snapshot,
) -> Result<Rc<Snapshot>, Denial> {
    let mut moments = 0_u32;
    loop {
        let now = request.now();
        match request.snapshot_cache().on_unknown_key(snapshot, now) {
            UnknownKey::Newer(held) => return Ok(held),
            UnknownKey::NoSuchKey => return Err(Denial::UnknownKey),
            UnknownKey::Undetermined => return Err(Denial::StaleSnapshot),
            UnknownKey::Read => request.refresh(Keys::Now, now).await,
            UnknownKey::Wait if MAX_POLLS_WITH_SNAPSHOT <= moments => {
                return Err(Denial::StaleSnapshot);
            }
            UnknownKey::Wait => {
                moments = moments.saturating_add(1);
                request.sleep(POLL_INTERVAL).await;
            }
        }
    }
}

#[cfg(test)]
mod identify_tests;

#[cfg(test)]
mod tests;
