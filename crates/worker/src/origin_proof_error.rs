//! The errors of the settings of the proof to the origin.

use thiserror::Error;

/// The settings of the proof are invalid. Never quotes a secret.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum OriginProofError {
    /// An unknown kind of proof.
    #[error("PORTCULLIS_ORIGIN_PROOF must be secret, assertion or none")]
    Kind,
    /// The kind needs a secret.
    #[error("PORTCULLIS_ORIGIN_PROOF needs PORTCULLIS_EDGE_SECRET")]
    NoSecret,
    /// The secret is short, or not visible ASCII.
    #[error("PORTCULLIS_EDGE_SECRET must have 32 or more visible ASCII characters")]
    Secret,
    /// Keys without `PORTCULLIS_ORIGIN_PROOF=assertion`.
    #[error("PORTCULLIS_ASSERTION_KEYS needs PORTCULLIS_ORIGIN_PROOF=assertion")]
    UnusedKeys,
    /// The keys are invalid.
    #[error(
        "PORTCULLIS_ASSERTION_KEYS must be a JWK Set of one or two private keys with kid and alg \
         EdDSA or ES256"
    )]
    Keys,
    /// The build cannot sign with private keys.
    #[error("PORTCULLIS_ASSERTION_KEYS needs a build with the feature assertion-keys")]
    NotBuilt,
}
