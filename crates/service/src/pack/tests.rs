//! How spans grow, end and follow each other.

use super::*;
use crate::feed::tests::{World, token};

const MINUTE: u64 = 60;

fn spans(world: &World) -> Vec<(u64, u64, u64)> {
    let directory = world.directory.borrow();
    let told = |span: &Packed| (span.from.as_secs(), span.to.as_secs(), span.names);
    directory.packed().iter().map(told).collect()
}

#[test]
fn a_first_round_goes_back_as_far_as_a_token_can_be_old() {
    let world = World::default();
    assert_eq!(world.pack(10_030), Outcome::Done { names: 0 });
    // 600 s and 60 s of leeway, 2 s of skew and 4 s of overlap.
    assert_eq!(spans(&world), [(9_360, 10_020, 0)]);
    assert_eq!(world.pack(10_030), Outcome::Done { names: 0 });
    assert_eq!(world.directory.borrow().version(), 1);
}

#[test]
fn a_minute_is_packed_four_seconds_after_its_end_and_not_before() {
    let world = World::default();
    world.pack(10_030);
    world.revoke(10_079, "t1", 11_000);
    assert_eq!(world.pack(10_083), Outcome::Done { names: 0 });
    assert_eq!(world.pack(10_084), Outcome::Done { names: 1 });
    assert_eq!(spans(&world), [(9_360, 10_080, 1)]);
    assert!(world.knows(10_084).contains(token("t1")));
}

#[test]
fn spans_grow_to_an_hour_and_follow_each_other_without_a_gap() {
    let world = World::default();
    let mut now = 36_030;
    for round in 0..150 {
        world.revoke(now, &format!("t{round}"), now + 662);
        now += MINUTE;
        world.pack(now);
    }
    let spans = spans(&world);
    assert!(spans.iter().all(|(from, to, _)| to - from <= 3_600));
    assert!(spans.windows(2).all(|pair| pair[0].1 == pair[1].0));
    assert_eq!(spans.len(), 3, "{spans:?}");
}

#[test]
fn after_a_rest_of_more_than_a_day_it_begins_anew() {
    let world = World::default();
    world.revoke(9_990, "t1", 10_700);
    world.pack(10_030);
    let rested = 10_030 + 86_400;
    world.revoke(rested - 100, "t2", rested + 600);
    assert_eq!(world.pack(rested), Outcome::Done { names: 1 });
    assert_eq!(spans(&world)[0].0, 9_360 + 86_400);
    assert_eq!(world.directory.borrow().version(), 2);
    assert!(world.knows(rested).contains(token("t2")));
}

#[test]
fn hours_that_were_missed_become_spans_of_an_hour() {
    let world = World::default();
    world.pack(10_030);
    world.pack(10_030 + 3 * 3_600);
    let lengths: Vec<_> = spans(&world)
        .iter()
        .map(|(from, to, _)| to - from)
        .collect();
    assert_eq!(lengths, [660, 3_600, 3_600, 3_600]);
}

#[test]
fn a_pack_that_cannot_be_read_is_left_to_its_rows_and_a_new_span_begins() {
    let world = World::default();
    world.revoke(9_990, "t1", 10_700);
    world.pack(10_030);
    for bytes in world.packs.borrow_mut().values_mut() {
        bytes.pop();
    }
    world.revoke(10_050, "t2", 10_700);
    assert_eq!(world.pack(10_090), Outcome::Done { names: 1 });
    assert_eq!(spans(&world), [(9_360, 10_020, 1), (10_020, 10_080, 1)]);
    let known = world.knows(10_090);
    assert!(known.contains(token("t1")) && known.contains(token("t2")));
}

#[test]
fn of_two_hosts_one_is_overtaken_and_a_failing_store_is_an_error() {
    let world = World::default();
    world.overtaken.set(true);
    assert_eq!(world.pack(10_030), Outcome::Overtaken);
    world.overtaken.set(false);
    world.directory_fails.set(true);
    let id = Id::parse("r1").expect("an id");
    let round = pack(&world, MAX_LEEWAY, UnixTime::from_secs(10_030), &id);
    assert!(crate::test_support::ready(round).is_err());
    assert!(spans(&world).is_empty());
}
