//! `cargo xtask bench`: measures release builds against their budgets.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::{step::show, workspace::Workspace};

#[derive(Args)]
pub(crate) struct Options {
    /// Select the benchmark
    what: Bench,
    /// Fail if the result exceeds its budget
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// Measure the host under Lambda, from spawn to its first response
    ColdStart,
}

/// Builds, measures and prints.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let (title, program) = match options.what {
        Bench::ColdStart => ("measure cold starts", "cold-start"),
    };
    let mut bench = workspace.cargo(["run", "--quiet", "--package", "portcullis-tests", "--bin"]);
    bench.args([program, "--"]);
    if options.check {
        bench.arg("--check");
    }
    show(title, &mut bench)
}
