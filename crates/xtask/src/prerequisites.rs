//! The prerequisites that the developer installs: rustup, Node, npm, a C compiler; and Python for
//! the tests.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Result, bail};

use crate::{node::MIN_NODE, processes};

/// Fails with one line for each missing program.
pub(crate) fn check() -> Result<()> {
    let faults: Vec<String> = [rustup(), node(), npm(), c_compiler()]
        .into_iter()
        .flatten()
        .collect();
    if !faults.is_empty() {
        bail!("{}", faults.join("\nerror: "));
    }
    Ok(())
}

/// Fails with one line if the Python of the tests is missing.
pub(crate) fn check_python() -> Result<()> {
    if version(Command::new("python3").args(["-m", "pip", "--version"])).is_none() {
        bail!("python3 with pip is missing: install python3 and python3-pip");
    }
    Ok(())
}

/// The path of rustup: from the PATH or from the default installation folder.
pub(crate) fn rustup_command() -> Command {
    let installed = cargo_home()
        .map(|home| home.join("bin/rustup"))
        .filter(|path| path.exists());
    Command::new(installed.unwrap_or_else(|| PathBuf::from("rustup")))
}

/// The folder of cargo's downloads, if the machine has a home folder at all.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| env::home_dir().map(|home| home.join(".cargo")))
}

fn rustup() -> Option<String> {
    let missing = "rustup is missing: install it from https://rustup.rs";
    version(rustup_command().arg("--version"))
        .is_none()
        .then(|| missing.to_owned())
}

fn node() -> Option<String> {
    let missing =
        format!("node is missing: install Node {MIN_NODE} or newer from https://nodejs.org");
    version(Command::new("node").arg("--version"))
        .is_none()
        .then_some(missing)
}

fn npm() -> Option<String> {
    let missing = "npm is missing: it comes with Node, from https://nodejs.org";
    version(Command::new("npm").arg("--version"))
        .is_none()
        .then(|| missing.to_owned())
}

fn c_compiler() -> Option<String> {
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let missing = "a C compiler is missing (`cc`): install gcc or clang, or set the variable CC";
    version(Command::new(compiler).arg("--version"))
        .is_none()
        .then(|| missing.to_owned())
}

/// The first line of a program's output, if it runs.
fn version(command: &mut Command) -> Option<String> {
    let output = processes::output(command)
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .next()
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_has_no_version() {
        assert_eq!(
            version(&mut Command::new("portcullis-no-such-program")),
            None
        );
        assert_eq!(version(&mut Command::new("false")), None);
    }
}
