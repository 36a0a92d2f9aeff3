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
use crate::snapshot_cache::{FEW_MOMENTS, MOMENT, RefreshPlan, SnapshotCache, UnknownKey};

/// An isolate as one request meets it.
#[expect(
    async_fn_in_trait,
    reason = "futures of an isolate stay on their one thread"
)]
pub trait Visit {
    /// The gate under the isolate's policy.
    fn gate(&self) -> &Gate;

    /// What the isolate knows.
    fn knowledge(&self) -> &SnapshotCache;

    /// The time.
    fn now(&self) -> UnixTime;

    /// Whether the circuit breaker says that the store is not to be had.
    fn store_is_away(&self) -> bool;

    /// Waits, by a timer of this request's own.
    async fn sleep(&self, span: Duration);

    /// Reads the world by [`SnapshotCache::refresh`]. It goes on though whoever made the request is gone;
    /// a failure is logged.
    async fn read(&self, keys: Keys, began_at: UnixTime);

    /// Has the same done behind the answer.
    fn read_behind(&self, began_at: UnixTime);

    /// Judges `token` against `world`.
    ///
    /// # Errors
    ///
    /// The [`Denial`].
    async fn judge(
        &self,
        need: &Requirement,
        token: &str,
        world: &Snapshot,
    ) -> Result<Verified<Claims>, Denial>;
}

/// Judges `token` for a route that asks `need`.
///
/// # Errors
///
/// The [`Denial`]; [`Denial::StaleSnapshot`] where what is known may not be relied on.
pub async fn admit(
    visit: &impl Visit,
    need: &Requirement,
    token: &str,
) -> Result<Verified<Claims>, Denial> {
    let mut world = world(visit, need).await.ok_or(Denial::StaleSnapshot)?;
    // Ends: each round knows newer keys than the one before.
    loop {
        match visit.judge(need, token, &world).await {
            Err(Denial::UnknownKey) => world = with_newer_keys(visit, &world).await?,
            settled => return settled,
        }
    }
}

/// The newest snapshot to be had, whether it may be relied on or not: the gate judges that.
async fn world(visit: &impl Visit, need: &Requirement) -> Option<Rc<Snapshot>> {
    let knowledge = visit.knowledge();
    let mut moments = 0_u32;
    loop {
        let now = visit.now();
        match knowledge.prepare(visit.gate(), need, visit.store_is_away(), now) {
            RefreshPlan::Nothing => break,
            RefreshPlan::ReadBehind => {
                visit.read_behind(now);
                break;
            }
            RefreshPlan::ReadFirst => {
                visit.read(Keys::WhenDue, now).await;
                break;
            }
            RefreshPlan::Wait(at_most) if at_most <= moments => break,
            RefreshPlan::Wait(_) => {
                moments = moments.saturating_add(1);
                visit.sleep(MOMENT).await;
            }
        }
    }
    knowledge.held()
}

/// Newer keys than those of `world`, which lacks the one that a token names.
async fn with_newer_keys(visit: &impl Visit, world: &Snapshot) -> Result<Rc<Snapshot>, Denial> {
    let mut moments = 0_u32;
    loop {
        let now = visit.now();
        match visit.knowledge().lacks_key(world, now) {
            UnknownKey::Newer(held) => return Ok(held),
            UnknownKey::IsNone => return Err(Denial::UnknownKey),
            UnknownKey::IsOpen => return Err(Denial::StaleSnapshot),
            UnknownKey::Read => visit.read(Keys::Now, now).await,
            UnknownKey::Wait if FEW_MOMENTS <= moments => return Err(Denial::StaleSnapshot),
            UnknownKey::Wait => {
                moments = moments.saturating_add(1);
                visit.sleep(MOMENT).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
