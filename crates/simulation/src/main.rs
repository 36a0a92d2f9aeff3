//! `simulate`: many seeds, or one with its events.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;

use clap::Parser;
use portcullis_simulation::{Case, Invariant, SimulationReport, run};

/// From this number of seeds on, every case must have occurred.
const ENOUGH: u64 = 1_000;

#[derive(Parser)]
#[command(
    about = "Simulates hosts, edges and users in virtual time, with faults drawn from a seed"
)]
struct Arguments {
    /// Number of seeds
    #[arg(long, default_value_t = 10_000, conflicts_with = "seed")]
    seeds: u64,
    /// First seed
    #[arg(long, default_value_t = 1, conflicts_with = "seed")]
    from: u64,
    /// Run only this seed and print its events
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => tell(seed),
        None => run_many(arguments.from, arguments.seeds),
    }
}

fn tell(seed: u64) -> ExitCode {
    let report = run(seed, None, true);
    for line in &report.story {
        println!("{line}");
    }
    print_counters(&report);
    verdict(seed, &report)
}

fn run_many(first: u64, seeds: u64) -> ExitCode {
    let next = AtomicU64::new(first);
    let end = first.saturating_add(seeds);
    let total = Mutex::new(SimulationReport::default());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let failed = thread::scope(|scope| {
        let (done, reports) = mpsc::channel();
        for _ in 0..workers {
            let (done, next) = (done.clone(), &next);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || done.send((seed, run(seed, None, false))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut total = total.lock().expect("one thread");
        let mut bar = Bar::new(seeds);
        let mut failed: Option<u64> = None;
        for (seed, report) in reports {
            if report.violation.is_some() {
                // Seeds start in order: every seed below this one is done or running.
                next.store(end, Ordering::Relaxed);
                failed = Some(failed.map_or(seed, |lowest| lowest.min(seed)));
            }
            for (invariant, count) in report.counters {
                *total.counters.entry(invariant).or_default() += count;
            }
            for (case, count) in report.met {
                *total.met.entry(case).or_default() += count;
            }
            bar.step();
        }
        failed
    });
    println!();
    if let Some(seed) = failed {
        return tell(seed);
    }
    let total = total.into_inner().expect("one thread");
    print_counters(&total);
    let invariants = Invariant::ALL.into_iter();
    let idle = invariants
        .filter(|one| total.counters.get(one).is_none_or(|count| *count == 0))
        .map(|one| format!("{one:?}"));
    let cases = Case::ALL.into_iter().filter(|_| seeds >= ENOUGH);
    let unmet = cases
        .filter(|one| total.met.get(one).is_none_or(|count| *count == 0))
        .map(|one| format!("{one:?}"));
    match idle.chain(unmet).next() {
        Some(idle) => {
            eprintln!("error: {idle} did not occur in any seed; run more seeds");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

fn verdict(seed: u64, report: &SimulationReport) -> ExitCode {
    match &report.violation {
        Some(violation) => {
            let (text, _) = violation.invariant.text();
            eprintln!(
                "error: seed {seed}: {text}: {} (cargo xtask simulate --seed {seed})",
                violation.what
            );
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

fn print_counters(report: &SimulationReport) {
    for invariant in Invariant::ALL {
        let count = report.counters.get(&invariant).copied().unwrap_or_default();
        let (text, counted) = invariant.text();
        println!("{count:>12}  {text} ({counted})");
    }
    println!();
    for case in Case::ALL {
        let count = report.met.get(&case).copied().unwrap_or_default();
        println!("{count:>12}  {}", case.text());
    }
}

/// A progress bar; on anything but a terminal, one line at the end.
struct Bar {
    total: u64,
    done: u64,
    drawn: bool,
}

impl Bar {
    fn new(total: u64) -> Self {
        Self {
            total,
            done: 0,
            drawn: io::stdout().is_terminal(),
        }
    }

    fn step(&mut self) {
        self.done += 1;
        let percent = self.done * 100 / self.total.max(1);
        if self.done == self.total || (self.drawn && self.done.is_multiple_of(50)) {
            let filled = usize::try_from(percent / 4).unwrap_or(25);
            let start = if self.drawn { "\r" } else { "" };
            let bar = "#".repeat(filled);
            print!("{start}[{bar:<25}] {percent:>3} %  {} seeds", self.done);
            // A closed terminal is no reason to stop.
            drop(io::stdout().flush());
        }
    }
}
