//! One token at the edge: what the isolate knows is read anew where that is too old or lacks the
//! token's key, and the token is judged against it.

use core::time::Duration;
use std::rc::Rc;

use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::route::Requirement;
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;

use crate::snapshot::Keys;
use crate::snapshot_cache::{
    MAX_POLLS_WITH_SNAPSHOT, POLL_INTERVAL, RefreshPlan, SnapshotCache, UnknownKey,
};

/// An isolate as one request meets it.
#[expect(
    async_fn_in_trait,
    reason = "futures of an isolate stay on their one thread"
)]
pub trait EdgeRequest {
    /// The gate under the isolate's policy.
    fn gate(&self) -> &Gate;

    /// What the isolate knows.
    fn snapshot_cache(&self) -> &SnapshotCache;

    /// The time.
    fn now(&self) -> UnixTime;

    /// Whether the circuit breaker says that the store is not to be had.
    fn store_unavailable(&self) -> bool;

    /// Waits, by a timer of this request's own.
    async fn sleep(&self, span: Duration);

    /// Reads the world by [`SnapshotCache::refresh`]. It goes on though whoever made the request is gone;
    /// a failure is logged.
    async fn refresh(&self, keys: Keys, began_at: UnixTime);

    /// Has the same done behind the answer.
    fn refresh_in_background(&self, began_at: UnixTime);

    /// Judges `token` against `snapshot`.
    ///
    /// # Errors
    ///
    /// The [`Denial`].
    async fn judge(
        &self,
        requirement: &Requirement,
        token: &str,
        snapshot: &Snapshot,
    ) -> Result<Verified<Claims>, Denial>;
}

/// Judges `token` for a route that asks `requirement`.
///
/// # Errors
///
/// The [`Denial`]; [`Denial::StaleSnapshot`] where what is known may not be relied on.
pub async fn authorize(
    visit: &impl EdgeRequest,
    requirement: &Requirement,
    token: &str,
) -> Result<Verified<Claims>, Denial> {
    let mut snapshot = current_snapshot(visit, requirement)
        .await
        .ok_or(Denial::StaleSnapshot)?;
    // Ends: each round knows newer keys than the one before.
    loop {
        match visit.judge(requirement, token, &snapshot).await {
            Err(Denial::UnknownKey) => snapshot = with_newer_keys(visit, &snapshot).await?,
            settled => return settled,
        }
    }
}

/// The newest snapshot to be had, whether it may be relied on or not: the gate judges that.
async fn current_snapshot(
    visit: &impl EdgeRequest,
    requirement: &Requirement,
) -> Option<Rc<Snapshot>> {
    let knowledge = visit.snapshot_cache();
    let mut moments = 0_u32;
    loop {
        let now = visit.now();
        match knowledge.plan(visit.gate(), requirement, visit.store_unavailable(), now) {
            RefreshPlan::UseCurrent => break,
            RefreshPlan::RefreshInBackground => {
                visit.refresh_in_background(now);
                break;
            }
            RefreshPlan::RefreshFirst => {
                visit.refresh(Keys::WhenDue, now).await;
                break;
            }
            RefreshPlan::WaitForOther(at_most) if at_most <= moments => break,
            RefreshPlan::WaitForOther(_) => {
                moments = moments.saturating_add(1);
                visit.sleep(POLL_INTERVAL).await;
            }
        }
    }
    knowledge.current()
}

/// Newer keys than those of `snapshot`, which lacks the one that a token names.
async fn with_newer_keys(
    visit: &impl EdgeRequest,
    snapshot: &Snapshot,
) -> Result<Rc<Snapshot>, Denial> {
    let mut moments = 0_u32;
    loop {
        let now = visit.now();
        match visit.snapshot_cache().on_unknown_key(snapshot, now) {
            UnknownKey::Newer(held) => return Ok(held),
            UnknownKey::NoSuchKey => return Err(Denial::UnknownKey),
            UnknownKey::Undetermined => return Err(Denial::StaleSnapshot),
            UnknownKey::Read => visit.refresh(Keys::Now, now).await,
            UnknownKey::Wait if MAX_POLLS_WITH_SNAPSHOT <= moments => {
                return Err(Denial::StaleSnapshot);
            }
            UnknownKey::Wait => {
                moments = moments.saturating_add(1);
                visit.sleep(POLL_INTERVAL).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
