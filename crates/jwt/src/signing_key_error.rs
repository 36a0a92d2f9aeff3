//! The reasons why a private key cannot sign tokens.

use portcullis_core::keys::jwk::JwkError;
use thiserror::Error;

/// There is no signing key. Never quotes the one that was offered.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum SigningKeyError {
    /// The text is no JWK object with each member once, `kty` and, for RSA, `alg`.
    #[error("the signing key is not a JSON Web Key")]
    Malformed,
    /// The type, curve or algorithm is none that tokens are issued with.
    #[error("no tokens are issued with this type of key or algorithm")]
    Unsupported,
    /// The private members are missing, do not belong to the public ones, or are too weak.
    #[error("the signing key's numbers are missing, inconsistent or too weak")]
    Rejected,
    /// The public half is not acceptable.
    #[error("the public half of the signing key is not acceptable: {0}")]
    Public(#[from] JwkError),
    /// The platform gave no random bytes.
    #[error("the platform gave no random bytes for a signing key")]
    NoEntropy,
}
