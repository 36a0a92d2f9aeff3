//! `cargo xtask test`: every test there is.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    build, prerequisites, python, setup,
    step::{quietly, run as run_step, show},
    workspace::Workspace,
};

#[derive(Args)]
pub(crate) struct Options {
    /// Only the crates' own tests
    #[arg(long, conflicts_with = "worker")]
    crates: bool,
    /// Only the tests of the built Worker
    #[arg(long)]
    worker: bool,
}

/// Sets up, builds and tests.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if !options.crates {
        prerequisites::check_python()?;
    }
    setup::run(workspace)?;
    if !options.worker {
        crates(workspace)?;
    }
    if !options.crates {
        build::worker(workspace)?;
        build::corpus(workspace)?;
        local_programs(workspace)?;
        run_step(
            "compile the corpus for this machine",
            &mut corpus(workspace),
        )?;
        worker(workspace)?;
    }
    Ok(())
}

/// The programs that `dev` and the Worker's tests start.
pub(crate) fn local_programs(workspace: &Workspace) -> Result<()> {
    let packages = [
        "--package",
        "portcullis-local",
        "--package",
        "portcullis-lambda-host",
        "--package",
        "portcullis-cli",
    ];
    let mut build = workspace.cargo(["build", "--bins", "--quiet"]);
    run_step(
        "compile the host, the terminal and the local services",
        build.args(packages),
    )
}

/// What tells the corpus and the native answers.
fn corpus(workspace: &Workspace) -> Command {
    workspace.cargo([
        "build",
        "--package",
        "portcullis-tests",
        "--bin",
        "corpus",
        "--quiet",
    ])
}

fn crates(workspace: &Workspace) -> Result<()> {
    let nextest = quietly(&mut workspace.cargo(["nextest", "--version"])).is_ok();
    let runner: &[&str] = if nextest {
        &["nextest", "run"]
    } else {
        &["test", "--all-targets"]
    };
    let mut tests = workspace.cargo(runner);
    show("test the crates", tests.args(["--workspace"]))?;
    let mut examples = workspace.cargo(["test", "--doc", "--workspace", "--quiet"]);
    show("test the examples in the documentation", &mut examples)
}

fn worker(workspace: &Workspace) -> Result<()> {
    let mut node = workspace.program("node");
    node.args(["--test", "--test-reporter=spec"])
        .args(files(workspace)?);
    node.env("PORTCULLIS_BINARIES", workspace.cargo_target.join("debug"));
    let install = |packages| python::install(workspace, packages);
    node.env("PORTCULLIS_PYTHON", install(&python::FUZZ)?);
    node.env("PORTCULLIS_MOTO", install(&python::MOTO)?);
    node.env("PORTCULLIS_LINT", install(&python::LINT)?);
    // The Worker's tests run `cargo xtask` themselves, and must meet the same builds.
    node.env("CARGO_TARGET_DIR", &workspace.cargo_target);
    show(
        "test the Worker in its runtime, and the host by its own description",
        &mut node,
    )
}

/// Every test that Node runs.
fn files(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in [
        "tests/worker",
        "tests/openapi",
        "tests/browser",
        "tests/moto",
        "tests/deploy",
    ] {
        let folder = workspace.path(folder);
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(".test.mjs") {
                files.push(path);
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}
