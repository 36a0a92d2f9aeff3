//! Which request refreshes and when, and what remains after a failed or aborted refresh.

use core::time::Duration;

use portcullis_core::route::Access;
use portcullis_core::snapshot::{LEASE_DURATION, RETRY_INTERVAL};

use super::*;
use crate::ports::NoCache;
use crate::snapshot::tests::{Fixture, at, policy};
use crate::test_support::ready;

const COLD: u64 = 10_000;

/// A clock that stands still.
struct At(u64);

impl Clock for At {
    fn now(&self) -> UnixTime {
        at(self.0)
    }
}

const NEED: Requirement = Requirement::new(Access::Token);

fn prepare(knowledge: &SnapshotCache, now: u64) -> RefreshPlan {
    knowledge.plan(&Gate::new(policy()), &NEED, false, at(now))
}

/// The same while the breaker is open.
fn prepare_without(knowledge: &SnapshotCache, requirement: &Requirement, now: u64) -> RefreshPlan {
    knowledge.plan(&Gate::new(policy()), requirement, true, at(now))
}

fn read(
    knowledge: &SnapshotCache,
    keys: Keys,
    snapshot: &Fixture,
    now: u64,
) -> Result<(), StoreError> {
    let (policy, clock) = (policy(), At(now));
    ready(knowledge.refresh(&policy, keys, at(now), snapshot, &NoCache, &clock))
}

/// A cache that read everything at [`COLD`].
fn warm() -> SnapshotCache {
    let knowledge = SnapshotCache::default();
    assert_eq!(prepare(&knowledge, COLD), RefreshPlan::RefreshFirst);
    read(&knowledge, Keys::WhenDue, &Fixture::default(), COLD).expect("all there");
    knowledge
}

#[test]
fn one_request_refreshes_a_cold_isolate_and_the_others_wait_until_its_lease_ends() {
    let knowledge = SnapshotCache::default();
    assert!(knowledge.current().is_none());
    // The first request is aborted.
    assert_eq!(prepare(&knowledge, COLD), RefreshPlan::RefreshFirst);
    let ends = COLD + LEASE_DURATION.as_secs();
    for now in [COLD, ends - 1] {
        assert_eq!(
            prepare(&knowledge, now),
            RefreshPlan::WaitForOther(MAX_POLLS_WITHOUT_SNAPSHOT)
        );
    }
    assert!(POLL_INTERVAL * MAX_POLLS_WITHOUT_SNAPSHOT > LEASE_DURATION + Duration::from_secs(1));
    assert_eq!(prepare(&knowledge, ends), RefreshPlan::RefreshFirst);
    read(&knowledge, Keys::WhenDue, &Fixture::default(), ends).expect("all there");
    assert_eq!(prepare(&knowledge, ends + 4), RefreshPlan::UseCurrent);
}

#[test]
fn a_due_snapshot_is_refreshed_in_the_background_and_a_late_one_before_the_response() {
    let knowledge = warm();
    assert_eq!(
        prepare(&knowledge, COLD + 6),
        RefreshPlan::RefreshInBackground
    );
    assert_eq!(prepare(&knowledge, COLD + 6), RefreshPlan::UseCurrent);
    // The holder of the lease was aborted, and the snapshot is late now.
    assert_eq!(prepare(&knowledge, COLD + 12), RefreshPlan::RefreshFirst);
    // Other requests have a usable snapshot and wait only briefly.
    let few = RefreshPlan::WaitForOther(MAX_POLLS_WITH_SNAPSHOT);
    assert_eq!(prepare(&knowledge, COLD + 12), few);
    read(&knowledge, Keys::WhenDue, &Fixture::default(), COLD + 13).expect("all there");
    assert_eq!(prepare(&knowledge, COLD + 13), RefreshPlan::UseCurrent);
}

#[test]
fn the_lease_of_an_aborted_refresh_is_free_after_its_deadline() {
    let knowledge = warm();
    assert_eq!(
        prepare(&knowledge, COLD + 5),
        RefreshPlan::RefreshInBackground
    );
    let freed = COLD + 5 + LEASE_DURATION.as_secs();
    let away = prepare_without(&knowledge, &NEED, freed - 1);
    assert_eq!(away, RefreshPlan::UseCurrent);
    let away = prepare_without(&knowledge, &NEED, freed + 1);
    assert_eq!(away, RefreshPlan::RefreshInBackground);
}

