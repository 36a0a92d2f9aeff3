//! The reasons to reject a key.

use thiserror::Error;

use crate::keys::rsa::RsaModulusError;

/// The reason why a JWK is rejected. Never quotes it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum JwkError {
    /// The JWK is no object, repeats a member or has a member of the wrong type.
    #[error("not a JSON Web Key: an object with a text kty, each member once")]
    Malformed,
    /// `kty` or `crv` is unsupported.
    #[error("the key type or curve is not one in use here")]
    UnsupportedType,
    /// A member that the key type requires is missing, or is not canonical base64url of the right
    /// length.
    #[error("the key's numbers are missing, not base64url or of the wrong length")]
    BadNumber,
    /// The JWK has private members where a public key is expected.
    #[error("the key holds private members where a public key belongs")]
    Private,
    /// `use` or `key_ops` excludes signature verification.
    #[error("the key's use or key_ops is not the checking of signatures")]
    NotForSignatures,
    /// `alg` is unknown or does not fit the key type.
    #[error("the key's alg is unknown or does not fit its type")]
    WrongAlgorithm,
    /// The modulus is too weak to trust, or too large to check.
    #[error("the RSA key is not acceptable: {0}")]
    WeakRsa(#[from] RsaModulusError),
    /// The public exponent is even, 1 or longer than 32 bits.
    #[error("the RSA exponent must be odd, at least 3 and at most 32 bits")]
    BadExponent,
    /// The shared secret is shorter than its hash.
    #[error("an HMAC key has at least 32 bytes")]
    ShortSecret,
    /// `kid` is not a string, is empty or is too long.
    #[error("the key's kid is no text of 1 to 256 bytes")]
    BadKeyId,
}
