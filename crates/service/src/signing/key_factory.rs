//! The key factory: creates private keys, and is the only decoder of their stored form.

use core::error::Error;

use portcullis_core::secret::Secret;
use portcullis_core::token::algorithm::Algorithm;

use crate::ports::Signer;

/// Creates private keys, and decodes and encodes their stored form.
pub trait KeyFactory {
    /// A private key.
    type Key: Signer;

    /// The reason why there is no key. Never quotes its input.
    type Error: Error + 'static;

    /// Creates a key.
    ///
    /// # Errors
    ///
    /// If `algorithm` is unsupported, or no random bytes are available.
    fn make(&self, algorithm: Algorithm) -> Result<Self::Key, Self::Error>;

    /// Decodes a key.
    ///
    /// # Errors
    ///
    /// If it is invalid.
    fn read(&self, stored: &Secret<String>) -> Result<Self::Key, Self::Error>;

    /// Encodes a key.
    fn write(&self, key: &Self::Key) -> Secret<String>;
}
