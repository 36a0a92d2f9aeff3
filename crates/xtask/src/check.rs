//! `cargo xtask check`: the checks of a change other than its tests.

use std::{env, process::Command};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    invariants, processes, prose, setup,
    setup::WASM,
    step::{quietly, show, step},
    workspace::Workspace,
};

/// The crates of the Worker. Listed one by one: `--workspace` would unify features that only the
/// host needs.
const IN_WASM: [&str; 5] = [
    "portcullis-core",
    "portcullis-service",
    "portcullis-jwt",
    "portcullis-aws",
    "portcullis-worker",
];

/// The crates that must never be part of the Lambda artefact.
const NEVER_ON_LAMBDA: [&str; 3] = ["portcullis-local", "dynoxide-rs", "rusqlite"];

/// All checks, fast ones first. A failed check does not stop the others.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    setup::run(workspace)?;
    let native = named(&workspace.packages()?);
    let mut doc = workspace.cargo(["doc", "--no-deps", "--locked", "--quiet"]);
    doc.args(&native).env("RUSTDOCFLAGS", "-D warnings");
    let checks = [
        show("format", &mut workspace.cargo(["fmt", "--all", "--check"])),
        step("words", || prose::check(workspace)).map(|counts| println!("{counts}")),
        step("layers, import cycles and the purity of core", || {
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
            "lints of the Worker without features, wasm32",
            &mut clippy(
                workspace,
                &named(&["portcullis-worker"]),
                &["--lib", "--no-default-features", "--target", WASM],
            ),
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

/// Licences, sources and bans with cargo-deny. Advisories need an external database and run only in
/// CI.
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
    fn a_forbidden_crate_is_recognised_by_its_full_name() {
        let clean = "portcullis-lambda-host v0.1.0\nportcullis-local-names v1.0.0\naxum v0.8.4\n";
        assert_eq!(unwanted(clean), None);
        let stray = format!("{clean}dynoxide-rs v3.2.0\n");
        assert_eq!(unwanted(&stray), Some("dynoxide-rs"));
    }
}
