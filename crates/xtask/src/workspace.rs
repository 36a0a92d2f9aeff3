//! The paths of the repository, and calls of cargo and the npm tools.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// This checkout and the target folder of cargo.
pub(crate) struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// The output folder of cargo: `CARGO_TARGET_DIR`, else `target`.
    pub(crate) cargo_target: PathBuf,
}

impl Workspace {
    /// The workspace of this program.
    pub(crate) fn find() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .ancestors()
            .nth(2)
            .context("crates/xtask is not inside a workspace")?
            .to_path_buf();
        let cargo_target = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => env::current_dir()?.join(folder),
            None => root.join("target"),
        };
        Ok(Self { root, cargo_target })
    }

    /// A path below the root.
    pub(crate) fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// The folder of the built Worker; `wrangler.toml` contains the same path.
    pub(crate) fn worker(&self) -> PathBuf {
        self.path("target/worker")
    }

    /// A program that `cargo build` (of the `dev` profile) has written to the target folder.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.cargo_target
            .join("debug")
            .join(name)
            .with_extension(env::consts::EXE_EXTENSION)
    }

    /// The cargo that runs this program, in the root of the workspace.
    pub(crate) fn cargo<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = self.program(cargo);
        command
            .args(arguments)
            .env("CARGO_TARGET_DIR", &self.cargo_target);
        // `cargo run` sets the package of the program in the environment. If inherited, build
        // scripts that watch these variables would run again at each change of the caller.
        for (name, _) in env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        command
    }

    /// Any program, in the root of the workspace.
    pub(crate) fn program(&self, name: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(name);
        command.current_dir(&self.root);
        command
    }

    /// The packages of the workspace in `crates`, `lambda-host` and `tests`, in order.
    pub(crate) fn packages(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for folder in self.members()? {
            let manifest = self.path(&folder).join("Cargo.toml");
            let text = read(&manifest)?;
            let name = text.lines().find_map(|line| line.strip_prefix("name = "));
            let name = name.with_context(|| format!("{} has no name", manifest.display()))?;
            names.push(name.trim_matches('"').to_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The folders of the packages, relative to the root, in order.
    pub(crate) fn members(&self) -> Result<Vec<String>> {
        let mut folders = vec!["lambda-host".to_owned(), "tests".to_owned()];
        for parent in ["crates", "crates/conformance"] {
            let entries = fs::read_dir(self.path(parent));
            for entry in entries.with_context(|| format!("cannot list {parent}"))? {
                let name = entry?.file_name();
                folders.push(format!("{parent}/{}", name.to_string_lossy()));
            }
        }
        folders.retain(|folder| self.path(folder).join("Cargo.toml").exists());
        folders.sort_unstable();
        Ok(folders)
    }

    /// Waits until no other `cargo xtask` writes to the shared folders; holds the lock until
    /// dropped.
    pub(crate) fn lock(&self) -> Result<File> {
        fs::create_dir_all(self.path("target"))?;
        let path = self.path("target/xtask.lock");
        let file =
            File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        file.lock()
            .with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(file)
    }
}

/// The text of a file; the error contains its path.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workspace_member_is_found_by_its_name() {
        let packages = Workspace::find().unwrap().packages().unwrap();
        for name in [
            "portcullis-core",
            "portcullis-lambda-host",
            "portcullis-tests",
            "portcullis-xtask",
        ] {
            assert!(
                packages.iter().any(|package| package == name),
                "{name} is not in {packages:?}"
            );
        }
    }

    #[test]
    fn cargo_does_not_inherit_the_package_of_its_caller() {
        let command = Workspace::find().unwrap().cargo(["build"]);
        let kept = command.get_envs().filter(|(_, value)| value.is_some());
        assert!(
            kept.map(|(name, _)| name.to_string_lossy())
                .all(|name| !name.starts_with("CARGO_PKG_"))
        );
        let removed = command
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .count();
        assert!(
            removed > 0,
            "under cargo the environment has package variables to remove"
        );
    }
}
