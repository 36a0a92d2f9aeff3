//! Passwords and their hashes, before and after the hashing itself.

pub mod advice;
mod hash;
pub mod judge;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

pub use self::hash::{PasswordHash, PasswordHashError};
use crate::secret::Secret;

/// The fewest code points of a password that stands alone (NIST SP 800-63B-4 §3.1.1.2).
pub const MIN_PASSWORD_CODE_POINTS: usize = 15;

/// The fewest code points of a password that a second factor stands beside (the same section).
pub const MIN_CODE_POINTS_BESIDE_FACTOR: usize = 8;

/// The most code points: twice what ASVS 5.0 6.2.9 asks for, few enough to normalise at once.
pub const MAX_PASSWORD_CODE_POINTS: usize = 256;

/// A password as it is hashed: in NFC, at most 256 code points.
#[derive(Clone, Debug)]
pub struct Password(Secret<String>);

/// Why a password is not taken.
///
/// Exhaustive on purpose: see `Denial`.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum PasswordError {
    /// Fewer than 15 code points, and nothing beside it.
    #[error("a password has at least 15 characters; a few words in a row are easy to keep")]
    TooShort,
    /// Fewer than 8 code points beside a second factor.
    #[error("beside a second factor, a password has at least 8 characters")]
    TooShortBesideFactor,
    /// More than 256 code points.
    #[error("a password has at most 256 characters")]
    TooLong,
    /// A few characters over and over.
    #[error("this password repeats a few characters; it is as easy to guess as they are")]
    Repeats,
    /// On a list of what attackers try first.
    #[error("this password is on a list of common ones, which are tried first")]
    Common,
    /// Known from a breach of some other service.
    #[error("this password was found in a breach of another service")]
    Breached,
    /// Little more than the account's own address.
    #[error("without parts of your address, less than 8 characters of this password are left")]
    ContainsAddress,
    /// Little more than the service's name.
    #[error("without the name of this service, less than 8 characters of this password are left")]
    ContainsServiceName,
    /// Weaker than the operator wants it.
    #[error("this password is easy to guess")]
    TooWeak,
}

impl PasswordError {
    /// A stable name.
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

    /// As text, for whoever judges it.
    pub fn as_text(&self) -> &str {
        self.0.expose()
    }

    /// What is hashed.
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
}
