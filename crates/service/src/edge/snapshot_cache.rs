//! What an isolate at the edge knows of keys and revocations, and when it reads them anew.
//!
//! INVARIANT: no reading is shared. A platform may end I/O with the request that began it, so who
//! awaited another request's reading would hang or fail with it. Who reads is settled by a claim
//! with a deadline; others look now and then, by timers of their own, whether it has ended.

use core::cell::RefCell;
use core::time::Duration;
use std::rc::Rc;

use portcullis_core::gate::Gate;
use portcullis_core::policy::Policy;
use portcullis_core::route::Requirement;
use portcullis_core::snapshot::{
    Freshness, LeaseState, RefreshLease, Snapshot, UNKNOWN_KEY_COOLDOWN,
};
use portcullis_core::time::UnixTime;

use crate::ports::{Clock, ImmutableCache};
use crate::snapshot::{self, Keys, SnapshotRead};
use crate::store::{KeyStore, PackStore, RevocationStore, StoreError};

/// How long a request that waits for another's reading sleeps at a time.
pub const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// How often it does so where it could do without.
pub const MAX_POLLS_WITH_SNAPSHOT: u32 = 8;

/// How often where it could not: until the claim of whoever reads has ended for sure, whose whole
/// seconds may hide two more.
pub const MAX_POLLS_WITHOUT_SNAPSHOT: u32 = 7 * 40;

/// What one isolate knows, from its first request to its last.
#[derive(Debug, Default)]
pub struct SnapshotCache {
    snapshot: RefCell<Option<Rc<Snapshot>>>,
    lease: RefCell<RefreshLease>,
    key_lease: RefCell<RefreshLease>,
}

/// What a request does before it is judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum RefreshPlan {
    /// Nothing: what is known has to do, whether it may be relied on or not.
    UseCurrent,
    /// It has the world read behind its answer.
    RefreshInBackground,
    /// It reads the world first.
    RefreshFirst,
    /// Another request is reading: it looks again in a moment, but only so often.
    WaitForOther(u32),
}

/// What a request does whose token is signed with a key that nobody knows.
#[derive(Clone, Debug)]
#[must_use]
pub enum UnknownKey {
    /// The keys were read a moment ago: there is no such key.
    NoSuchKey,
    /// They could not be read a moment ago: nobody can say yet that the token is bad.
    Undetermined,
    /// They were read meanwhile: it is judged by these.
    Newer(Rc<Snapshot>),
    /// Another request is reading them: it looks again in a moment.
    Wait,
    /// It reads them.
    Read,
}

impl SnapshotCache {
    /// The newest snapshot there is, whether it may be relied on or not: the gate judges that.
    pub fn current(&self) -> Option<Rc<Snapshot>> {
        self.snapshot.borrow().clone()
    }

    /// What a request at `now` that needs `requirement` does before it is judged. Whoever is told to read
    /// has the claim, and ends it by [`SnapshotCache::refresh`].
    ///
    /// `store_is_away` is what the circuit breaker says: then nobody waits for the store as long as
    /// there is something to rely on.
    pub fn plan(
        &self,
        gate: &Gate,
        requirement: &Requirement,
        store_is_away: bool,
        now: UnixTime,
    ) -> RefreshPlan {
        let held = self.current();
        let freshness = held.as_ref().map_or(Freshness::Expired, |held| {
            held.freshness(gate.policy(), now)
        });
        let relies = held.is_some_and(|held| gate.check_staleness(requirement, &held, now).is_ok());
        match freshness {
            Freshness::Fresh => RefreshPlan::UseCurrent,
            Freshness::StaleWhileRevalidate => self.plan_background_refresh(now),
            Freshness::StaleIfError | Freshness::Expired if relies && store_is_away => {
                self.plan_background_refresh(now)
            }
            Freshness::StaleIfError | Freshness::Expired => match self.lease.borrow_mut().take(now)
            {
                LeaseState::Acquired => RefreshPlan::RefreshFirst,
                LeaseState::HeldByOther if relies => {
                    RefreshPlan::WaitForOther(MAX_POLLS_WITH_SNAPSHOT)
                }
                LeaseState::HeldByOther => RefreshPlan::WaitForOther(MAX_POLLS_WITHOUT_SNAPSHOT),
                LeaseState::BackingOff => RefreshPlan::UseCurrent,
            },
        }
    }

    fn plan_background_refresh(&self, now: UnixTime) -> RefreshPlan {
        match self.lease.borrow_mut().take(now) {
            LeaseState::Acquired => RefreshPlan::RefreshInBackground,
            LeaseState::HeldByOther | LeaseState::BackingOff => RefreshPlan::UseCurrent,
        }
    }

    /// What a request at `now` does whose token names a key that `snapshot` lacks. The keys are read
    /// for its sake a while after they were read, so that made-up names cost nothing; where they
    /// could not be read, as soon as any other reading is tried again.
    pub fn on_unknown_key(&self, snapshot: &Snapshot, now: UnixTime) -> UnknownKey {
        if let Some(held) = self
            .current()
            .filter(|held| held.has_newer_keys_than(snapshot))
        {
            return UnknownKey::Newer(held);
        }
        if self.key_lease.borrow().is_reading(now) {
            return UnknownKey::Wait;
        }
        if now.since(snapshot.keys_read_at()) < UNKNOWN_KEY_COOLDOWN {
            return UnknownKey::NoSuchKey;
        }
        match self.key_lease.borrow_mut().take(now) {
            LeaseState::Acquired => UnknownKey::Read,
            LeaseState::HeldByOther => UnknownKey::Wait,
            LeaseState::BackingOff => UnknownKey::Undetermined,
        }
    }

    /// Reads the world, or what is new in it since, keeps what is newer than what is held, and ends
    /// the claim. `began_at` is the moment before the reading begins; `clock` tells when it ended.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if a part could not be read. What could be is kept all the same.
    pub async fn refresh(
        &self,
        policy: &Policy,
        keys: Keys,
        began_at: UnixTime,
        store: &(impl KeyStore + RevocationStore + PackStore),
        shelf: &impl ImmutableCache,
        clock: &impl Clock,
    ) -> Result<(), StoreError> {
        // What a clock that was set back makes of its age cannot be followed.
        let held = self.current().filter(|held| !held.is_ahead_of(began_at));
        let previous = held.map_or_else(|| Snapshot::unread(policy), |held| (*held).clone());
        let read = snapshot::follow(policy, previous, keys, store, shelf, began_at);
        let SnapshotRead { snapshot, error } = read.await;
        self.keep(snapshot, clock.now());
        let claim = match keys {
            Keys::WhenDue => &self.lease,
            Keys::Now => &self.key_lease,
        };
        match error {
            None => {
                claim.borrow_mut().release();
                Ok(())
            }
            Some(error) => {
                claim.borrow_mut().fail(clock.now());
                Err(error)
            }
        }
    }

    fn keep(&self, read: Snapshot, now: UnixTime) {
        let mut held = self.snapshot.borrow_mut();
        let newest = match held.take().filter(|held| !held.is_ahead_of(now)) {
            Some(held) => Snapshot::clone(&held).merge(read),
            None => read,
        };
        *held = Some(Rc::new(newest));
    }
}

#[cfg(test)]
mod tests;
