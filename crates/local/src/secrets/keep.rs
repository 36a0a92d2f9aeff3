//! Stores secrets in a file that only its owner can read.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::{KeptSecret, LocalSecrets};

impl LocalSecrets {
    /// A Secrets Manager with its data in the file at `path`, which is created at the first change.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or has another format.
    pub fn on_file(path: PathBuf) -> io::Result<Self> {
        let secrets = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(fault) => return Err(fault),
        };
        Ok(Self::with(secrets, Some(path)))
    }
}

/// Writes a temporary file and then renames it: after an interruption the old file is intact.
pub(super) fn write(path: &Path, secrets: &BTreeMap<String, KeptSecret>) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&draft)?;
    file.write_all(&serde_json::to_vec(secrets)?)?;
    file.sync_all()?;
    fs::rename(draft, path)
}
