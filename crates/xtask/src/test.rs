//! `cargo xtask test`: runs every test.

use std::{fs, path::PathBuf, process::Command, thread};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;

use crate::{
    build, node, prerequisites, processes, python, setup,
    step::{quietly, run as run_step, show},
    workspace::Workspace,
};

#[derive(Args)]
pub(crate) struct Options {
    /// Run only the tests of the crates
    #[arg(long, conflicts_with = "worker")]
    crates: bool,
    /// Run only the tests in Node: the built Worker, pages, templates and the host's API
    /// description
    #[arg(long)]
    worker: bool,
    /// Run only tests with this text in their name; for tests in Node, in their name or file
    filter: Option<String>,
}

/// Installs the tools, builds and runs the tests. The tests in Node mostly wait, so they run in
/// parallel with those of the crates.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if !options.crates {
        prerequisites::check_python()?;
    }
    setup::run(workspace)?;
    let filter = options.filter.as_deref();
    if options.crates {
        return crates(workspace, filter);
    }
    build::worker(workspace)?;
    build::corpus(workspace)?;
    local_programs(workspace)?;
    run_step(
        "compile the corpus for this machine",
        &mut corpus(workspace),
    )?;
    let mut node = in_node(workspace, filter)?;
    if options.worker {
        return show(IN_NODE, &mut node);
    }
    // Compiled first: a test in Node must not compete with a compiler on every core.
    compile_crates(workspace)?;
    thread::scope(|scope| {
        println!(
            "{IN_NODE}: running in parallel with the tests of the crates; the output follows theirs"
        );
        let beside = scope.spawn(|| processes::output(&mut node));
        let crates = crates(workspace, filter);
        let output = beside
            .join()
            .map_err(|_| anyhow!("{IN_NODE}: panicked"))??;
        println!("{IN_NODE}");
        print!("{}", String::from_utf8_lossy(&output.stdout));
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        ensure!(
            output.status.success(),
            "{IN_NODE}: ended with {}",
            output.status
        );
        crates
    })
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
        "compile the host, the CLI and the local services",
        build.args(packages),
    )
}

/// The program that prints the corpus and the native results.
fn corpus(workspace: &Workspace) -> Command {
    workspace.cargo([
        "build",
        "--package",
        "portcullis-tests",
        "--bin",
        "corpus",
        "--bin",
        "revoked-million",
        "--quiet",
    ])
}

fn has_nextest(workspace: &Workspace) -> bool {
    quietly(&mut workspace.cargo(["nextest", "--version"])).is_ok()
}

fn compile_crates(workspace: &Workspace) -> Result<()> {
    let mut compile = workspace.cargo(if has_nextest(workspace) {
        ["nextest", "run", "--no-run"]
    } else {
        ["test", "--all-targets", "--no-run"]
    });
    run_step(
        "compile the tests of the crates",
        compile.arg("--workspace"),
    )
}

fn crates(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    let runner: &[&str] = if has_nextest(workspace) {
        &["nextest", "run", "--no-tests=pass"]
    } else {
        &["test", "--all-targets"]
    };
    let mut tests = workspace.cargo(runner);
    show("test the crates", tests.args(["--workspace"]).args(filter))?;
    if filter.is_some() {
        return Ok(());
    }
    let mut examples = workspace.cargo(["test", "--doc", "--workspace", "--quiet"]);
    show("test the examples in the documentation", &mut examples)
}

const IN_NODE: &str = "test the Worker in its runtime, and the host against its API description";

/// The number of test files in parallel: they wait for timers most of the time.
const FILES_AT_ONCE: &str = "3";

fn in_node(workspace: &Workspace, filter: Option<&str>) -> Result<Command> {
    let mut files = files(workspace)?;
    let mut node = workspace.program(node::program(workspace));
    node.args(["--test", "--test-reporter=spec"]);
    node.arg(format!("--test-concurrency={FILES_AT_ONCE}"));
    // A test that waits forever is a failure and not a hanging run; nor does a server or a program
    // that a failed test leaves behind keep the run from ending.
    node.args(["--test-timeout=600000", "--test-force-exit"]);
    if let Some(filter) = filter {
        let named: Vec<PathBuf> = files
            .iter()
            .filter(|file| file.to_string_lossy().contains(filter))
            .cloned()
            .collect();
        if named.is_empty() {
            node.arg(format!("--test-name-pattern={filter}"));
        } else {
            files = named;
        }
    }
    node.args(files);
    node.env("PORTCULLIS_BINARIES", workspace.cargo_target.join("debug"));
    let install = |packages| python::install(workspace, packages);
    node.env("PORTCULLIS_PYTHON", install(&python::FUZZ)?);
    node.env("PORTCULLIS_MOTO", install(&python::MOTO)?);
    node.env("PORTCULLIS_LINT", install(&python::LINT)?);
    // The tests run `cargo xtask` themselves, and must find the same builds.
    node.env("CARGO_TARGET_DIR", &workspace.cargo_target);
    Ok(node)
}

/// The files of all Node tests.
fn files(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in [
        "tests/worker",
        "tests/openapi",
        "tests/browser",
        "tests/moto",
        "tests/deploy",
        "tests/origin",
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
