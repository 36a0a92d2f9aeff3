//! Who reads when, and what stays when a reading fails or vanishes.

use core::time::Duration;

use portcullis_core::route::{Access, RevocationMode};
use portcullis_core::snapshot::{LEASE_DURATION, RETRY_INTERVAL};

use super::*;
use crate::ports::NoCache;
use crate::snapshot::tests::{World, at, policy};
use crate::test_support::ready;

const COLD: u64 = 10_000;

/// A clock that stands.
struct At(u64);

impl Clock for At {
    fn now(&self) -> UnixTime {
        at(self.0)
    }
}

const NEED: Requirement = Requirement {
    access: Access::Token,
    scopes: Vec::new(),
    serve_stale: None,
    revocation: RevocationMode::Feed,
};

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
    snapshot: &World,
    now: u64,
) -> Result<(), StoreError> {
    let (policy, clock) = (policy(), At(now));
    ready(knowledge.refresh(&policy, keys, at(now), snapshot, &NoCache, &clock))
}

/// What has read everything at [`COLD`].
fn warm() -> SnapshotCache {
    let knowledge = SnapshotCache::default();
    assert_eq!(prepare(&knowledge, COLD), RefreshPlan::RefreshFirst);
    read(&knowledge, Keys::WhenDue, &World::default(), COLD).expect("all there");
    knowledge
}

#[test]
fn a_cold_isolate_is_read_for_by_one_and_the_others_look_again_until_its_claim_ends() {
    let knowledge = SnapshotCache::default();
    assert!(knowledge.current().is_none());
    // The first to come vanishes.
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
    read(&knowledge, Keys::WhenDue, &World::default(), ends).expect("all there");
    assert_eq!(prepare(&knowledge, ends + 4), RefreshPlan::UseCurrent);
}

#[test]
fn what_is_due_is_read_behind_one_answer_and_what_is_late_before_it() {
    let knowledge = warm();
    assert_eq!(
        prepare(&knowledge, COLD + 6),
        RefreshPlan::RefreshInBackground
    );
    assert_eq!(prepare(&knowledge, COLD + 6), RefreshPlan::UseCurrent);
    // Whoever had the claim has vanished, and it is late by now.
    assert_eq!(prepare(&knowledge, COLD + 12), RefreshPlan::RefreshFirst);
    // Others could do with what there is, and wait for that only a little.
    let few = RefreshPlan::WaitForOther(MAX_POLLS_WITH_SNAPSHOT);
    assert_eq!(prepare(&knowledge, COLD + 12), few);
    read(&knowledge, Keys::WhenDue, &World::default(), COLD + 13).expect("all there");
    assert_eq!(prepare(&knowledge, COLD + 13), RefreshPlan::UseCurrent);
}

#[test]
fn a_claim_whose_holder_vanished_is_free_again_after_its_time() {
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
fn a_store_that_is_away_is_not_waited_for_while_there_is_something_to_rely_on() {
    let knowledge = warm();
    let late = prepare_without(&knowledge, &NEED, COLD + 20);
    assert_eq!(late, RefreshPlan::RefreshInBackground);
    knowledge.lease.borrow_mut().release();
    // Past the hard bound there is nothing left to lose by waiting, unless the route says otherwise.
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
fn a_reading_that_failed_is_not_repeated_at_once_and_costs_nothing_that_was_known() {
    let knowledge = warm();
    let broken = World {
        feed_fails: true,
        ..World::default()
    };
    assert_eq!(prepare(&knowledge, COLD + 12), RefreshPlan::RefreshFirst);
    assert!(read(&knowledge, Keys::WhenDue, &broken, COLD + 12).is_err());
    assert_eq!(prepare(&knowledge, COLD + 12), RefreshPlan::UseCurrent);
    let held = knowledge.current().expect("what was known");
    assert_eq!(held.revocations_read_at(), at(COLD));
    let retry = COLD + 12 + RETRY_INTERVAL.as_secs();
    assert_eq!(prepare(&knowledge, retry), RefreshPlan::RefreshFirst);
}

#[test]
fn keys_that_cannot_be_read_are_an_error_and_the_feed_is_kept() {
    let knowledge = warm();
    let broken = World {
        keys_fail: true,
        ..World::default()
    };
    assert!(read(&knowledge, Keys::Now, &broken, COLD + 20).is_err());
    let held = knowledge.current().expect("what was known");
    assert_eq!(
        (held.keys_read_at(), held.revocations_read_at()),
        (at(COLD), at(COLD + 20))
    );
}

#[test]
fn made_up_keys_cost_one_reading_and_a_key_on_its_way_is_no_refusal() {
    use UnknownKey::{Newer, NoSuchKey, Read, Undetermined, Wait};
    let knowledge = warm();
    let snapshot = knowledge.current().expect("warm");
    let cool = UNKNOWN_KEY_COOLDOWN.as_secs();
    let lacks = |now| knowledge.on_unknown_key(&snapshot, at(now));
    assert!(matches!(lacks(COLD + cool - 1), NoSuchKey));
    assert!(matches!(lacks(COLD + cool), Read));
    // The one reads, and the others look again.
    assert!(matches!(lacks(COLD + cool), Wait));
    read(&knowledge, Keys::Now, &World::default(), COLD + cool).expect("all there");
    // Whoever was judged before it ended is judged once more, and then there is no such key.
    let Newer(newer) = lacks(COLD + cool + 1) else {
        panic!("read meanwhile");
    };
    let lacks = |now| knowledge.on_unknown_key(&newer, at(now));
    assert!(matches!(lacks(COLD + cool + 1), NoSuchKey));
    // Where nothing could be read nobody can say so, and it is tried again in a moment.
    assert!(matches!(lacks(COLD + 2 * cool), Read));
    let broken = World {
        keys_fail: true,
        ..World::default()
    };
    assert!(read(&knowledge, Keys::Now, &broken, COLD + 2 * cool).is_err());
    assert!(matches!(lacks(COLD + 2 * cool), Undetermined));
    let retry = COLD + 2 * cool + RETRY_INTERVAL.as_secs();
    assert!(matches!(lacks(retry), Read));
}

#[test]
fn a_clock_that_was_set_back_forgets_what_it_cannot_date() {
    let knowledge = warm();
    let earlier = COLD - 3_600;
    read(&knowledge, Keys::WhenDue, &World::default(), earlier).expect("all there");
    let held = knowledge.current().expect("read anew");
    assert_eq!(held.revocations_read_at(), at(earlier));
    assert!(at(COLD).since(at(earlier)) > Duration::from_secs(60));
}
