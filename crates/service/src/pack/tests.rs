//! How spans grow, end and follow each other.

use proptest::prelude::*;

use super::*;
use crate::feed::tests::{Fixture, token};

const MINUTE: u64 = 60;

fn spans(fixture: &Fixture) -> Vec<(u64, u64, u64)> {
    let directory = fixture.directory.borrow();
    let reported = |span: &PackedSpan| (span.from.as_secs(), span.to.as_secs(), span.names);
    directory.packed().iter().map(reported).collect()
}

/// A time with a full day to pack before it.
const LATE: u64 = 864_030;

/// The queries of each run until everything is packed, and the result of each run.
fn rounds_until_done(fixture: &Fixture, now: u64) -> Vec<u64> {
    let mut rounds = Vec::new();
    loop {
        assert!(rounds.len() < 16, "the runs end");
        match fixture.pack(now) {
            PackOutcome::Part { names, .. } => rounds.push(names),
            PackOutcome::Done { names } => {
                rounds.push(names);
                return rounds;
            }
            end @ (PackOutcome::Withdrawn { .. } | PackOutcome::Contended) => panic!("{end:?}"),
        }
    }
}

#[test]
fn a_first_run_starts_with_the_minutes_that_tokens_of_this_host_need() {
    let fixture = Fixture::default();
    fixture.revoke(LATE - 30_000, "t1", LATE + 40_000);
    let until = closed_before(UnixTime::from_secs(LATE));
    assert_eq!(fixture.pack(LATE), PackOutcome::Part { names: 0, until });
    // 600 s and 60 s of leeway, 2 s of skew and 4 s of overlap.
    let spans = spans(&fixture);
    assert_eq!(spans.last(), Some(&(LATE - 690, LATE - 30, 0)));
    // One run reads six hours, and at most one hour for one span.
    assert_eq!(spans.first().map(|first| first.0), Some(LATE - 30 - 21_600));
    assert_eq!(spans.len(), 7, "{spans:?}");
    assert!(spans.iter().all(|(from, to, _)| to - from <= 3_600));
}

#[test]
fn further_runs_go_back_as_far_as_any_policy_lets_tokens_live() {
    let fixture = Fixture::default();
    fixture.revoke(LATE - 30_000, "t1", LATE + 40_000);
    assert_eq!(rounds_until_done(&fixture, LATE), [0, 1, 0, 0, 0]);
    // A day, 60 s of leeway, 2 s of skew and 4 s of overlap.
    let packed = spans(&fixture);
    assert_eq!(packed[0].0, LATE - 86_400 - 90);
    assert!(packed.windows(2).all(|pair| pair[0].1 == pair[1].0));
    // The first run had 49 minutes left for its last step.
    assert_eq!(packed.len(), 26, "{packed:?}");
    let version = fixture.directory.borrow().version();
    assert_eq!(fixture.pack(LATE), PackOutcome::Done { names: 0 });
    assert_eq!(fixture.directory.borrow().version(), version);
    // After a deletion at any time, five runs restore it.
    fixture.directory.replace(PackIndex::default());
    assert_eq!(rounds_until_done(&fixture, LATE), [0, 1, 0, 0, 0]);
    assert_eq!(spans(&fixture), packed);
}

#[test]
fn an_aborted_run_loses_one_step() {
    let fixture = Fixture::default();
    fixture.revoke(LATE - 200, "t1", LATE + 40_000);
    let id = Id::parse("r1").expect("an id");
    let lifetime = Duration::from_secs(600);
    // The latest minutes are packed; the third of the earlier hours fails.
    fixture.feed_fails_before.set(LATE - 9_000);
    let round = pack(&fixture, lifetime, UnixTime::from_secs(LATE), &id);
    assert!(crate::test_support::ready(round).is_err());
    let first = [
        (LATE - 690 - 7_200, LATE - 690 - 3_600, 0),
        (LATE - 690 - 3_600, LATE - 690, 0),
        (LATE - 690, LATE - 30, 1),
    ];
    assert_eq!(spans(&fixture), first);
    fixture.feed_fails_before.set(0);
    assert_eq!(rounds_until_done(&fixture, LATE), [0, 0, 0, 0]);
    assert!(spans(&fixture).ends_with(&first));
}

#[test]
fn at_most_four_minutes_are_held_as_rows() {
    let fixture = Fixture::default();
    fixture.pack(LATE);
    fixture.pack(LATE + 7_200);
    let longest = fixture.longest_reading();
    assert_eq!(longest, 239, "the last second is included");
}

#[test]
fn a_step_ends_when_its_pack_is_full() {
    let fixture = Fixture::default();
    fixture.pack(LATE);
    for minute in 1..=20 {
        for name in 0..30_000 {
            let stamp = LATE + minute * 60;
            fixture.revoke(stamp, &format!("t{minute}-{name}"), stamp + 9_000);
        }
    }
    let before = spans(&fixture).len();
    fixture.pack(LATE + 1_260);
    let grown = spans(&fixture);
    // Once the limit is reached, at most one more read follows.
    let new = grown.get(before..).unwrap_or_default();
    assert!(new.iter().all(|span| span.2 < 240_000), "{new:?}");
    assert_eq!(new.iter().map(|span| span.2).sum::<u64>() / 1_000, 599);
    let known = fixture.read(LATE + 1_260);
    assert!(known.contains(token("t20-29999")) && known.contains(token("t10-1")));
}

/// A packer with a clock that is fast by this many seconds.
fn fast(fixture: &Fixture, now: u64, fast_by: u64) {
    let _ = fixture.pack(now.saturating_add(fast_by));
}

