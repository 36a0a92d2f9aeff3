//! A signing key in a file, for a host that is alone on its machine.

use std::path::{Path, PathBuf};

use portcullis_core::token::algorithm::Algorithm;
use portcullis_jwt::{SigningKey, SigningKeyError};
use thiserror::Error;

use crate::owned_file::{self, OwnedFileError};

/// The file yields no key. Never quotes its content.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The file is unavailable.
    #[error(transparent)]
    File(#[from] OwnedFileError),
    /// The file contains no signing key, or no key could be generated.
    #[error("the key file {} holds no signing key", .0.display())]
    Key(PathBuf, #[source] SigningKeyError),
}

/// Reads the key in the file at `path`; if the file is missing, generates a key and creates the
/// file.
pub(super) fn load_or_make(path: &Path) -> Result<SigningKey, KeyFileError> {
    let failed = |error| KeyFileError::Key(path.to_owned(), error);
    let text = owned_file::load_or_make(path, || {
        let key = SigningKey::generate(Algorithm::EdDsa).map_err(failed)?;
        Ok::<_, KeyFileError>(key.to_jwk())
    })?;
    SigningKey::from_jwk(&text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::thread;

    use portcullis_service::ports::{SecureRandom as _, Signer as _};

    use super::*;
    use crate::random::SystemRandom;

    /// A folder for one test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("portcullis-key-{}", SystemRandom.id().expect("entropy"));
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
    fn a_signing_key_file_is_created_once_with_mode_0600() {
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
            "no temporary file remains"
        );
    }

    #[test]
    fn hosts_that_start_together_agree_on_one_signing_key() {
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
            "no temporary file remains"
        );
    }

    #[test]
    fn a_file_without_a_key_is_left_unchanged_and_never_quoted() {
        let folder = Folder::new();
        fs::write(folder.key(), "hunter2").expect("written");
        let error = load_or_make(&folder.key()).map(|_| ()).expect_err("no key");
        assert!(matches!(error, KeyFileError::Key(..)));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert_eq!(fs::read(folder.key()).expect("there"), b"hunter2");
    }

    #[test]
    fn an_unwritable_key_path_is_named_in_the_error() {
        let folder = Folder::new();
        let nowhere = folder.0.join("missing").join("signing-key.json");
        let error = load_or_make(&nowhere)
            .map(|_| ())
            .expect_err("no such folder");
        assert!(
            matches!(error, KeyFileError::File(OwnedFileError::Make(..)))
                && error.to_string().contains("missing")
        );
    }
}
