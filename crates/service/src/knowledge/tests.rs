//! Who reads when, and what stays when a reading fails or vanishes.

use core::time::Duration;

use portcullis_core::snapshot::{CLAIM_LIFETIME, RETRY_INTERVAL};

use super::*;
use crate::ports::NoShelf;
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

fn prepare(knowledge: &Knowledge, now: u64) -> Preparation {
    knowledge.prepare(&policy(), false, at(now))
}

fn read(knowledge: &Knowledge, keys: Keys, world: &World, now: u64) -> Result<(), StoreError> {
    let (policy, clock) = (policy(), At(now));
    ready(knowledge.refresh(&policy, keys, at(now), world, &NoShelf, &clock))
}

/// What has read everything at [`COLD`].
fn warm() -> Knowledge {
    let knowledge = Knowledge::default();
    assert_eq!(prepare(&knowledge, COLD), Preparation::ReadFirst);
    read(&knowledge, Keys::WhenDue, &World::default(), COLD).expect("all there");
    knowledge
}

#[test]
fn a_cold_isolate_reads_first_and_so_does_everybody_who_comes_meanwhile() {
    let knowledge = Knowledge::default();
    assert!(knowledge.held().is_none());
    // The first to come vanishes, and nobody waits for it.
    for _ in 0..3 {
        assert_eq!(prepare(&knowledge, COLD), Preparation::ReadFirst);
    }
    read(&knowledge, Keys::WhenDue, &World::default(), COLD).expect("all there");
    assert_eq!(prepare(&knowledge, COLD + 4), Preparation::Nothing);
}

#[test]
fn what_is_due_is_read_behind_one_answer_and_what_is_late_before_each() {
    let knowledge = warm();
    assert_eq!(prepare(&knowledge, COLD + 6), Preparation::ReadBehind);
    assert_eq!(prepare(&knowledge, COLD + 6), Preparation::Nothing);
    // Whoever had the claim has vanished, and it is late by now.
    assert_eq!(prepare(&knowledge, COLD + 12), Preparation::ReadFirst);
    assert_eq!(prepare(&knowledge, COLD + 12), Preparation::ReadFirst);
}

#[test]
fn a_claim_whose_holder_vanished_is_free_again_after_its_time() {
    let knowledge = warm();
    assert_eq!(prepare(&knowledge, COLD + 5), Preparation::ReadBehind);
    let freed = COLD + 5 + CLAIM_LIFETIME.as_secs();
    let away = knowledge.prepare(&policy(), true, at(freed - 1));
    assert_eq!(away, Preparation::Nothing);
    let away = knowledge.prepare(&policy(), true, at(freed + 1));
    assert_eq!(away, Preparation::ReadBehind);
}

#[test]
fn a_store_that_is_away_is_not_waited_for_while_there_is_something_to_rely_on() {
    let knowledge = warm();
    let away = |now| knowledge.prepare(&policy(), true, at(now));
    assert_eq!(away(COLD + 20), Preparation::ReadBehind);
    // Past the hard bound there is nothing left to lose by waiting.
    assert_eq!(away(COLD + 60), Preparation::ReadFirst);
}

#[test]
fn a_reading_that_failed_is_not_repeated_at_once_and_costs_nothing_that_was_known() {
    let knowledge = warm();
    let broken = World {
        feed_fails: true,
        ..World::default()
    };
    assert_eq!(prepare(&knowledge, COLD + 12), Preparation::ReadFirst);
    assert!(read(&knowledge, Keys::WhenDue, &broken, COLD + 12).is_err());
    assert_eq!(prepare(&knowledge, COLD + 12), Preparation::Nothing);
    let held = knowledge.held().expect("what was known");
    assert_eq!(held.revocations_read_at(), at(COLD));
    let retry = COLD + 12 + RETRY_INTERVAL.as_secs();
    assert_eq!(prepare(&knowledge, retry), Preparation::ReadFirst);
}

#[test]
fn keys_that_cannot_be_read_are_an_error_and_the_feed_is_kept() {
    let knowledge = warm();
    let broken = World {
        keys_fail: true,
        ..World::default()
    };
    assert!(read(&knowledge, Keys::Now, &broken, COLD + 20).is_err());
    let held = knowledge.held().expect("what was known");
    assert_eq!(
        (held.keys_read_at(), held.revocations_read_at()),
        (at(COLD), at(COLD + 20))
    );
}

#[test]
fn made_up_keys_cost_one_reading_and_a_key_on_its_way_is_no_refusal() {
    let knowledge = warm();
    let world = knowledge.held().expect("warm");
    let cool = UNKNOWN_KEY_COOLDOWN.as_secs();
    let lacks = |now| knowledge.lacks_key(&world, at(now));
    assert_eq!(lacks(COLD + cool - 1), UnknownKey::IsNone);
    assert_eq!(lacks(COLD + cool), UnknownKey::Read);
    // The one reads; to the others it is open until that has ended.
    assert_eq!(lacks(COLD + cool), UnknownKey::IsOpen);
    read(&knowledge, Keys::Now, &World::default(), COLD + cool).expect("all there");
    assert_eq!(lacks(COLD + cool + 1), UnknownKey::IsNone);
    // The same where nothing could be read, and it is tried again after the same time.
    assert_eq!(lacks(COLD + 2 * cool), UnknownKey::Read);
    let broken = World {
        keys_fail: true,
        ..World::default()
    };
    assert!(read(&knowledge, Keys::Now, &broken, COLD + 2 * cool).is_err());
    assert_eq!(lacks(COLD + 2 * cool + 1), UnknownKey::IsNone);
}

#[test]
fn a_clock_that_was_set_back_forgets_what_it_cannot_date() {
    let knowledge = warm();
    let earlier = COLD - 3_600;
    read(&knowledge, Keys::WhenDue, &World::default(), earlier).expect("all there");
    let held = knowledge.held().expect("read anew");
    assert_eq!(held.revocations_read_at(), at(earlier));
    assert!(at(COLD).since(at(earlier)) > Duration::from_secs(60));
}
