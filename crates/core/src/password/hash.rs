//! The stored hash of a password.

use core::fmt;

use thiserror::Error;

use crate::secret::Secret;

/// The maximum length of a stored PHC string, in bytes.
const MAX_PHC_BYTES: usize = 512;

/// A stored password hash in PHC string form: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.
///
/// Only the hasher parses its parameters; here it is an opaque text that is never printed.
#[derive(Clone)]
pub struct PasswordHash(Secret<String>);

/// The text is no PHC string. Never quotes it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a password hash is a PHC string of printable ASCII")]
pub struct PasswordHashError;

impl PasswordHash {
    /// Parses a PHC string.
    ///
    /// # Errors
    ///
    /// [`PasswordHashError`] if it does not start with `$`, is too long or not printable.
    pub fn parse(phc: &str) -> Result<Self, PasswordHashError> {
        let fits = phc.starts_with('$')
            && phc.len() <= MAX_PHC_BYTES
            && phc.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            Ok(Self(Secret::new(phc.to_owned())))
        } else {
            Err(PasswordHashError)
        }
    }

    /// The PHC string, for the store and the hasher.
    pub fn as_phc(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_a_phc_string_that_never_prints() {
        let hash =
            PasswordHash::parse("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA").expect("PHC");
        assert_eq!(format!("{hash:?}"), "PasswordHash(..)");
        for bad in [
            "",
            "plain",
            "$a b",
            "$a\n",
            &format!("${}", "a".repeat(512)),
        ] {
            assert!(PasswordHash::parse(bad).is_err());
        }
    }
}
