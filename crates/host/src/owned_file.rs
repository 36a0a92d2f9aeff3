//! Secrets in a file, for a host that is alone on its machine: made on the first start, readable
//! by its owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use portcullis_core::secret::Secret;
use portcullis_service::ports::{NoEntropy, SecureRandom as _};
use thiserror::Error;
use tracing::{info, warn};

use crate::random::SystemRandom;

/// The longest file that is read: four times an RSA key of 4096 bits.
const MAX_BYTES: u64 = 16 * 1024;

/// The file is not to be had. Never quotes its content.
#[derive(Debug, Error)]
pub enum OwnedFileError {
    /// It is there and cannot be read.
    #[error("the file {} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// It is not there and cannot be made.
    #[error("the file {} cannot be made", .0.display())]
    Make(PathBuf, #[source] io::Error),
    /// Nothing could be drawn to put into it.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

/// Reads the file at `path`; where there is none, makes it with what `draw` gives first.
pub(crate) fn load_or_make<E: From<OwnedFileError>>(
    path: &Path,
    draw: impl FnOnce() -> Result<Secret<String>, E>,
) -> Result<Secret<String>, E> {
    match read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => make(path, &draw()?)?,
        _ => {}
    }
    // Also after making one: if two hosts made one, the file that came first counts for both.
    read(path).map_err(|error| OwnedFileError::Read(path.to_owned(), error).into())
}

fn read(path: &Path) -> io::Result<Secret<String>> {
    let file = File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        warn!(path = %path.display(), "others on this machine may read this secret");
    }
    // Room for all of it at once: no growing buffer leaves copies behind.
    let mut text = String::with_capacity(usize::try_from(MAX_BYTES).unwrap_or_default());
    let read = file.take(MAX_BYTES).read_to_string(&mut text);
    let text = Secret::new(text);
    read.map(|_| text)
}

/// Writes the secret beside its place and links it there: nobody ever sees half a file, and a file
/// that another host put there meanwhile stays.
fn make(path: &Path, secret: &Secret<String>) -> Result<(), OwnedFileError> {
    let failed = |error| OwnedFileError::Make(path.to_owned(), error);
    let draft = path.with_added_extension(format!("{}.draft", SystemRandom.id()?));
    let linked = write(&draft, secret).and_then(|()| fs::hard_link(&draft, path));
    // Whatever happened, no second copy of a secret stays behind.
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
