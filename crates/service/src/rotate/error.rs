//! The reasons why a rotation failed.

use portcullis_core::keys::rotation::TooEarly;
use thiserror::Error;

use crate::ports::{NoEntropy, SignError};
use crate::store::StoreError;

/// A step of a rotation failed. A retry is always safe.
#[derive(Debug, Error)]
pub enum RotateError {
    /// An operation of the store or of Secrets Manager failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The platform returned no random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The version contains no usable signing key.
    #[error("the version of the secret holds no signing key")]
    NoKey,
    /// No key could be created.
    #[error("no signing key could be created for this algorithm")]
    NotMade,
    /// Signing with the key failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The previous rotation is not finished.
    #[error(transparent)]
    TooEarly(#[from] TooEarly),
    /// The request token is not a valid version id.
    #[error("the request token is not 32 to 64 letters, digits and hyphens")]
    Token,
    /// The version was not staged for a rotation.
    #[error("the version is not AWSPENDING")]
    NotPending,
    /// The version has no value yet: createSecret has not run.
    #[error("the version has no key yet")]
    NotCreated,
    /// The key is not in the document, or cannot be: setSecret has not run.
    #[error("the key of the version is not in the key document")]
    NotPublished,
    /// The key was revoked: this rotation ends here.
    #[error("the key of the version was revoked")]
    KeyRevoked,
    /// The signature of the key does not verify under the key in the document.
    #[error("a signature of the new key does not verify under the published key")]
    DoesNotVerify,
    /// Concurrent changes of the document exhausted the retries, or each write took longer than the
    /// bound.
    #[error("the key document could not be changed in time")]
    Contended,
}

impl RotateError {
    /// A stable identifier.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(_) => "store_unavailable",
            Self::Entropy(_) => "no_entropy",
            Self::NoKey => "no_signing_key",
            Self::NotMade => "key_not_made",
            Self::Sign(_) => "not_signed",
            Self::TooEarly(_) => "rotation_too_early",
            Self::Token => "bad_token",
            Self::NotPending => "not_pending",
            Self::NotCreated => "not_created",
            Self::NotPublished => "not_published",
            Self::KeyRevoked => "key_withdrawn",
            Self::DoesNotVerify => "does_not_verify",
            Self::Contended => "document_contended",
        }
    }
}
