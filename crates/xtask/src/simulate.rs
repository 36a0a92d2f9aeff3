//! `cargo xtask simulate`: many simulated worlds, or one with its story (`docs/simulation.md`).

use anyhow::Result;
use clap::Args;

use crate::{step::show, workspace::Workspace};

#[derive(Args)]
pub(crate) struct Options {
    /// How many seeds
    #[arg(long, default_value_t = 10_000, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1, conflicts_with = "seed")]
    from: u64,
    /// Only this one, with its story
    #[arg(long)]
    seed: Option<u64>,
}

/// Builds the simulation and runs it.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut simulation =
        workspace.cargo(["run", "--quiet", "--package", "portcullis-simulation", "--"]);
    match options.seed {
        Some(seed) => simulation.args(["--seed", &seed.to_string()]),
        None => simulation.args([
            "--seeds",
            &options.seeds.to_string(),
            "--from",
            &options.from.to_string(),
        ]),
    };
    show("simulate", &mut simulation)
}
