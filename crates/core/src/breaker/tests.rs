#![expect(
    clippy::arithmetic_side_effects,
    reason = "small numbers, and a test may stop at the first surprise"
)]
use proptest::prelude::*;

use super::*;

const RULES: BreakerConfig = BreakerConfig {
    failures: 3,
    interval: Duration::from_millis(2_000),
    probes: 2,
    probe_timeout: Duration::from_millis(5_000),
};

const fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn pass(breaker: &mut Breaker, now: Duration) -> Permit {
    match breaker.admit(now) {
        BreakerPermit::Pass(permit) => permit,
        other @ (BreakerPermit::Wait | BreakerPermit::Refuse) => panic!("{other:?}"),
    }
}

fn fail(breaker: &mut Breaker, now: Duration, random: u64) {
    let permit = pass(breaker, now);
    breaker.record(permit, CallOutcome::Failed, now, random);
}

fn opened() -> Breaker {
    let mut breaker = Breaker::new(RULES);
    (0..3).for_each(|_| fail(&mut breaker, at(0), 0));
    assert_eq!(breaker.standing(), BreakerState::Open);
    breaker
}

fn answer(breaker: &mut Breaker, now: Duration) {
    let permit = pass(breaker, now);
    breaker.record(permit, CallOutcome::Answered, now, 0);
}

#[test]
fn the_breaker_opens_at_the_threshold_and_not_one_failure_before() {
    let mut breaker = Breaker::new(RULES);
    (0..2).for_each(|_| fail(&mut breaker, at(0), 0));
    assert_eq!(breaker.standing(), BreakerState::Closed);
    fail(&mut breaker, at(0), 0);
    assert_eq!(breaker.standing(), BreakerState::Open);
    assert_eq!(breaker.admit(at(0)), BreakerPermit::Refuse);
}

#[test]
fn a_response_removes_half_a_failure_and_is_not_saved_up() {
    let mut breaker = Breaker::new(RULES);
    (0..100).for_each(|_| answer(&mut breaker, at(0)));
    (0..2).for_each(|_| fail(&mut breaker, at(0), 0));
    (0..2).for_each(|_| answer(&mut breaker, at(0)));
    // One failure remains.
    fail(&mut breaker, at(0), 0);
    assert_eq!(breaker.standing(), BreakerState::Closed);
    fail(&mut breaker, at(0), 0);
    assert_eq!(breaker.standing(), BreakerState::Open);
}

#[test]
fn it_stays_open_for_its_interval_minus_jitter() {
    for (random, until) in [(0, 2_000), (1, 1_999), (1_000, 1_000), (1_001, 2_000)] {
        let mut breaker = Breaker::new(RULES);
        (0..3).for_each(|_| fail(&mut breaker, at(0), random));
        assert_eq!(
            breaker.admit(at(until - 1)),
            BreakerPermit::Refuse,
            "{random}"
        );
        assert!(pass(&mut breaker, at(until)).is_probe(), "{random}");
    }
}

#[test]
fn a_limited_number_of_probes_pass_and_one_response_closes_it() {
    let mut breaker = opened();
    let first = pass(&mut breaker, at(2_000));
    let second = pass(&mut breaker, at(2_000));
    assert!(first.is_probe() && second.is_probe());
    assert_eq!(breaker.admit(at(2_001)), BreakerPermit::Wait);
    breaker.record(second, CallOutcome::Answered, at(2_002), 0);
    assert_eq!(breaker.standing(), BreakerState::Closed);
    // The other probe belongs to an earlier state.
    breaker.record(first, CallOutcome::Failed, at(2_003), 0);
    assert!(!pass(&mut breaker, at(2_003)).is_probe());
}

#[test]
fn a_failed_probe_opens_it_again() {
    let mut breaker = opened();
    let probe = pass(&mut breaker, at(2_000));
    breaker.record(probe, CallOutcome::Failed, at(4_500), 0);
    assert_eq!(breaker.admit(at(6_499)), BreakerPermit::Refuse);
    assert!(pass(&mut breaker, at(6_500)).is_probe());
}

#[test]
fn a_probe_without_outcome_is_given_up_after_its_timeout() {
    let mut breaker = opened();
    let lost = pass(&mut breaker, at(2_000));
    let _ = pass(&mut breaker, at(2_500));
    assert_eq!(breaker.admit(at(7_499)), BreakerPermit::Wait);
    let probe = pass(&mut breaker, at(7_500));
    breaker.record(lost, CallOutcome::Failed, at(7_501), 0);
    assert_eq!(breaker.standing(), BreakerState::HalfOpen);
    breaker.record(probe, CallOutcome::Answered, at(7_502), 0);
    assert_eq!(breaker.standing(), BreakerState::Closed);
}

