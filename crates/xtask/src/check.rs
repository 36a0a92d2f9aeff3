//! `cargo xtask check`: what a change must pass beside its tests.

use std::{env, process::Command};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    invariants, processes, setup,
    setup::WASM,
    step::{quietly, show, step},
    workspace::Workspace,
};

/// What runs in the Worker. Named one by one: `--workspace` would unite features that only the host wants.
const IN_WASM: [&str; 5] = [
    "portcullis-core",
    "portcullis-service",
    "portcullis-jwt",
    "portcullis-aws",
    "portcullis-worker",
];

/// What must never be part of the artefact that goes to Lambda.
const NEVER_ON_LAMBDA: [&str; 3] = ["portcullis-local", "dynoxide-rs", "rusqlite"];

/// All checks, the quick ones first. One that fails keeps none of the others from being run.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    setup::run(workspace)?;
    let native = named(&workspace.packages()?);
    let mut doc = workspace.cargo(["doc", "--no-deps", "--locked", "--quiet"]);
    doc.args(&native).env("RUSTDOCFLAGS", "-D warnings");
    let checks = [
        show("format", &mut workspace.cargo(["fmt", "--all", "--check"])),
        step("layers, import circles and the purity of core", || {
            invariants::check(workspace)
        }),
        step("keep the local system off Lambda", || {
            lambda_is_lean(workspace)
        }),
        show("lints", &mut clippy(workspace, &native, &["--all-targets"])),
        show(
            "lints, wasm32",
            &mut clippy(workspace, &named(&IN_WASM), &["--lib", "--target", WASM]),
        ),
        show(
            "lints of the corpus, wasm32",
            &mut clippy(
                workspace,
                &named(&["portcullis-corpus-worker"]),
                &["--lib", "--target", WASM],
            ),
        ),
        show("documentation", &mut doc),
        dependencies(workspace),
    ];
    let faults: Vec<String> = checks
        .into_iter()
        .filter_map(Result::err)
        .map(|fault| format!("{fault:#}"))
        .collect();
    ensure!(faults.is_empty(), "{}", faults.join("\nerror: "));
    Ok(())
}

fn clippy(workspace: &Workspace, packages: &[String], what: &[&str]) -> Command {
    let mut clippy = workspace.cargo(["clippy", "--locked", "--quiet"]);
    clippy
        .args(packages)
        .args(what)
        .args(["--", "-D", "warnings"]);
    clippy
}

fn named<T: AsRef<str>>(packages: &[T]) -> Vec<String> {
    packages
        .iter()
        .flat_map(|name| ["--package".to_owned(), name.as_ref().to_owned()])
        .collect()
}

fn lambda_is_lean(workspace: &Workspace) -> Result<()> {
    let tree = [
        "tree",
        "--package",
        "portcullis-lambda-host",
        "--edges",
        "normal,build",
    ];
    let output = processes::output(workspace.cargo(tree).args(["--prefix", "none", "--locked"]))?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    match unwanted(&String::from_utf8_lossy(&output.stdout)) {
        Some(name) => bail!("{name} would be linked into the Lambda artefact"),
        None => Ok(()),
    }
}

fn unwanted(tree: &str) -> Option<&str> {
    let mut names = tree.lines().filter_map(|line| line.split(' ').next());
    names.find(|name| NEVER_ON_LAMBDA.contains(name))
}

/// Licences, sources and bans by cargo-deny; advisories need a database from outside and are CI's own affair.
fn dependencies(workspace: &Workspace) -> Result<()> {
    let there = quietly(&mut workspace.cargo(["deny", "--version"])).is_ok();
    if !there {
        ensure!(
            env::var_os("CI").is_none(),
            "cargo-deny is missing: cargo install --locked cargo-deny"
        );
        println!(
            "dependencies: skipped, since cargo-deny is missing (cargo install --locked cargo-deny)"
        );
        return Ok(());
    }
    let mut deny = workspace.cargo([
        "deny",
        "--log-level",
        "error",
        "check",
        "bans",
        "licenses",
        "sources",
    ]);
    show("dependencies", &mut deny).context("see deny.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stray_local_crate_is_seen_by_its_whole_name() {
        let clean = "portcullis-lambda-host v0.1.0\nportcullis-local-names v1.0.0\naxum v0.8.4\n";
        assert_eq!(unwanted(clean), None);
        let stray = format!("{clean}dynoxide-rs v3.2.0\n");
        assert_eq!(unwanted(&stray), Some("dynoxide-rs"));
    }
}
