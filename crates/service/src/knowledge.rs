//! What an isolate at the edge knows of keys and revocations, and when it reads them anew.
//!
//! INVARIANT: no reading is shared. A platform may end I/O with the request that began it, so who
//! awaited another request's reading would hang or fail with it. Who reads is settled by a claim
//! with a deadline, and what is shared is only the finished snapshot.

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use portcullis_core::policy::Policy;
use portcullis_core::snapshot::{Claimed, Freshness, RefreshClaim, Snapshot, UNKNOWN_KEY_COOLDOWN};
use portcullis_core::time::UnixTime;

use crate::ports::{Clock, Shelf};
use crate::snapshot::{self, Followed, Keys};
use crate::store::{KeyStore, PackStore, RevocationStore, StoreError};

/// What one isolate knows, from its first request to its last.
#[derive(Debug, Default)]
pub struct Knowledge {
    snapshot: RefCell<Option<Rc<Snapshot>>>,
    claim: RefCell<RefreshClaim>,
    key_claim: RefCell<RefreshClaim>,
    keys_tried_at: Cell<UnixTime>,
}

/// What a request does before it is judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Preparation {
    /// Nothing: what is known has to do, whether it may be relied on or not.
    Nothing,
    /// It has the world read behind its answer.
    ReadBehind,
    /// It reads the world first.
    ReadFirst,
}

/// What a request does whose token is signed with a key that nobody knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum UnknownKey {
    /// The keys were read a moment ago: there is no such key.
    IsNone,
    /// Somebody is reading them, or failed to: nobody can say yet that the token is bad.
    IsOpen,
    /// It reads them, and is judged once more.
    Read,
}

impl Knowledge {
    /// The newest snapshot there is, whether it may be relied on or not: the gate judges that.
    pub fn held(&self) -> Option<Rc<Snapshot>> {
        self.snapshot.borrow().clone()
    }

    /// What a request at `now` does before it is judged. Whoever is told to read has the claim, and
    /// ends it by [`Knowledge::refresh`].
    ///
    /// `store_is_away` is what the circuit breaker says: then nobody waits for the store as long as
    /// there is something to rely on.
    pub fn prepare(&self, policy: &Policy, store_is_away: bool, now: UnixTime) -> Preparation {
        let held = self.held();
        let freshness = held.map(|held| held.freshness(policy, now));
        match freshness {
            Some(Freshness::Fresh) => Preparation::Nothing,
            Some(Freshness::Due) => self.read_behind(now),
            Some(Freshness::Late) if store_is_away => self.read_behind(now),
            Some(Freshness::Late | Freshness::Spent) | None => {
                match self.claim.borrow_mut().take(now) {
                    // Whoever finds the claim taken reads for itself: the other's reading is out of
                    // reach, and what is held is too old.
                    Claimed::Yours | Claimed::Reading => Preparation::ReadFirst,
                    Claimed::Failed => Preparation::Nothing,
                }
            }
        }
    }

    fn read_behind(&self, now: UnixTime) -> Preparation {
        match self.claim.borrow_mut().take(now) {
            Claimed::Yours => Preparation::ReadBehind,
            Claimed::Reading | Claimed::Failed => Preparation::Nothing,
        }
    }

    /// What a request at `now` does whose token names a key that `world` lacks. The keys are read
    /// for its sake a while after they were read or tried to, so that made-up names cost nothing.
    pub fn lacks_key(&self, world: &Snapshot, now: UnixTime) -> UnknownKey {
        if self.key_claim.borrow().is_reading(now) {
            return UnknownKey::IsOpen;
        }
        let asked_at = self.keys_tried_at.get().max(world.keys_read_at());
        if now.since(asked_at) < UNKNOWN_KEY_COOLDOWN {
            return UnknownKey::IsNone;
        }
        self.keys_tried_at.set(now);
        match self.key_claim.borrow_mut().take(now) {
            Claimed::Yours => UnknownKey::Read,
            Claimed::Reading | Claimed::Failed => UnknownKey::IsOpen,
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
        shelf: &impl Shelf,
        clock: &impl Clock,
    ) -> Result<(), StoreError> {
        let read = self.read(policy, keys, began_at, store, shelf).await;
        let whole = read.and_then(|followed| {
            self.keep(followed.snapshot, clock.now());
            followed.keys_error.map_or(Ok(()), Err)
        });
        let claim = match keys {
            Keys::WhenDue => &self.claim,
            Keys::Now => &self.key_claim,
        };
        match whole {
            Ok(()) => claim.borrow_mut().release(),
            Err(_) => claim.borrow_mut().fail(clock.now()),
        }
        whole
    }

    async fn read(
        &self,
        policy: &Policy,
        keys: Keys,
        began_at: UnixTime,
        store: &(impl KeyStore + RevocationStore + PackStore),
        shelf: &impl Shelf,
    ) -> Result<Followed, StoreError> {
        // What a clock that was set back makes of its age cannot be followed.
        match self.held().filter(|held| !held.is_ahead_of(began_at)) {
            Some(held) => {
                let previous = Snapshot::clone(&held);
                snapshot::follow(policy, previous, keys, store, shelf, began_at).await
            }
            None => Ok(Followed {
                snapshot: snapshot::read(policy, store, shelf, began_at).await?,
                keys_error: None,
            }),
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
