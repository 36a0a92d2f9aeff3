//! The Python packages of the tests, installed under `target`.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::{step, workspace::Workspace};

/// The packages of one kind of test.
pub(crate) struct Packages {
    /// The list of the packages with pinned versions.
    list: &'static str,
    /// The installation folder, below `target`.
    folder: &'static str,
}

/// The fuzzer of the host's API description.
pub(crate) const FUZZ: Packages = Packages {
    list: "tests/openapi/requirements.txt",
    folder: "python",
};

/// An independent Secrets Manager.
pub(crate) const MOTO: Packages = Packages {
    list: "tests/moto/requirements.txt",
    folder: "python-moto",
};

/// The strict parser of CloudFormation templates.
pub(crate) const LINT: Packages = Packages {
    list: "tests/deploy/requirements.txt",
    folder: "python-lint",
};

/// The path of `packages`; installs them if their list has changed.
pub(crate) fn install(workspace: &Workspace, packages: &Packages) -> Result<PathBuf> {
    let wanted = workspace.path(packages.list);
    let list = fs::read(&wanted).with_context(|| format!("cannot read {}", wanted.display()))?;
    let folder = workspace.cargo_target.join(packages.folder);
    let installed = folder.join("installed.txt");
    if fs::read(&installed).is_ok_and(|installed| installed == list) {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot delete {}", folder.display()))?;
    }
    let mut pip = workspace.program("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
        .arg(&folder)
        .arg("--requirement")
        .arg(&wanted)
        // A separate folder is not part of the system's Python, even if that is externally managed.
        .envs([
            ("PIP_BREAK_SYSTEM_PACKAGES", "1"),
            ("PIP_ROOT_USER_ACTION", "ignore"),
            ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ]);
    step::run("install the Python packages of the tests", &mut pip)?;
    fs::write(&installed, list).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(folder)
}
