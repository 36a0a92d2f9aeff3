//! How spans grow, end and follow each other.

use proptest::prelude::*;

use super::*;
use crate::feed::tests::{World, token};

const MINUTE: u64 = 60;

fn spans(world: &World) -> Vec<(u64, u64, u64)> {
    let directory = world.directory.borrow();
    let told = |span: &PackedSpan| (span.from.as_secs(), span.to.as_secs(), span.names);
    directory.packed().iter().map(told).collect()
}

/// A time with a full day to pack before it.
const LATE: u64 = 864_030;

/// The queries of each run until everything is packed, and the result of each run.
fn rounds_until_done(world: &World, now: u64) -> Vec<u64> {
    let mut rounds = Vec::new();
    loop {
        assert!(rounds.len() < 16, "the runs end");
        match world.pack(now) {
            Outcome::Part { names, .. } => rounds.push(names),
            Outcome::Done { names } => {
                rounds.push(names);
                return rounds;
            }
            end @ (Outcome::Withdrawn { .. } | Outcome::Contended) => panic!("{end:?}"),
        }
    }
}

#[test]
fn a_first_run_starts_with_the_minutes_that_tokens_of_this_host_need() {
    let world = World::default();
    world.revoke(LATE - 30_000, "t1", LATE + 40_000);
    let until = closed_before(UnixTime::from_secs(LATE));
    assert_eq!(world.pack(LATE), Outcome::Part { names: 0, until });
    // 600 s and 60 s of leeway, 2 s of skew and 4 s of overlap.
    let spans = spans(&world);
    assert_eq!(spans.last(), Some(&(LATE - 690, LATE - 30, 0)));
    // One run reads six hours, and at most one hour for one span.
    assert_eq!(spans.first().map(|first| first.0), Some(LATE - 30 - 21_600));
    assert_eq!(spans.len(), 7, "{spans:?}");
    assert!(spans.iter().all(|(from, to, _)| to - from <= 3_600));
}

#[test]
fn further_runs_go_back_as_far_as_any_policy_lets_tokens_live() {
    let world = World::default();
    world.revoke(LATE - 30_000, "t1", LATE + 40_000);
    assert_eq!(rounds_until_done(&world, LATE), [0, 1, 0, 0, 0]);
    // A day, 60 s of leeway, 2 s of skew and 4 s of overlap.
    let packed = spans(&world);
    assert_eq!(packed[0].0, LATE - 86_400 - 90);
    assert!(packed.windows(2).all(|pair| pair[0].1 == pair[1].0));
    // The first run had 49 minutes left for its last step.
    assert_eq!(packed.len(), 26, "{packed:?}");
    let version = world.directory.borrow().version();
    assert_eq!(world.pack(LATE), Outcome::Done { names: 0 });
    assert_eq!(world.directory.borrow().version(), version);
    // After a deletion at any time, five runs restore it.
    world.directory.replace(PackIndex::default());
    assert_eq!(rounds_until_done(&world, LATE), [0, 1, 0, 0, 0]);
    assert_eq!(spans(&world), packed);
}

#[test]
fn an_aborted_run_loses_one_step() {
    let world = World::default();
    world.revoke(LATE - 200, "t1", LATE + 40_000);
    let id = Id::parse("r1").expect("an id");
    let lifetime = Duration::from_secs(600);
    // The latest minutes are packed; the third of the earlier hours fails.
    world.feed_fails_before.set(LATE - 9_000);
    let round = pack(&world, lifetime, UnixTime::from_secs(LATE), &id);
    assert!(crate::test_support::ready(round).is_err());
    let first = [
        (LATE - 690 - 7_200, LATE - 690 - 3_600, 0),
        (LATE - 690 - 3_600, LATE - 690, 0),
        (LATE - 690, LATE - 30, 1),
    ];
    assert_eq!(spans(&world), first);
    world.feed_fails_before.set(0);
    assert_eq!(rounds_until_done(&world, LATE), [0, 0, 0, 0]);
    assert!(spans(&world).ends_with(&first));
}

#[test]
fn at_most_four_minutes_are_held_as_rows() {
    let world = World::default();
    world.pack(LATE);
    world.pack(LATE + 7_200);
    let longest = world.longest_reading();
    assert_eq!(longest, 239, "the last second is included");
}

#[test]
fn a_step_ends_when_its_pack_is_full() {
    let world = World::default();
    world.pack(LATE);
    for minute in 1..=20 {
        for name in 0..30_000 {
            let stamp = LATE + minute * 60;
            world.revoke(stamp, &format!("t{minute}-{name}"), stamp + 9_000);
        }
    }
    let before = spans(&world).len();
    world.pack(LATE + 1_260);
    let grown = spans(&world);
    // Once the limit is reached, at most one more read follows.
    let new = grown.get(before..).unwrap_or_default();
    assert!(new.iter().all(|span| span.2 < 240_000), "{new:?}");
    assert_eq!(new.iter().map(|span| span.2).sum::<u64>() / 1_000, 599);
    let known = world.knows(LATE + 1_260);
    assert!(known.contains(token("t20-29999")) && known.contains(token("t10-1")));
}

