//! Why a key is not taken.

use thiserror::Error;

use crate::keys::rsa::RsaModulusError;

/// Why a JWK is not taken. Never quotes it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum JwkError {
    /// Not an object with each member once, or a member of the wrong type.
    #[error("not a JSON Web Key: an object with a text kty, each member once")]
    Malformed,
    /// `kty` or `crv` is none we use.
    #[error("the key type or curve is not one in use here")]
    UnsupportedType,
    /// A member the key type needs is missing, or not canonical base64url of the right length.
    #[error("the key's numbers are missing, not base64url or of the wrong length")]
    BadNumber,
    /// A public key was expected, and this one has private members.
    #[error("the key holds private members where a public key belongs")]
    Private,
    /// `use` or `key_ops` says it is for something else.
    #[error("the key's use or key_ops is not the checking of signatures")]
    NotForSignatures,
    /// `alg` is unknown or does not belong to this type of key.
    #[error("the key's alg is unknown or does not fit its type")]
    WrongAlgorithm,
    /// Too weak to trust, or too large to check.
    #[error("the RSA key is not acceptable: {0}")]
    WeakRsa(#[from] RsaModulusError),
    /// The public exponent is even, 1 or beyond 32 bits.
    #[error("the RSA exponent must be odd, at least 3 and at most 32 bits")]
    BadExponent,
    /// A shared secret shorter than its hash.
    #[error("an HMAC key has at least 32 bytes")]
    ShortSecret,
    /// `kid` is no text, empty or too long.
    #[error("the key's kid is no text of 1 to 256 bytes")]
    BadKeyId,
}
