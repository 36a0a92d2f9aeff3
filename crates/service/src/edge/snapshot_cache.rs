//! The snapshot cache of an isolate at the edge: its keys and revocations, and when to refresh
//! them.
//!
//! INVARIANT: no read is shared between requests. A platform may abort I/O together with the
//! request that started it, and a request that awaits it would hang or fail. A lease with a
//! deadline decides which request reads. Other requests poll with their own timers for its end.

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

/// The poll interval of a request that waits for the refresh of another request.
pub const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// The number of polls when the current snapshot is still usable.
pub const MAX_POLLS_WITH_SNAPSHOT: u32 = 8;

/// The number of polls when it is not usable. They cover the whole lease plus 2 s, because
/// deadlines are rounded to whole seconds.
pub const MAX_POLLS_WITHOUT_SNAPSHOT: u32 = 7 * 40;

/// The state of one isolate, from its first request to its last.
#[derive(Debug, Default)]
pub struct SnapshotCache {
    snapshot: RefCell<Option<Rc<Snapshot>>>,
    lease: RefCell<RefreshLease>,
    key_lease: RefCell<RefreshLease>,
}

/// The step before a request is decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum RefreshPlan {
    /// Use the current snapshot, whether it is usable or not.
    UseCurrent,
    /// Refresh the snapshot in the background, after the response.
    RefreshInBackground,
    /// Refresh the snapshot first.
    RefreshFirst,
    /// Another request is refreshing: poll again, up to this many times.
    WaitForOther(u32),
}

/// The step for a request with an unknown `kid` in its token.
#[derive(Clone, Debug)]
#[must_use]
pub enum UnknownKey {
    /// The keys were read within the cooldown: the key does not exist.
    NoSuchKey,
    /// The last read of the keys failed within the cooldown: the token cannot be called invalid
    /// yet.
    Undetermined,
    /// Newer keys are available: decide with these.
    Newer(Rc<Snapshot>),
    /// Another request is reading the keys: poll again.
    Wait,
    /// Read the keys.
    Read,
}

impl SnapshotCache {
    /// The newest snapshot, usable or not; the gate checks its age.
    pub fn current(&self) -> Option<Rc<Snapshot>> {
        self.snapshot.borrow().clone()
    }

    /// The step before a request at `now` with `requirement` is decided. On `RefreshFirst` and
    /// `RefreshInBackground` the caller holds the lease and must call [`SnapshotCache::refresh`],
    /// which releases it.
    ///
    /// `store_is_away` is the state of the circuit breaker. While it is set, no request waits for
    /// the store if the current snapshot is usable.
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

    /// The step for a request at `now` whose token names a key that `snapshot` lacks. The keys are
    /// read again only after a cooldown, so invented identifiers cause few reads. After a failed
    /// read, the retry delay of every other read applies.
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

    /// Reads the snapshot, or the part added since the last read, keeps every newer part and
    /// releases the lease. `began_at` is the time before the read; `clock` returns the time after
    /// it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if a part could not be read. The parts that were read are kept.
    pub async fn refresh(
        &self,
        policy: &Policy,
        keys: Keys,
        began_at: UnixTime,
        store: &(impl KeyStore + RevocationStore + PackStore),
        shelf: &impl ImmutableCache,
        clock: &impl Clock,
    ) -> Result<(), StoreError> {
        // After a clock was set back, the age of the snapshot is unknown.
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
