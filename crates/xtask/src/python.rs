//! The Python packages that tests run beside ours, kept under `target`.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::{step, workspace::Workspace};

/// Where the packages of `tests/openapi/requirements.txt` are; installs them when they changed.
pub(crate) fn packages(workspace: &Workspace) -> Result<PathBuf> {
    let wanted = workspace.path("tests/openapi/requirements.txt");
    let list = fs::read(&wanted).with_context(|| format!("cannot read {}", wanted.display()))?;
    let folder = workspace.cargo_target.join("python");
    let installed = folder.join("installed.txt");
    if fs::read(&installed).is_ok_and(|installed| installed == list) {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let mut pip = workspace.program("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
        .arg(&folder)
        .arg("--requirement")
        .arg(&wanted)
        // A folder of our own is no part of the system's Python, whoever looks after that.
        .envs([
            ("PIP_BREAK_SYSTEM_PACKAGES", "1"),
            ("PIP_ROOT_USER_ACTION", "ignore"),
            ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ]);
    step::run("install the Python packages of the tests", &mut pip)?;
    fs::write(&installed, list).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(folder)
}
