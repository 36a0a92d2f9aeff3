//! Generated identifiers: random, opaque, safe in a store key, a header and a URL.

use core::fmt;

use thiserror::Error;

use crate::base64url;

/// The identifier of a user, session, token or request: 1 to 64 of `A-Z a-z 0-9 - _`.
///
/// A generated one has 128 random bits in 22 characters, so it cannot be guessed.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Id(String);

/// The text is no [`Id`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("an id is 1 to 64 letters, digits, hyphens or underscores")]
pub struct IdError;

impl Id {
    /// Encodes 128 random bits as an identifier.
    pub fn from_random(bits: [u8; 16]) -> Self {
        Self(base64url::encode(&bits))
    }

    /// Parses an identifier from outside.
    ///
    /// # Errors
    ///
    /// [`IdError`] if the text is empty, too long or has another character.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError)
        }
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_id_parses() {
        let id = Id::from_random([0xff; 16]);
        assert_eq!(id.as_str(), "_____________________w");
        assert_eq!(Id::parse(id.as_str()), Ok(id));
    }

    #[test]
    fn a_text_that_could_alter_its_store_key_is_no_id() {
        let longest = "a".repeat(64);
        assert!(Id::parse(&longest).is_ok());
        for text in ["", "a#b", "a b", "ä", "a/b", &format!("{longest}a")] {
            assert_eq!(Id::parse(text), Err(IdError));
        }
    }
}