#[test]
fn no_request_waits_for_an_unavailable_store_while_a_stale_snapshot_is_usable() {
    let knowledge = warm();
    let late = prepare_without(&knowledge, &NEED, COLD + 20);
    assert_eq!(late, RefreshPlan::RefreshInBackground);
    knowledge.lease.borrow_mut().release();
    // After the hard bound a request waits for the whole lease, unless the route allows a stale
    // snapshot.
    let spent = prepare_without(&knowledge, &NEED, COLD + 60);
    assert_eq!(spent, RefreshPlan::RefreshFirst);
    knowledge.lease.borrow_mut().release();
    let patient = Requirement {
        serve_stale: Some(Duration::from_secs(60)),
        ..NEED
    };
    for (now, does) in [
        (COLD + 60, RefreshPlan::RefreshInBackground),
        (COLD + 61, RefreshPlan::RefreshFirst),
    ] {
        assert_eq!(prepare_without(&knowledge, &patient, now), does, "{now}");
        knowledge.lease.borrow_mut().release();
    }
}

#[test]
fn a_failed_refresh_is_retried_only_after_a_delay_and_keeps_the_snapshot() {
    let knowledge = warm();
    let broken = Fixture {
        feed_fails: true,
        ..Fixture::default()
    };
    assert_eq!(prepare(&knowledge, COLD + 12), RefreshPlan::RefreshFirst);
    assert!(read(&knowledge, Keys::WhenDue, &broken, COLD + 12).is_err());
    assert_eq!(prepare(&knowledge, COLD + 12), RefreshPlan::UseCurrent);
    let held = knowledge.current().expect("the kept snapshot");
    assert_eq!(held.revocations_read_at(), at(COLD));
    let retry = COLD + 12 + RETRY_INTERVAL.as_secs();
    assert_eq!(prepare(&knowledge, retry), RefreshPlan::RefreshFirst);
}

#[test]
fn unreadable_keys_are_an_error_and_the_feed_is_kept() {
    let knowledge = warm();
    let broken = Fixture {
        keys_fail: true,
        ..Fixture::default()
    };
    assert!(read(&knowledge, Keys::Now, &broken, COLD + 20).is_err());
    let held = knowledge.current().expect("the kept snapshot");
    assert_eq!(
        (held.keys_read_at(), held.revocations_read_at()),
        (at(COLD), at(COLD + 20))
    );
}

#[test]
fn an_unknown_kid_triggers_one_refresh_per_cooldown_and_no_denial_while_it_runs() {
    use UnknownKey::{Newer, NoSuchKey, Read, Undetermined, Wait};
    let knowledge = warm();
    let snapshot = knowledge.current().expect("warm");
    let cool = UNKNOWN_KEY_COOLDOWN.as_secs();
    let lacks = |now| knowledge.on_unknown_key(&snapshot, at(now));
    assert!(matches!(lacks(COLD + cool - 1), NoSuchKey));
    assert!(matches!(lacks(COLD + cool), Read));
    // One request reads, and the others poll.
    assert!(matches!(lacks(COLD + cool), Wait));
    read(&knowledge, Keys::Now, &Fixture::default(), COLD + cool).expect("all there");
    // A request that was decided before the read is decided again, and then the key does not exist.
    let Newer(newer) = lacks(COLD + cool + 1) else {
        panic!("read meanwhile");
    };
    let lacks = |now| knowledge.on_unknown_key(&newer, at(now));
    assert!(matches!(lacks(COLD + cool + 1), NoSuchKey));
    // After a failed read the key may still exist, and the read is retried soon.
    assert!(matches!(lacks(COLD + 2 * cool), Read));
    let broken = Fixture {
        keys_fail: true,
        ..Fixture::default()
    };
    assert!(read(&knowledge, Keys::Now, &broken, COLD + 2 * cool).is_err());
    assert!(matches!(lacks(COLD + 2 * cool), Undetermined));
    let retry = COLD + 2 * cool + RETRY_INTERVAL.as_secs();
    assert!(matches!(lacks(retry), Read));
}

#[test]
fn a_clock_that_was_set_back_expires_the_snapshot() {
    let knowledge = warm();
    let earlier = COLD - 3_600;
    read(&knowledge, Keys::WhenDue, &Fixture::default(), earlier).expect("all there");
    let held = knowledge.current().expect("read again");
    assert_eq!(held.revocations_read_at(), at(earlier));
    assert!(at(COLD).since(at(earlier)) > Duration::from_secs(60));
}
