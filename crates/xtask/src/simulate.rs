//! `cargo xtask simulate`: many simulated systems, or one with a detailed log
//! (`docs/simulation.md`).

use anyhow::Result;
use clap::Args;

use crate::{step::show, workspace::Workspace};

#[derive(Args)]
pub(crate) struct Options {
    /// Run this number of seeds
    #[arg(long, default_value_t = 10_000, conflicts_with = "seed")]
    seeds: u64,
    /// Start with this seed
    #[arg(long, default_value_t = 1, conflicts_with = "seed")]
    from: u64,
    /// Run only this seed, with a detailed log
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
