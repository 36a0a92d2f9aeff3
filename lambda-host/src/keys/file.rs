//! A signing key in a file, for a host that is alone on its machine: made on the first start,
//! readable by its owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use portcullis_core::secret::Secret;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_jwt::{SigningKey, SigningKeyError};
use portcullis_service::ports::{Chance as _, NoEntropy};
use thiserror::Error;
use tracing::{info, warn};

use crate::chance::SystemChance;

/// The longest key file that is read: four times an RSA key of 4096 bits.
const MAX_KEY_BYTES: u64 = 16 * 1024;

/// The file gives no key. Never quotes its content.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// It is there and cannot be read.
    #[error("the key file {} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// It is not there and cannot be made.
    #[error("the key file {} cannot be made", .0.display())]
    Make(PathBuf, #[source] io::Error),
    /// What it holds is no signing key.
    #[error("the key file {} holds no signing key", .0.display())]
    Key(PathBuf, #[source] SigningKeyError),
    /// No key could be drawn.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

/// Reads the key in the file at `path`; where there is no file, makes a key and the file.
pub(super) fn load_or_make(path: &Path) -> Result<SigningKey, KeyFileError> {
    match read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => make(path)?,
        _ => {}
    }
    // Also after making one: if two hosts made one, the file that came first counts for both.
    let text = read(path).map_err(|error| KeyFileError::Read(path.to_owned(), error))?;
    SigningKey::from_jwk(&text).map_err(|error| KeyFileError::Key(path.to_owned(), error))
}

fn read(path: &Path) -> io::Result<Secret<String>> {
    let file = File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        warn!(path = %path.display(), "others on this machine may read the signing key");
    }
    // Room for all of it at once: no growing buffer leaves copies behind.
    let mut text = String::with_capacity(usize::try_from(MAX_KEY_BYTES).unwrap_or_default());
    let read = file.take(MAX_KEY_BYTES).read_to_string(&mut text);
    let text = Secret::new(text);
    read.map(|_| text)
}

/// Writes a new key beside its place and links it there: nobody ever sees half a file, and a file
/// that another host put there meanwhile stays.
fn make(path: &Path) -> Result<(), KeyFileError> {
    let failed = |error| KeyFileError::Make(path.to_owned(), error);
    let key = SigningKey::generate(Algorithm::EdDsa)
        .map_err(|error| KeyFileError::Key(path.to_owned(), error))?;
    let draft = path.with_added_extension(format!("{}.draft", SystemChance.id()?));
    let linked = write(&draft, &key).and_then(|()| fs::hard_link(&draft, path));
    // Whatever happened, no second copy of a key stays behind.
    let removed = fs::remove_file(&draft);
    match linked {
        Ok(()) => info!(path = %path.display(), "made a signing key"),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    removed.map_err(failed)
}

fn write(draft: &Path, key: &SigningKey) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)?;
    file.write_all(key.to_jwk().expose().as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use portcullis_service::ports::Signer as _;

    use super::*;

    /// A folder of its own for each test, gone at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("portcullis-key-{}", SystemChance.id().expect("entropy"));
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).expect("a new folder");
            Self(path)
        }

        fn key(&self) -> PathBuf {
            self.0.join("signing-key.json")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn id(key: &SigningKey) -> &str {
        key.key().id().expect("named")
    }

    #[test]
    fn a_key_is_made_once_and_readable_by_its_owner_alone() {
        let folder = Folder::new();
        let made = load_or_make(&folder.key()).expect("made");
        let mode = fs::metadata(folder.key())
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = load_or_make(&folder.key()).expect("read");
        assert_eq!(id(&made), id(&read));
        assert_eq!(
            fs::read_dir(&folder.0).expect("there").count(),
            1,
            "no draft is left"
        );
    }

    #[test]
    fn hosts_that_start_together_end_with_one_key() {
        let folder = Folder::new();
        let path = &folder.key();
        let ids: Vec<String> = thread::scope(|scope| {
            let start = || id(&load_or_make(path).expect("a key")).to_owned();
            let hosts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            hosts
                .into_iter()
                .map(|host| host.join().expect("no panic"))
                .collect()
        });
        assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
        assert_eq!(
            fs::read_dir(&folder.0).expect("there").count(),
            1,
            "no draft is left"
        );
    }

    #[test]
    fn a_file_that_holds_no_key_stays_as_it_is_and_is_never_quoted() {
        let folder = Folder::new();
        fs::write(folder.key(), "hunter2").expect("written");
        let error = load_or_make(&folder.key()).map(|_| ()).expect_err("no key");
        assert!(matches!(error, KeyFileError::Key(..)));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert_eq!(fs::read(folder.key()).expect("there"), b"hunter2");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let folder = Folder::new();
        let nowhere = folder.0.join("missing").join("signing-key.json");
        let error = load_or_make(&nowhere)
            .map(|_| ())
            .expect_err("no such folder");
        assert!(matches!(error, KeyFileError::Make(..)) && error.to_string().contains("missing"));
    }
}
