//! `cargo xtask bench`: figures with a budget, measured on what ships.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::{step::show, workspace::Workspace};

#[derive(Args)]
pub(crate) struct Options {
    /// What to measure
    what: Bench,
    /// Fail if it is over its budget
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// The host under Lambda, from spawn to its first answer
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
