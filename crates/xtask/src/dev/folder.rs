//! The folder of a local system: `data/` (database, keys), `logs/`, the Worker's variables and
//! wrangler's state.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::workspace::read;

/// The folder, locked until it is dropped.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Credentials of the local database, which the engine does not check, and the secret by which the
/// host knows the Worker. Random and created once for each `data/`.
pub(super) struct Secrets {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    pub(super) edge_secret: String,
}

impl Folder {
    /// Opens the folder, and creates it if it is missing; `fresh` deletes the old data.
    ///
    /// # Errors
    ///
    /// If another local system uses it.
    pub(super) fn open(path: &Path, fresh: bool) -> Result<Self> {
        make(path)?;
        let lock = File::create(path.join("lock")).context("cannot create the folder's lock")?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another `cargo xtask dev` uses {}: stop it, or choose another folder with --folder",
                path.display()
            ),
            Err(TryLockError::Error(fault)) => return Err(fault).context("cannot lock the folder"),
        }
        let folder = Self {
            path: path.to_path_buf(),
            _lock: lock,
        };
        if fresh {
            for name in ["data", "wrangler"] {
                remove(&folder.path.join(name))?;
            }
        }
        remove(&folder.path.join("logs"))?;
        for name in ["data", "logs", "wrangler"] {
            make(&folder.path.join(name))?;
        }
        Ok(folder)
    }

    /// A file or folder in this folder.
    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.path.join(below)
    }

    /// The credentials of this data, created at the first call.
    pub(super) fn secrets(&self) -> Result<Secrets> {
        let path = self.path("data/credentials");
        if !path.exists() {
            let secrets = format!(
                "PORTCULLIS{}\n{}\n{}\n",
                random_hex::<5>()?,
                random_hex::<20>()?,
                random_hex::<20>()?
            );
            write_private(&path, &secrets)?;
        }
        let text = read(&path)?;
        let mut lines = text.lines().map(str::to_owned);
        let mut line = || lines.next();
        let (Some(access_key_id), Some(secret_access_key), Some(edge_secret)) =
            (line(), line(), line())
        else {
            bail!(
                "{} does not hold three lines: start with --fresh",
                path.display()
            );
        };
        Ok(Secrets {
            access_key_id,
            secret_access_key,
            edge_secret,
        })
    }

    /// Writes a file of `NAME=value` lines and returns its path.
    pub(super) fn write_variables(
        &self,
        name: &str,
        variables: &[(&str, &str)],
    ) -> Result<PathBuf> {
        let path = self.path(name);
        let lines: String = variables
            .iter()
            .map(|(name, value)| format!("{name}={}\n", quoted(value)))
            .collect();
        write_private(&path, &lines)?;
        Ok(path)
    }
}

/// A value for a file of variables: a JSON text in single quotes, anything else as it is.
fn quoted(value: &str) -> String {
    if value.starts_with('{') {
        // Both spellings are the same JSON.
        format!("'{}'", value.replace('\'', "\\u0027"))
    } else {
        value.to_owned()
    }
}

fn random_hex<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).context("the system provides no random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02X}")).collect())
}

/// The file is readable only by its owner.
fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    file.with_context(|| format!("cannot write {}", path.display()))
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot delete {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A separate folder for each test, deleted at its end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("portcullis-{}", random_hex::<8>().unwrap())))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            remove(&self.0).unwrap();
        }
    }

    #[test]
    fn credentials_survive_a_restart_and_end_with_fresh() {
        let scratch = Scratch::new();
        let open = |fresh| {
            Folder::open(&scratch.0, fresh)
                .unwrap()
                .secrets()
                .unwrap()
                .secret_access_key
        };
        let first = open(false);
        assert_eq!(first.len(), 40);
        assert_eq!(open(false), first);
        assert_ne!(open(true), first);
    }

    #[test]
    fn a_folder_in_use_is_rejected_by_name() {
        let scratch = Scratch::new();
        let held = Folder::open(&scratch.0, false).unwrap();
        let fault = Folder::open(&scratch.0, true).err().unwrap().to_string();
        assert!(
            fault.contains(&*scratch.0.to_string_lossy()) && fault.contains("--folder"),
            "{fault}"
        );
        drop(held);
        assert!(Folder::open(&scratch.0, false).is_ok());
    }

    #[test]
    fn the_secrets_file_is_readable_only_by_its_owner() {
        let scratch = Scratch::new();
        let folder = Folder::open(&scratch.0, false).unwrap();
        folder.secrets().unwrap();
        let variables = folder
            .write_variables("worker.env", &[("AWS_REGION", "us-east-1")])
            .unwrap();
        assert_eq!(read(&variables).unwrap(), "AWS_REGION=us-east-1\n");
        for path in [variables, folder.path("data/credentials")] {
            assert_eq!(
                fs::metadata(path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }
}
