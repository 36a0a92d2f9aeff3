//! The settings of the layer.

use core::time::Duration;
use std::sync::Arc;

use portcullis_core::assertion::verification::ProofError;
use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_core::keys::set::JwkSet;
use portcullis_core::secret::Secret;
use portcullis_core::time::UnixTime;
use portcullis_core::token::algorithm::Algorithm;
use thiserror::Error;

use crate::key_source::CachedKeys;

/// A setting is invalid. Never quotes a secret.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum SettingError {
    /// There is not one secret or two, of 32 or more visible ASCII characters.
    #[error(
        "the edge has one secret, or two during a rotation, of 32 or more visible ASCII characters"
    )]
    Secrets,
    /// The text is no JWK Set of public keys.
    #[error("the keys must be a JWK Set of public keys, each with kid and alg EdDSA or ES256")]
    Keys,
    /// The leeway exceeds [`MAX_LEEWAY`](crate::MAX_LEEWAY).
    #[error("the leeway must be at most 60 seconds")]
    Leeway,
    /// The prefix is invalid.
    #[error(
        "the identity prefix must be lower-case letters, digits and hyphens, and end with a hyphen"
    )]
    Prefix,
}

/// The settings of the layer.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) expected: Arc<Expected>,
    pub(crate) audience: String,
    pub(crate) hosts: Option<Vec<String>>,
    pub(crate) leeway: Duration,
    pub(crate) prefix: String,
    pub(crate) on_rejection: Arc<dyn Fn(ProofError) + Send + Sync>,
    pub(crate) clock: fn() -> UnixTime,
}

/// The expected proof.
pub(crate) enum Expected {
    /// The secret itself, one of these.
    Secret(Vec<Secret<String>>),
    /// An assertion with an HMAC under one of these keys.
    SharedKeys(Vec<VerifyingKey>),
    /// An assertion with the signature of one of these keys.
    Keys(JwkSet),
    /// The same, with published keys.
    Published(CachedKeys),
}

/// Whether a key verifies assertions: it fixes `EdDSA` or `ES256`.
pub(crate) const fn is_public_key(key: &VerifyingKey) -> bool {
    matches!(key.algorithm(), Some(Algorithm::EdDsa | Algorithm::Es256))
}