#[test]
fn a_span_packed_early_by_a_fast_clock_is_removed_and_packed_again() {
    let fixture = Fixture::default();
    fixture.pack(LATE);
    fast(&fixture, LATE, 60);
    assert_eq!(spans(&fixture).last().map(|last| last.1), Some(LATE + 30));
    fixture.revoke(LATE + 10, "t1", LATE + 600);
    assert_eq!(fixture.pack(LATE + 30), PackOutcome::Withdrawn { spans: 1 });
    assert!(spans(&fixture).iter().all(|span| span.1 <= LATE - 30));
    let _ = fixture.pack(LATE + 34);
    assert!(fixture.read(LATE + 34).contains(token("t1")));
    // Two seconds are tolerated.
    let fixture = Fixture::default();
    fast(&fixture, LATE + 32, 2);
    assert_eq!(spans(&fixture).last().map(|last| last.1), Some(LATE + 30));
    assert_ne!(fixture.pack(LATE + 32), PackOutcome::Withdrawn { spans: 1 });
    assert_eq!(fixture.pack(LATE + 31), PackOutcome::Withdrawn { spans: 1 });
}

proptest! {
    /// After any runs of packers with fast clocks, a run with a correct clock leaves no span beyond
    /// the closed minutes.
    #[test]
    fn after_a_run_with_a_correct_clock_only_closed_minutes_are_packed(
        rounds in prop::collection::vec((0_u64..900, 0_u64..400), 1..8),
        last in 900_u64..1_000,
    ) {
        let fixture = Fixture::default();
        let mut rounds = rounds;
        rounds.sort_unstable();
        for (now, fast_by) in rounds {
            fast(&fixture, LATE.saturating_add(now), fast_by);
        }
        let now = LATE.saturating_add(last);
        let closed = closed_before(UnixTime::from_secs(now).plus(CLOCK_SKEW)).as_secs();
        let _ = fixture.pack(now);
        prop_assert!(spans(&fixture).iter().all(|span| span.1 <= closed));
    }
}

#[test]
fn a_minute_is_packed_four_seconds_after_its_end_and_not_before() {
    let fixture = Fixture::default();
    fixture.pack(10_030);
    fixture.revoke(10_079, "t1", 11_000);
    assert_eq!(fixture.pack(10_083), PackOutcome::Done { names: 0 });
    assert_eq!(fixture.pack(10_084), PackOutcome::Done { names: 1 });
    assert_eq!(spans(&fixture).last(), Some(&(9_360, 10_080, 1)));
    assert!(fixture.read(10_084).contains(token("t1")));
}

#[test]
fn spans_grow_to_an_hour_and_follow_each_other_without_a_gap() {
    let fixture = Fixture::default();
    let mut now = 36_030;
    for round in 0..150 {
        fixture.revoke(now, &format!("t{round}"), now + 662);
        now += MINUTE;
        fixture.pack(now);
    }
    let mut spans = spans(&fixture);
    assert!(spans.iter().all(|(from, to, _)| to - from <= 3_600));
    assert!(spans.windows(2).all(|pair| pair[0].1 == pair[1].0));
    spans.retain(|span| span.1 > 36_000);
    assert_eq!(spans.len(), 3, "{spans:?}");
}

#[test]
fn after_a_pause_of_more_than_six_hours_packing_restarts() {
    for (rest, names, start) in [(21_540, 1, LATE - 690), (21_660, 1, LATE + 21_660 - 690)] {
        let fixture = Fixture::default();
        fixture.pack(LATE);
        let rested = LATE + rest;
        fixture.revoke(rested - 100, "t2", rested + 600);
        let until = closed_before(UnixTime::from_secs(rested));
        assert_eq!(
            fixture.pack(rested),
            PackOutcome::Part { names, until },
            "{rest}"
        );
        let spans = spans(&fixture);
        assert!(spans.iter().any(|span| span.0 == start), "{spans:?}");
        assert!(fixture.read(rested).contains(token("t2")));
    }
}

#[test]
fn missed_hours_become_spans_of_an_hour() {
    let fixture = Fixture::default();
    fixture.pack(10_030);
    fixture.pack(10_030 + 3 * 3_600);
    let spans = spans(&fixture);
    let lengths: Vec<_> = spans
        .iter()
        .filter(|span| span.1 > 9_360)
        .map(|(from, to, _)| to - from)
        .collect();
    assert_eq!(lengths, [660, 3_600, 3_600, 3_600]);
}

#[test]
fn an_unreadable_pack_is_left_to_its_rows_and_a_new_span_begins() {
    let fixture = Fixture::default();
    fixture.revoke(9_990, "t1", 10_700);
    fixture.pack(10_030);
    for bytes in fixture.packs.borrow_mut().values_mut() {
        bytes.pop();
    }
    fixture.revoke(10_050, "t2", 10_700);
    assert_eq!(fixture.pack(10_090), PackOutcome::Done { names: 1 });
    assert!(spans(&fixture).ends_with(&[(9_360, 10_020, 1), (10_020, 10_080, 1)]));
    let known = fixture.read(10_090);
    assert!(known.contains(token("t1")) && known.contains(token("t2")));
}

#[test]
fn of_two_concurrent_hosts_one_loses_and_a_failing_store_is_an_error() {
    let fixture = Fixture::default();
    fixture.overtaken.set(true);
    assert_eq!(fixture.pack(10_030), PackOutcome::Contended);
    fixture.overtaken.set(false);
    fixture.directory_fails.set(true);
    let id = Id::parse("r1").expect("an id");
    let round = pack(&fixture, MAX_LEEWAY, UnixTime::from_secs(10_030), &id);
    assert!(crate::test_support::ready(round).is_err());
    assert!(spans(&fixture).is_empty());
}
