//! `cargo xtask setup`: installs missing tools and checks for them first.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    node, prerequisites, processes,
    step::{quietly, step},
    workspace::Workspace,
};

/// The Worker's target; `rust-toolchain.toml` also lists it, for machines where rustup installs it
/// automatically.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// Installs all tools.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    step(
        "check for rustup, Node, npm and a C compiler",
        prerequisites::check,
    )?;
    let _lock = workspace.lock()?;
    step("install the wasm target and the lint tools", || {
        toolchain(workspace, true)
    })?;
    node::install(workspace)?;
    step("install the npm packages", || npm(workspace))
}

/// Installs only the tools of the Worker's build, and prints no line if none is missing.
pub(crate) fn for_worker(workspace: &Workspace) -> Result<()> {
    let _lock = workspace.lock()?;
    toolchain(workspace, false)?;
    node::install(workspace)?;
    if !npm_is_fresh(workspace)? {
        step("install the npm packages", || npm(workspace))?;
    }
    Ok(())
}

fn toolchain(workspace: &Workspace, lints: bool) -> Result<()> {
    let sysroot = sysroot(workspace)?;
    if !sysroot.join("lib/rustlib").join(WASM).exists() {
        quietly(rustup(workspace).args(["target", "add", WASM]))?;
    }
    for (tool, component) in [("cargo-clippy", "clippy"), ("cargo-fmt", "rustfmt")] {
        if lints && !sysroot.join("bin").join(tool).exists() {
            quietly(rustup(workspace).args(["component", "add", component]))?;
        }
    }
    Ok(())
}

/// Where the compiler and its target libraries are installed.
pub(crate) fn sysroot(workspace: &Workspace) -> Result<PathBuf> {
    let output = processes::output(workspace.program("rustc").args(["--print", "sysroot"]))?;
    let path = String::from_utf8(output.stdout).context("rustc prints no sysroot")?;
    Ok(PathBuf::from(path.trim()))
}

fn rustup(workspace: &Workspace) -> Command {
    let mut command = prerequisites::rustup_command();
    command.current_dir(&workspace.root);
    command
}

fn npm(workspace: &Workspace) -> Result<()> {
    if npm_is_fresh(workspace)? {
        return Ok(());
    }
    quietly(
        workspace
            .program("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]),
    )?;
    fs::write(stamp(workspace), lockfile(workspace)?.to_string())
        .context("cannot write node_modules")
}

fn npm_is_fresh(workspace: &Workspace) -> Result<bool> {
    let installed = fs::read_to_string(stamp(workspace)).unwrap_or_default();
    Ok(installed == lockfile(workspace)?.to_string())
}

/// Stored inside the folder it describes, so that it is deleted with the packages.
fn stamp(workspace: &Workspace) -> PathBuf {
    workspace.path("node_modules/.portcullis-stamp")
}

fn lockfile(workspace: &Workspace) -> Result<u64> {
    fingerprint(["package-lock.json", "package.json"].map(|name| workspace.path(name)))
}

/// A hash that changes when one of the files does.
pub(crate) fn fingerprint(files: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        let file = file.as_ref();
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        bytes.hash(&mut hasher);
    }
    Ok(hasher.finish())
}
