//! Requests that wait for the refreshes of other requests, and keys that are found, unknown or
//! unreadable.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "test code may stop at the first unexpected value"
)]

use core::cell::{Cell, RefCell};

use portcullis_core::route::Access;
use portcullis_core::token::signature::{SignatureCheck, SignatureVerdict};

use super::*;
use crate::ports::{NoCache, UnusableKey};
use crate::snapshot::tests::{Fixture, at, policy};
use crate::test_support::ready;

/// Verifies nothing: the tests decide by [`Guest::decide`].
struct NoSignature;

impl SignatureVerifier for NoSignature {
    async fn check(&self, _: &SignatureCheck<'_>) -> Result<SignatureVerdict, UnusableKey> {
        Ok(SignatureVerdict::Invalid)
    }
}

const COLD: u64 = 10_000;

/// The denial of a token with a known key: these tests sign nothing.
const JUDGED: Denial = Denial::InsufficientScope;

const NEED: Requirement = Requirement::new(Access::Token);

/// One request of an isolate, and the events while it waits.
struct Guest {
    gate: Gate,
    knowledge: SnapshotCache,
    store: Fixture,
    millis: Cell<u64>,
    away: bool,
    sleeps: Cell<u32>,
    reads: RefCell<Vec<Keys>>,
    /// The sleep at which another request's refresh completes, and the parts it refreshed.
    other_ends: Option<(u32, Keys)>,
    /// The age of the keys, in seconds, from which on they include the token's key.
    key_since: u64,
}

impl Guest {
    fn at(now: u64) -> Self {
        Self {
            gate: Gate::new(policy()),
            knowledge: SnapshotCache::default(),
            store: Fixture::default(),
            millis: Cell::new(now * 1_000),
            away: false,
            sleeps: Cell::default(),
            reads: RefCell::default(),
            other_ends: None,
            key_since: 0,
        }
    }

    /// A request to an isolate that read the keys at [`COLD`] and the feed at `now`.
    fn current(now: u64, with: impl FnOnce(Self) -> Self) -> Self {
        let guest = Self::warm(now);
        ready(guest.refresh(Keys::WhenDue, at(now)));
        with(guest)
    }

    /// A request to an isolate that read keys and feed at [`COLD`].
    fn warm(now: u64) -> Self {
        let guest = Self::at(COLD);
        ready(guest.refresh(Keys::WhenDue, at(COLD)));
        guest.millis.set(now * 1_000);
        guest
    }

    async fn refresh(&self, keys: Keys, began_at: UnixTime) {
        let (policy, store) = (self.gate.policy(), &self.store);
        let read = self
            .knowledge
            .refresh(policy, keys, began_at, store, &NoCache, self);
        let _ = read.await;
    }

    /// The decision on a token with a key known from [`Guest::key_since`] on.
    fn decide(&self, snapshot: &Snapshot) -> Result<Verified<Claims>, Denial> {
        self.gate.check_staleness(&NEED, snapshot, self.now())?;
        Err(if snapshot.keys_read_at() < at(self.key_since) {
            Denial::UnknownKey
        } else {
            JUDGED
        })
    }

    fn admitted(&self) -> (Denial, u32, usize) {
        let requirement = NEED;
        let decided =
            by_usable_snapshot(self, &requirement, async |snapshot| self.decide(snapshot));
        let denial = ready(decided).expect_err("these tests sign no token");
        (denial, self.sleeps.get(), self.reads.borrow().len())
    }
}

impl Clock for Guest {
    fn now(&self) -> UnixTime {
        at(self.millis.get() / 1_000)
    }
}

impl Lookup for Guest {
    async fn look_up(
        &self,
        _: &Requirement,
        _: &Snapshot,
        _: TokenIds<'_>,
    ) -> Result<Revocations, StoreError> {
        Ok(Revocations::default())
    }
}

impl EdgeRequest for Guest {
    fn gate(&self) -> &Gate {
        &self.gate
    }
    fn snapshot_cache(&self) -> &SnapshotCache {
        &self.knowledge
    }
    fn signatures(&self) -> &impl SignatureVerifier {
        &NoSignature
    }
    fn store_unavailable(&self) -> bool {
        self.away
    }
    async fn sleep(&self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).expect("short");
        self.millis.set(self.millis.get() + millis);
        self.sleeps.set(self.sleeps.get() + 1);
        if let Some((after, keys)) = self.other_ends
            && after == self.sleeps.get()
        {
            self.refresh(keys, self.now()).await;
        }
    }
    async fn refresh(&self, keys: Keys, began_at: UnixTime) {
        self.reads.borrow_mut().push(keys);
        self.refresh(keys, began_at).await;
    }
    fn refresh_in_background(&self, _: UnixTime) {
        self.reads.borrow_mut().push(Keys::WhenDue);
    }
    fn on_authorized(&self, _: &Requirement, _: &Snapshot) {}
}

