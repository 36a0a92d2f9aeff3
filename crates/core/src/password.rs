//! Passwords and their hashes, before and after the hashing itself.

use core::fmt;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The fewest code points of a password that stands alone (NIST SP 800-63B-4 §3.1.1.2).
pub const MIN_PASSWORD_CODE_POINTS: usize = 15;

/// The most code points: twice what ASVS 5.0 6.2.9 asks for, few enough to normalise at once.
pub const MAX_PASSWORD_CODE_POINTS: usize = 256;

/// A password as it is hashed: in NFC, at most 256 code points.
#[derive(Clone, Debug)]
pub struct Password(Secret<String>);

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum PasswordError {
    /// Fewer than 15 code points.
    #[error("a password has at least 15 characters; a few words in a row are easy to keep")]
    TooShort,
    /// More than 256 code points.
    #[error("a password has at most 256 characters")]
    TooLong,
}

impl Password {
    /// Reads a password as it was typed. Length is the only rule about its form: there are no
    /// composition rules (NIST SP 800-63B-4 §3.1.1.2).
    ///
    /// # Errors
    ///
    /// [`PasswordError::TooLong`].
    pub fn parse(typed: &Secret<String>) -> Result<Self, PasswordError> {
        let too_long = |text: &str| text.chars().count() > MAX_PASSWORD_CODE_POINTS;
        if too_long(typed.expose()) {
            return Err(PasswordError::TooLong);
        }
        // NFC makes at most three times the bytes (Unicode TR 15 §9): no growing buffer leaves
        // copies behind.
        let mut normal = Zeroizing::new(String::with_capacity(
            typed.expose().len().saturating_mul(3),
        ));
        normal.extend(typed.expose().nfc());
        if too_long(&normal) {
            return Err(PasswordError::TooLong);
        }
        Ok(Self(Secret::new(core::mem::take(&mut *normal))))
    }

    /// Judges it as the password an account is to have from now on.
    ///
    /// # Errors
    ///
    /// [`PasswordError::TooShort`].
    pub fn judge(&self) -> Result<(), PasswordError> {
        if self.0.expose().chars().count() < MIN_PASSWORD_CODE_POINTS {
            return Err(PasswordError::TooShort);
        }
        Ok(())
    }

    /// What is hashed.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

/// The longest PHC string that is kept, in bytes.
const MAX_PHC_BYTES: usize = 512;

/// A stored password hash in PHC string form: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.
///
/// Its parameters are for whoever hashes to read; here it is a text that never prints.
#[derive(Clone)]
pub struct PasswordHash(Secret<String>);

/// The text is no PHC string. Never quotes it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a password hash is a PHC string of printable ASCII")]
pub struct PasswordHashError;

impl PasswordHash {
    /// Reads a PHC string.
    ///
    /// # Errors
    ///
    /// [`PasswordHashError`] if it does not begin with `$`, is too long or not printable.
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

    fn parse(text: &str) -> Result<Password, PasswordError> {
        Password::parse(&Secret::new(text.to_owned()))
    }

    #[test]
    fn length_counts_code_points_after_nfc() {
        let judge = |text: &str| parse(text).expect("short enough").judge();
        assert_eq!(judge(&"\u{1f511}".repeat(14)), Err(PasswordError::TooShort));
        assert_eq!(judge(&"\u{1f511}".repeat(15)), Ok(()));
        assert_eq!(judge(&"e\u{301}".repeat(14)), Err(PasswordError::TooShort));
        assert_eq!(judge("               "), Ok(()));
    }

    #[test]
    fn at_least_128_are_allowed_and_256_at_most() {
        assert!(parse(&"a".repeat(256)).is_ok());
        assert_eq!(parse(&"a".repeat(257)).err(), Some(PasswordError::TooLong));
        // One code point that NFC makes three of: it must not pass the limit by expanding.
        assert_eq!(
            parse(&"\u{fb2c}".repeat(200)).err(),
            Some(PasswordError::TooLong)
        );
    }

    #[test]
    fn two_spellings_of_a_letter_are_one_password() {
        let (composed, decomposed) = (
            parse("caf\u{e9}").expect("fits"),
            parse("cafe\u{301}").expect("fits"),
        );
        assert_eq!(composed.as_bytes(), decomposed.as_bytes());
        assert_eq!(format!("{composed:?}"), "Password(Secret(..))");
    }

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
