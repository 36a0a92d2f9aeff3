//! Thousands of seeds satisfy every invariant, every invariant was checked, and each can fail.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;

use portcullis_simulation::{Case, Invariant, Mutation, run};

/// The number of seeds in a test run.
const SEEDS: u64 = 2_000;

/// The number of seeds within which a mutation is detected.
const NOTICED_WITHIN: u64 = 600;

/// Applies `work` to all of `items` on parallel threads; returns the results in no order.
fn in_threads<I: Send, T: Send>(
    items: impl Iterator<Item = I> + Send,
    work: impl Fn(I) -> T + Sync,
) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let items = Mutex::new(items);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let next = || items.lock().unwrap().next();
                    std::iter::from_fn(next).map(&work).collect::<Vec<_>>()
                })
            })
            .collect();
        let ended = workers.into_iter().map(|worker| worker.join().unwrap());
        ended.flatten().collect()
    })
}

#[test]
fn thousands_of_seeds_satisfy_every_invariant_and_cover_each_case() {
    let mut met: BTreeMap<Invariant, u64> = BTreeMap::new();
    let mut cases: BTreeMap<Case, u64> = BTreeMap::new();
    let mut reports = in_threads(1..=SEEDS, |seed| (seed, run(seed, None, false)));
    reports.sort_by_key(|(seed, _)| *seed);
    for (seed, report) in reports {
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
fn each_mutation_is_detected_by_its_invariant() {
    let unnoticed: Vec<_> = in_threads(Mutation::ALL.into_iter(), |(mutation, invariant)| {
        let noticed = (1..=NOTICED_WITHIN).find(|seed| {
            let violation = run(*seed, Some(mutation), false).violation;
            violation.is_some_and(|violation| violation.invariant == invariant)
        });
        println!("{mutation:?} is detected by {invariant:?} in seed {noticed:?}");
        noticed.is_none().then_some((mutation, invariant))
    });
    let unnoticed: Vec<_> = unnoticed.into_iter().flatten().collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?}");
}

#[test]
fn a_seed_produces_the_same_events_each_time() {
    for seed in 1..=20 {
        let (one, other) = (run(seed, None, true), run(seed, None, true));
        assert_eq!(one.story, other.story);
        assert!(one.story.len() > 50, "{}", one.story.len());
        // Recording the events changes nothing.
        assert_eq!(one.counters, run(seed, None, false).counters);
    }
}
