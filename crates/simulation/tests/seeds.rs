//! Thousands of seeds hold every invariant, every invariant was met, and each can fail.

use std::collections::BTreeMap;
use std::thread;

use portcullis_simulation::{Case, Invariant, Mutation, Report, run};

/// How many worlds are lived through in a test run.
const SEEDS: u64 = 2_000;

/// Within so many seeds a mutation is noticed.
const NOTICED_WITHIN: u64 = 6_000;

/// Adds up what several threads saw of the seeds from 1 on.
fn run_all(seeds: u64) -> Vec<(u64, Report)> {
    let threads = u64::try_from(thread::available_parallelism().map_or(1, usize::from)).unwrap();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                scope.spawn(move || {
                    let own = (1..=seeds).filter(move |seed| seed % threads == worker);
                    own.map(|seed| (seed, run(seed, None, false)))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let ended = workers.into_iter().map(|worker| worker.join().unwrap());
        ended.flatten().collect()
    })
}

#[test]
fn thousands_of_seeds_hold_every_invariant_and_meet_each_of_their_cases() {
    let mut met: BTreeMap<Invariant, u64> = BTreeMap::new();
    let mut cases: BTreeMap<Case, u64> = BTreeMap::new();
    for (seed, report) in run_all(SEEDS) {
        if let Some(violation) = report.violation {
            let story = run(seed, None, true).story.join("\n");
            panic!("{story}\nseed {seed}: {violation:?}");
        }
        for (invariant, count) in report.counters {
            *met.entry(invariant).or_default() += count;
        }
        for (case, count) in report.met {
            *cases.entry(case).or_default() += count;
        }
    }
    for invariant in Invariant::ALL {
        assert!(
            met.get(&invariant).is_some_and(|count| *count > 100),
            "{invariant:?}: {met:?}"
        );
    }
    for case in Case::ALL {
        assert!(
            cases.get(&case).is_some_and(|count| *count > 100),
            "{case:?}: {cases:?}"
        );
    }
}

#[test]
fn each_thing_done_wrongly_is_noticed() {
    for (mutation, invariant) in Mutation::ALL {
        let noticed = (1..=NOTICED_WITHIN).find(|seed| {
            let violation = run(*seed, Some(mutation), false).violation;
            violation.is_some_and(|violation| violation.invariant == invariant)
        });
        assert!(
            noticed.is_some(),
            "{mutation:?} is not noticed by {invariant:?}"
        );
    }
}

#[test]
fn a_seed_tells_the_same_story_each_time() {
    for seed in 1..=20 {
        let (one, other) = (run(seed, None, true), run(seed, None, true));
        assert_eq!(one.story, other.story);
        assert!(one.story.len() > 50, "{}", one.story.len());
        // Telling it changes nothing.
        assert_eq!(one.counters, run(seed, None, false).counters);
    }
}
