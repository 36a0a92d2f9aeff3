//! Passwords and their hashes, before and after the hashing.

pub mod advice;
mod hash;
pub mod rules;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

pub use self::hash::{PasswordHash, PasswordHashError};
use crate::secret::Secret;

/// The minimum number of code points of a password without a second factor (NIST SP 800-63B-4
/// §3.1.1.2).
pub const MIN_PASSWORD_CODE_POINTS: usize = 15;

/// The minimum number of code points of a password with a second factor (the same section).
pub const MIN_CODE_POINTS_BESIDE_FACTOR: usize = 8;

/// The maximum number of code points: twice the requirement of ASVS 5.0 6.2.9, and few enough to
/// normalise at once.
pub const MAX_PASSWORD_CODE_POINTS: usize = 256;

/// A password as it is hashed: in NFC, at most 256 code points.
#[derive(Clone, Debug)]
pub struct Password(Secret<String>);

/// The reason why a password is rejected.
///
/// Exhaustive on purpose: see `Denial`.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum PasswordError {
    /// Fewer than 15 code points without a second factor.
    #[error("a password has at least 15 characters; a few words in a row are easy to keep")]
    TooShort,
    /// Fewer than 8 code points with a second factor.
    #[error("beside a second factor, a password has at least 8 characters")]
    TooShortBesideFactor,
    /// More than 256 code points.
    #[error("a password has at most 256 characters")]
    TooLong,
    /// A short repeated sequence.
    #[error("this password repeats a few characters; it is as easy to guess as they are")]
    Repeats,
    /// On the list of common passwords.
    #[error("this password is on a list of common ones, which are tried first")]
    Common,
    /// Known from a breach of another service.
    #[error("this password was found in a breach of another service")]
    Breached,
    /// Little more than the account's address.
    #[error("without parts of your address, less than 8 characters of this password are left")]
    ContainsAddress,
    /// Little more than the service's name.
    #[error("without the name of this service, less than 8 characters of this password are left")]
    ContainsServiceName,
    /// Below the operator's minimum score.
    #[error("this password is easy to guess")]
    TooWeak,
}

impl PasswordError {
    /// A stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooShort | Self::TooShortBesideFactor => "password_too_short",
            Self::TooLong => "password_too_long",
            Self::Repeats => "password_repeats",
            Self::Common => "password_common",
            Self::Breached => "password_breached",
            Self::ContainsAddress => "password_contains_address",
            Self::ContainsServiceName => "password_contains_service_name",
            Self::TooWeak => "password_too_weak",
        }
    }
}

impl Password {
    /// Whether it is accepted only beside a second factor.
    pub fn needs_factor(&self) -> bool {
        self.as_text().chars().count() < MIN_PASSWORD_CODE_POINTS
    }

    /// Parses a password as it was typed. Only the length matters: there are no composition rules
    /// (NIST SP 800-63B-4 §3.1.1.2).
    ///
    /// # Errors
    ///
    /// [`PasswordError::TooLong`].
    pub fn parse(typed: &Secret<String>) -> Result<Self, PasswordError> {
        let too_long = |text: &str| text.chars().count() > MAX_PASSWORD_CODE_POINTS;
        if too_long(typed.expose()) {
            return Err(PasswordError::TooLong);
        }
        // NFC makes at most three times the bytes (Unicode TR 15 §9). The buffer has that size,
        // because a growing one leaves copies.
        let mut normal = Zeroizing::new(String::with_capacity(
            typed.expose().len().saturating_mul(3),
        ));
        normal.extend(typed.expose().nfc());
        if too_long(&normal) {
            return Err(PasswordError::TooLong);
        }
        Ok(Self(Secret::new(core::mem::take(&mut *normal))))
    }

    /// The text, for checks.
    pub fn as_text(&self) -> &str {
        self.0.expose()
    }

    /// The bytes to hash.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Password, PasswordError> {
        Password::parse(&Secret::new(text.to_owned()))
    }

    #[test]
    fn a_password_has_at_most_256_code_points() {
        assert!(parse(&"a".repeat(256)).is_ok());
        assert_eq!(parse(&"a".repeat(257)).err(), Some(PasswordError::TooLong));
        // NFC expands one code point to three: it must not pass the limit by expanding.
        assert_eq!(
            parse(&"\u{fb2c}".repeat(200)).err(),
            Some(PasswordError::TooLong)
        );
    }

    #[test]
    fn two_unicode_spellings_of_a_letter_are_one_password() {
        let (composed, decomposed) = (
            parse("caf\u{e9}").expect("fits"),
            parse("cafe\u{301}").expect("fits"),
        );
        assert_eq!(composed.as_bytes(), decomposed.as_bytes());
        assert_eq!(format!("{composed:?}"), "Password(Secret(..))");
    }
}