#[test]
fn a_clock_that_went_back_does_not_keep_it_open() {
    let mut breaker = opened();
    let probe = pass(&mut breaker, at(100_000));
    breaker.record(probe, CallOutcome::Failed, at(100_000), 0);
    assert!(pass(&mut breaker, at(50)).is_probe());
}

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Ask,
    Settle(usize, bool, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u64..3_000).prop_map(Step::Pass),
        Just(Step::Ask),
        (any::<usize>(), any::<bool>(), any::<u64>())
            .prop_map(|(which, answered, random)| { Step::Settle(which, answered, random) }),
    ]
}

proptest! {
    /// In every history, each rule of the module holds at every step.
    #[test]
    fn every_history_keeps_the_breaker_rules(steps in prop::collection::vec(step(), 1..200)) {
        let mut breaker = Breaker::new(RULES);
        let mut now = at(0);
        let mut under_way: Vec<Permit> = vec![];
        let (mut opened_at, mut halves) = (None, 0_u32);
        // Probes permitted since the state last changed, or since one was given up.
        let (mut probes, mut latest) = (0, at(0));
        for step in steps {
            let before = breaker.standing();
            match step {
                Step::Pass(millis) => now += at(millis),
                Step::Ask => match breaker.admit(now) {
                    BreakerPermit::Pass(permit) => {
                        under_way.push(permit);
                        prop_assert_eq!(permit.is_probe(), before != BreakerState::Closed);
                        if before == BreakerState::Open {
                            let since: Duration = opened_at.expect("it was opened");
                            prop_assert!(now >= since + RULES.interval / 2);
                            probes = 0;
                        }
                        if permit.is_probe() {
                            if now >= latest + RULES.probe_timeout && probes >= RULES.probes {
                                probes = 0;
                            }
                            (probes, latest) = (probes + 1, now);
                            prop_assert!(probes <= RULES.probes);
                        }
                    }
                    BreakerPermit::Wait => {
                        prop_assert_eq!(before, BreakerState::HalfOpen);
                        prop_assert!(probes >= RULES.probes && now < latest + RULES.probe_timeout);
                    }
                    BreakerPermit::Refuse => {
                        prop_assert_eq!(before, BreakerState::Open);
                        prop_assert!(now < opened_at.expect("it was opened") + RULES.interval);
                    }
                },
                Step::Settle(which, answered, random) if !under_way.is_empty() => {
                    let permit = under_way.swap_remove(which % under_way.len());
                    let stale = permit.epoch != breaker.epoch;
                    let outcome = if answered { CallOutcome::Answered } else { CallOutcome::Failed };
                    breaker.record(permit, outcome, now, random);
                    let after = breaker.standing();
                    if !stale && before == BreakerState::Closed {
                        halves = if answered { halves.saturating_sub(1) } else { halves + 2 };
                    }
                    let expected = match (before, answered) {
                        _ if stale => before,
                        (BreakerState::Closed, _) if halves >= 2 * RULES.failures => BreakerState::Open,
                        (BreakerState::HalfOpen, true) => BreakerState::Closed,
                        (BreakerState::HalfOpen, false) => BreakerState::Open,
                        (standing, _) => standing,
                    };
                    prop_assert_eq!(after, expected);
                    if before != after {
                        halves = 0;
                        opened_at = (after == BreakerState::Open).then_some(now).or(opened_at);
                    }
                }
                Step::Settle(..) => {}
            }
        }
        // It never stays shut: after the maximum interval, a call passes.
        let later = now + RULES.interval + RULES.probe_timeout;
        prop_assert!(matches!(breaker.admit(later), BreakerPermit::Pass(_)));
    }

    /// If at least one of every two consecutive calls fails, in any order, it opens within twenty
    /// calls.
    #[test]
    fn a_dependency_that_fails_every_other_call_opens_the_breaker(
        pairs in prop::collection::vec(
            prop_oneof![Just([true, false]), Just([false, true]), Just([false, false])],
            10,
        ),
        history in prop::collection::vec(any::<bool>(), 0..40),
    ) {
        let mut breaker = Breaker::new(BreakerConfig::DEFAULT);
        for answered in history.into_iter().chain(pairs.into_iter().flatten()) {
            if breaker.standing() == BreakerState::Closed {
                if answered {
                    answer(&mut breaker, at(0));
                } else {
                    fail(&mut breaker, at(0), 0);
                }
            }
        }
        prop_assert_eq!(breaker.standing(), BreakerState::Open);
    }

    /// If two responses separate any two failures, it never opens, however long that continues.
    #[test]
    fn a_dependency_that_fails_now_and_then_does_not_open_the_breaker(
        gaps in prop::collection::vec(2_usize..6, 1..200),
    ) {
        let mut breaker = Breaker::new(BreakerConfig::DEFAULT);
        for answers in gaps {
            fail(&mut breaker, at(0), 0);
            (0..answers).for_each(|_| answer(&mut breaker, at(0)));
            prop_assert_eq!(breaker.standing(), BreakerState::Closed);
        }
    }
}
