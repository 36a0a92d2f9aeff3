//! `cargo xtask`: the commands of developers and CI for this repository, from a fresh clone on.
//!
//! Each command installs its own prerequisites, and skips completed work.

mod bench;
mod build;
mod bundle;
mod check;
mod circles;
mod dev;
mod invariants;
mod node;
mod passwords;
mod prerequisites;
mod processes;
mod prose;
mod python;
mod setup;
mod simulate;
mod step;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Developer commands of Portcullis"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install missing tools: the wasm target, the lint tools, the npm packages
    Setup,
    /// Run the whole system on this machine and print what to try
    Dev(dev::Options),
    /// Run every test: those of the crates, and the built Worker in its real runtime
    Test(test::Options),
    /// Build the Worker into target/worker
    Build(build::Options),
    /// Build the Worker and show its size and that of each optional feature
    Bundle(bundle::Options),
    /// Rebuild the filter of common passwords from its lists
    Passwords(passwords::Options),
    /// Run a benchmark with a budget
    Bench(bench::Options),
    /// Run simulated systems, or one with a detailed log
    Simulate(simulate::Options),
    /// Check formatting, words, layers, lints on both targets, documentation, dependencies
    Check,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    processes::end_all_on_signal()?;
    match arguments.command {
        Command::Setup => setup::run(&workspace),
        Command::Dev(options) => dev::run(&workspace, &options),
        Command::Test(options) => test::run(&workspace, &options),
        Command::Build(options) => build::run(&workspace, &options),
        Command::Bundle(options) => bundle::run(&workspace, &options),
        Command::Passwords(options) => passwords::run(&workspace, &options),
        Command::Bench(options) => bench::run(&workspace, &options),
        Command::Simulate(options) => simulate::run(&workspace, &options),
        Command::Check => check::run(&workspace),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_definition_is_valid() {
        Arguments::command().debug_assert();
    }
}
