//! The errors of loading or generating a signing key.

use portcullis_core::keys::jwk::JwkError;
use thiserror::Error;

/// There is no usable signing key. Never quotes the given key.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum SigningKeyError {
    /// The text is not a JWK object with unique members, `kty` and, for RSA, `alg`.
    #[error("the signing key is not a JSON Web Key")]
    Malformed,
    /// Tokens are not issued with this type, curve or algorithm.
    #[error("tokens are not issued with this type of key or algorithm")]
    Unsupported,
    /// The private members are missing, do not match the public ones, or are too weak.
    #[error("the signing key's numbers are missing, inconsistent or too weak")]
    Rejected,
    /// The public half is invalid.
    #[error("the public half of the signing key is invalid: {0}")]
    Public(#[from] JwkError),
    /// The platform provided no random bytes.
    #[error("the platform provided no random bytes for a signing key")]
    NoEntropy,
}