#[test]
fn a_request_on_a_cold_isolate_waits_for_the_refresh_of_another_request() {
    let guest = Guest {
        other_ends: Some((3, Keys::WhenDue)),
        ..Guest::at(COLD)
    };
    let first = guest.knowledge.plan(&guest.gate, &NEED, false, at(COLD));
    assert_eq!(first, RefreshPlan::RefreshFirst);
    assert_eq!(guest.admitted(), (JUDGED, 3, 0));
}

#[test]
fn a_request_takes_over_the_refresh_when_the_lease_of_an_aborted_reader_expires() {
    let guest = Guest::at(COLD);
    let first = guest.knowledge.plan(&guest.gate, &NEED, false, at(COLD));
    assert_eq!(first, RefreshPlan::RefreshFirst);
    let five_seconds = 5_000 / 25;
    assert_eq!(guest.admitted(), (JUDGED, five_seconds, 1));
}

#[test]
fn a_request_with_a_usable_stale_snapshot_waits_only_briefly_for_a_refresh() {
    let guest = Guest::warm(COLD + 12);
    let now = at(COLD + 12);
    let first = guest.knowledge.plan(&guest.gate, &NEED, false, now);
    assert_eq!(first, RefreshPlan::RefreshFirst);
    assert_eq!(guest.admitted(), (JUDGED, MAX_POLLS_WITH_SNAPSHOT, 0));
    let held = guest.knowledge.current().expect("warm");
    assert_eq!(held.revocations_read_at(), at(COLD));
}

#[test]
fn a_failed_refresh_of_a_cold_isolate_fails_closed() {
    let guest = Guest {
        store: Fixture {
            feed_fails: true,
            ..Fixture::default()
        },
        ..Guest::at(COLD)
    };
    assert_eq!(guest.admitted(), (Denial::StaleSnapshot, 0, 1));
    // The next request within the same second reads nothing either.
    assert_eq!(guest.admitted(), (Denial::StaleSnapshot, 0, 1));
}

#[test]
fn an_unknown_kid_triggers_one_refresh_and_concurrent_requests_use_its_keys() {
    let now = COLD + 20;
    let alone = Guest::current(now, |guest| Guest {
        key_since: now,
        ..guest
    });
    assert_eq!(alone.admitted(), (JUDGED, 0, 1));
    assert_eq!(*alone.reads.borrow(), [Keys::Now]);

    let second = Guest::current(now, |guest| Guest {
        key_since: now,
        other_ends: Some((2, Keys::Now)),
        ..guest
    });
    let snapshot = second.knowledge.current().expect("warm");
    let first = second.knowledge.on_unknown_key(&snapshot, at(now));
    assert!(matches!(first, UnknownKey::Read));
    assert_eq!(second.admitted(), (JUDGED, 2, 0));
}

#[test]
fn an_unreadable_key_set_is_no_invalid_token_and_an_unknown_kid_is() {
    let now = COLD + 20;
    let guest = |keys_fail| {
        let store = Fixture {
            keys_fail,
            ..Fixture::default()
        };
        Guest::current(now, |guest| Guest {
            key_since: u64::MAX,
            store,
            ..guest
        })
    };
    let there_is_none = guest(false);
    for _ in 0..2 {
        assert_eq!(there_is_none.admitted(), (Denial::UnknownKey, 0, 1));
    }
    let cannot_be_read = guest(true);
    for _ in 0..2 {
        assert_eq!(cannot_be_read.admitted(), (Denial::StaleSnapshot, 0, 1));
    }
    // A request took the lease and was aborted.
    let stuck = guest(false);
    let snapshot = stuck.knowledge.current().expect("warm");
    let first = stuck.knowledge.on_unknown_key(&snapshot, at(now));
    assert!(matches!(first, UnknownKey::Read));
    assert_eq!(
        stuck.admitted(),
        (Denial::StaleSnapshot, MAX_POLLS_WITH_SNAPSHOT, 0)
    );
}