/// A packer with a clock that is fast by this many seconds.
fn fast(world: &World, now: u64, fast_by: u64) {
    let _ = world.pack(now.saturating_add(fast_by));
}

#[test]
fn a_span_packed_early_by_a_fast_clock_is_removed_and_packed_again() {
    let world = World::default();
    world.pack(LATE);
    fast(&world, LATE, 60);
    assert_eq!(spans(&world).last().map(|last| last.1), Some(LATE + 30));
    world.revoke(LATE + 10, "t1", LATE + 600);
    assert_eq!(world.pack(LATE + 30), Outcome::Withdrawn { spans: 1 });
    assert!(spans(&world).iter().all(|span| span.1 <= LATE - 30));
    let _ = world.pack(LATE + 34);
    assert!(world.knows(LATE + 34).contains(token("t1")));
    // Two seconds are tolerated.
    let world = World::default();
    fast(&world, LATE + 32, 2);
    assert_eq!(spans(&world).last().map(|last| last.1), Some(LATE + 30));
    assert_ne!(world.pack(LATE + 32), Outcome::Withdrawn { spans: 1 });
    assert_eq!(world.pack(LATE + 31), Outcome::Withdrawn { spans: 1 });
}

proptest! {
    /// After any runs of packers with fast clocks, a run with a correct clock leaves no span beyond
    /// the closed minutes.
    #[test]
    fn after_a_run_with_a_correct_clock_only_closed_minutes_are_packed(
        rounds in prop::collection::vec((0_u64..900, 0_u64..400), 1..8),
        last in 900_u64..1_000,
    ) {
        let world = World::default();
        let mut rounds = rounds;
        rounds.sort_unstable();
        for (now, fast_by) in rounds {
            fast(&world, LATE.saturating_add(now), fast_by);
        }
        let now = LATE.saturating_add(last);
        let closed = closed_before(UnixTime::from_secs(now).plus(CLOCK_SKEW)).as_secs();
        let _ = world.pack(now);
        prop_assert!(spans(&world).iter().all(|span| span.1 <= closed));
    }
}

#[test]
fn a_minute_is_packed_four_seconds_after_its_end_and_not_before() {
    let world = World::default();
    world.pack(10_030);
    world.revoke(10_079, "t1", 11_000);
    assert_eq!(world.pack(10_083), Outcome::Done { names: 0 });
    assert_eq!(world.pack(10_084), Outcome::Done { names: 1 });
    assert_eq!(spans(&world).last(), Some(&(9_360, 10_080, 1)));
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
    let mut spans = spans(&world);
    assert!(spans.iter().all(|(from, to, _)| to - from <= 3_600));
    assert!(spans.windows(2).all(|pair| pair[0].1 == pair[1].0));
    spans.retain(|span| span.1 > 36_000);
    assert_eq!(spans.len(), 3, "{spans:?}");
}

#[test]
fn after_a_pause_of_more_than_six_hours_packing_restarts() {
    for (rest, names, start) in [(21_540, 1, LATE - 690), (21_660, 1, LATE + 21_660 - 690)] {
        let world = World::default();
        world.pack(LATE);
        let rested = LATE + rest;
        world.revoke(rested - 100, "t2", rested + 600);
        let until = closed_before(UnixTime::from_secs(rested));
        assert_eq!(world.pack(rested), Outcome::Part { names, until }, "{rest}");
        let spans = spans(&world);
        assert!(spans.iter().any(|span| span.0 == start), "{spans:?}");
        assert!(world.knows(rested).contains(token("t2")));
    }
}

#[test]
fn missed_hours_become_spans_of_an_hour() {
    let world = World::default();
    world.pack(10_030);
    world.pack(10_030 + 3 * 3_600);
    let spans = spans(&world);
    let lengths: Vec<_> = spans
        .iter()
        .filter(|span| span.1 > 9_360)
        .map(|(from, to, _)| to - from)
        .collect();
    assert_eq!(lengths, [660, 3_600, 3_600, 3_600]);
}

#[test]
fn an_unreadable_pack_is_left_to_its_rows_and_a_new_span_begins() {
    let world = World::default();
    world.revoke(9_990, "t1", 10_700);
    world.pack(10_030);
    for bytes in world.packs.borrow_mut().values_mut() {
        bytes.pop();
    }
    world.revoke(10_050, "t2", 10_700);
    assert_eq!(world.pack(10_090), Outcome::Done { names: 1 });
    assert!(spans(&world).ends_with(&[(9_360, 10_020, 1), (10_020, 10_080, 1)]));
    let known = world.knows(10_090);
    assert!(known.contains(token("t1")) && known.contains(token("t2")));
}

#[test]
fn of_two_concurrent_hosts_one_loses_and_a_failing_store_is_an_error() {
    let world = World::default();
    world.overtaken.set(true);
    assert_eq!(world.pack(10_030), Outcome::Contended);
    world.overtaken.set(false);
    world.directory_fails.set(true);
    let id = Id::parse("r1").expect("an id");
    let round = pack(&world, MAX_LEEWAY, UnixTime::from_secs(10_030), &id);
    assert!(crate::test_support::ready(round).is_err());
    assert!(spans(&world).is_empty());
}
