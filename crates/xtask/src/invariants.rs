//! The layers: dependencies point only downwards, modules have no import cycles, and the rules of
//! `core` stay pure. The lockfile has no download URLs, so it installs from any registry.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    circles,
    workspace::{Workspace, read},
};

/// Each crate below `tests`, with the workspace crates on which it may depend.
const ALLOWED_DEPENDENCIES: [(&str, &[&str]); 16] = [
    ("crates/core", &[]),
    ("crates/service", &["core"]),
    ("crates/jwt", &["core", "service"]),
    ("crates/aws", &["core", "service"]),
    ("crates/common-passwords", &[]),
    (
        "crates/host",
        &["core", "service", "jwt", "aws", "common-passwords"],
    ),
    ("crates/origin", &["core", "jwt"]),
    ("crates/worker", &["core", "service", "jwt", "aws"]),
    ("lambda-host", &["core", "service", "jwt", "aws", "host"]),
    ("crates/cli", &["core", "service", "jwt", "aws", "host"]),
    ("crates/local", &[]),
    ("crates/simulation", &["core", "service"]),
    ("crates/conformance/bindgen", &[]),
    ("crates/conformance/corpus", &["core", "service"]),
    (
        "crates/conformance/corpus-worker",
        &["corpus", "jwt", "worker"],
    ),
    ("crates/xtask", &[]),
];

/// The forbidden dependencies of the rules: a clock, the environment, random numbers, threads,
/// files, sockets, target-specific code.
const NEVER_IN_CORE: [&str; 11] = [
    "async fn",
    "async move",
    "cfg(target_arch",
    "getrandom",
    "Instant::now",
    "SystemTime",
    "std::env",
    "std::fs",
    "std::net",
    "std::thread",
    "extern \"C\"",
];

/// Checks manifests and sources.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut faults = Vec::new();
    for folder in workspace.members()? {
        // Tests may use every crate.
        let listed = ALLOWED_DEPENDENCIES
            .iter()
            .find(|(name, _)| *name == folder);
        let Some((_, allowed)) = listed else {
            if folder != "tests" {
                faults.push(format!("{folder} is missing in ALLOWED_DEPENDENCIES"));
            }
            continue;
        };
        let manifest = read(&workspace.path(&folder).join("Cargo.toml"))?;
        for name in named(&manifest).filter(|name| !allowed.contains(name)) {
            faults.push(format!(
                "{folder} depends on portcullis-{name}, which is in no lower layer"
            ));
        }
    }
    for folder in workspace.members()? {
        for circle in circles::of_crate(&workspace.path(&folder).join("src"))? {
            faults.push(format!("{folder} has an import cycle: {circle}"));
        }
    }
    for file in sources(&workspace.path("crates/core/src"))? {
        for word in impure(&read(&file)?) {
            faults.push(format!(
                "{} has `{word}`: core contains only rules",
                file.display()
            ));
        }
    }
    if names_a_server(&read(&workspace.path("package-lock.json"))?) {
        faults.push("package-lock.json contains download URLs: see .npmrc".to_owned());
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\nerror: "));
    }
    Ok(())
}

/// The workspace crates under `[dependencies]`, without the prefix `portcullis-`.
fn named(manifest: &str) -> impl Iterator<Item = &str> {
    let lines = manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.strip_prefix("portcullis-"))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
}

/// Forbidden words outside comments, and outside the tests at the end of a file.
fn impure(source: &str) -> Vec<&'static str> {
    let product = source.split("#[cfg(test)]").next().unwrap_or_default();
    let code = |line: &&str| !line.trim_start().starts_with("//");
    let lines: Vec<&str> = product.lines().filter(code).collect();
    NEVER_IN_CORE
        .into_iter()
        .filter(|word| lines.iter().any(|line| line.contains(word)))
        .collect()
}

fn names_a_server(lockfile: &str) -> bool {
    lockfile.contains("\"resolved\": \"http")
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder);
    let mut files = Vec::new();
    for entry in entries.with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_keeps_the_invariants() {
        check(&Workspace::find().unwrap()).unwrap();
    }

    #[test]
    fn only_build_dependencies_of_a_crate_count() {
        let manifest = "[dependencies]\nportcullis-core.workspace = true\nbytes = \"1\"\n\
                        portcullis-jwt = { workspace = true }\n\n[dev-dependencies]\nportcullis-local = \"1\"\n";
        assert_eq!(named(manifest).collect::<Vec<_>>(), ["core", "jwt"]);
    }

    #[test]
    fn a_lockfile_with_a_download_url_is_detected() {
        assert!(names_a_server(
            "{ \"resolved\": \"https://registry.example/a.tgz\" }"
        ));
        assert!(!names_a_server(
            "{ \"funding\": { \"url\": \"https://example.com\" } }"
        ));
    }

    #[test]
    fn a_clock_is_detected_in_code_and_not_in_a_comment_or_a_test() {
        assert_eq!(impure("let now = SystemTime::now();"), ["SystemTime"]);
        assert!(
            impure("// no SystemTime here\n#[cfg(test)]\nmod tests { use std::fs; }").is_empty()
        );
    }
}
