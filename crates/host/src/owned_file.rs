//! Secrets in a file, for a host that is alone on its machine: created at the first start, readable
//! by its owner only.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use portcullis_core::secret::Secret;
use portcullis_service::ports::{NoEntropy, SecureRandom as _};
use thiserror::Error;
use tracing::{info, warn};

use crate::random::SystemRandom;
use crate::regular_file;

/// The maximum file size: four times an RSA key of 4096 bits.
const MAX_BYTES: u64 = 16 * 1024;

/// The file is unavailable. Never quotes its content.
#[derive(Debug, Error)]
pub enum OwnedFileError {
    /// It exists and cannot be read.
    #[error("the file {} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// It is missing and cannot be created.
    #[error("the file {} cannot be created", .0.display())]
    Make(PathBuf, #[source] io::Error),
    /// No content could be generated for it.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

/// Reads the file at `path`; if it is missing, creates it with the content of `draw`.
pub(crate) fn load_or_make<E: From<OwnedFileError>>(
    path: &Path,
    draw: impl FnOnce() -> Result<Secret<String>, E>,
) -> Result<Secret<String>, E> {
    match read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => make(path, &draw()?)?,
        _ => {}
    }
    // Read again after creating it: if two hosts created one, the first file counts for both.
    read(path).map_err(|error| OwnedFileError::Read(path.to_owned(), error).into())
}

fn read(path: &Path) -> io::Result<Secret<String>> {
    let file = regular_file::open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        warn!(path = %path.display(), "other users of this machine may read this secret");
    }
    // The full size at once, because a growing buffer leaves copies.
    let mut text = String::with_capacity(usize::try_from(MAX_BYTES).unwrap_or_default());
    let read = file.take(MAX_BYTES).read_to_string(&mut text);
    let text = Secret::new(text);
    read.map(|_| text)
}

/// Writes a temporary file and links it into place: no reader sees half a file, and a file of
/// another host is kept.
fn make(path: &Path, secret: &Secret<String>) -> Result<(), OwnedFileError> {
    let failed = |error| OwnedFileError::Make(path.to_owned(), error);
    let draft = path.with_added_extension(format!("{}.draft", SystemRandom.id()?));
    let linked = write(&draft, secret).and_then(|()| fs::hard_link(&draft, path));
    // No second copy of a secret remains in any case.
    let removed = fs::remove_file(&draft);
    match linked {
        Ok(()) => info!(path = %path.display(), "made a secret"),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    removed.map_err(failed)
}

fn write(draft: &Path, secret: &Secret<String>) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)?;
    file.write_all(secret.expose().as_bytes())?;
    file.sync_all()
}
