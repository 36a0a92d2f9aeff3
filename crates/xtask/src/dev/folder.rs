//! What a local system keeps: `data/` (database, keys), `logs/`, the Worker's variables and wrangler's state.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::workspace::read;

/// The folder, ours alone until it is dropped.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Credentials of the local database. Made by chance once for each `data/`; the engine itself checks none.
pub(super) struct Secrets {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
}

impl Folder {
    /// Makes it where it is missing; `fresh` throws the data of the last time away.
    ///
    /// # Errors
    ///
    /// When another local system uses it.
    pub(super) fn open(path: &Path, fresh: bool) -> Result<Self> {
        make(path)?;
        let lock = File::create(path.join("lock")).context("cannot make the folder's lock")?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another `cargo xtask dev` uses {}: end it, or choose another folder by --folder",
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

    /// A file or folder in it.
    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.path.join(below)
    }

    /// The credentials that belong to this data, made on the first call.
    pub(super) fn secrets(&self) -> Result<Secrets> {
        let path = self.path("data/credentials");
        if !path.exists() {
            let secrets = format!(
                "PORTCULLIS{}\n{}\n",
                random_hex::<5>()?,
                random_hex::<20>()?
            );
            write_private(&path, &secrets)?;
        }
        let text = read(&path)?;
        let mut lines = text.lines().map(str::to_owned);
        let (Some(access_key_id), Some(secret_access_key)) = (lines.next(), lines.next()) else {
            bail!(
                "{} does not hold two lines: start with --fresh",
                path.display()
            );
        };
        Ok(Secrets {
            access_key_id,
            secret_access_key,
        })
    }

    /// Writes a file of `NAME=value` lines and says where it is.
    pub(super) fn write_variables(
        &self,
        name: &str,
        variables: &[(&str, &str)],
    ) -> Result<PathBuf> {
        let path = self.path(name);
        let lines: String = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect();
        write_private(&path, &lines)?;
        Ok(path)
    }
}

fn random_hex<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02X}")).collect())
}

/// Only its owner may read it.
fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    file.with_context(|| format!("cannot write {}", path.display()))
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder of its own for each test, gone at its end.
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
    fn a_folder_in_use_is_refused_by_name() {
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
    fn nobody_else_may_read_the_secrets() {
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
