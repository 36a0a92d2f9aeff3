//! Why a rotation came to no end.

use portcullis_core::keys::rotation::TooEarly;
use thiserror::Error;

use crate::ports::{NoEntropy, SignError};
use crate::rotate::ports::KeyFactoryError;
use crate::store::StoreError;

/// A step of a rotation was not done. Repeating it is always safe.
#[derive(Debug, Error)]
pub enum RotateError {
    /// The store or Secrets Manager did not do what it was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The platform gave no random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyFactoryError),
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The rotation before is not over.
    #[error(transparent)]
    TooEarly(#[from] TooEarly),
    /// The request token is no name that a version can have.
    #[error("the request token is not 32 to 64 letters, digits and hyphens")]
    Token,
    /// The version was not staged for a rotation.
    #[error("the version is not AWSPENDING")]
    NotPending,
    /// The version has no value yet: createSecret has not been done.
    #[error("the version has no key yet")]
    NotCreated,
    /// The key is not in the document, or cannot be: setSecret has not been done.
    #[error("the key of the version is not in the key document")]
    NotPublished,
    /// The key was withdrawn: this rotation ends here.
    #[error("the key of the version was withdrawn")]
    Withdrawn,
    /// What the key signs does not verify under the key in the document.
    #[error("a signature of the new key does not verify under the published key")]
    DoesNotVerify,
    /// Others kept changing the document, or each write took too long to be relied on.
    #[error("the key document could not be changed in time")]
    Contended,
}

impl RotateError {
    /// A stable name.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(_) => "store_unavailable",
            Self::Entropy(_) => "no_entropy",
            Self::Key(KeyFactoryError::NoKey) => "no_signing_key",
            Self::Key(KeyFactoryError::NotMade) => "key_not_made",
            Self::Sign(_) => "not_signed",
            Self::TooEarly(_) => "rotation_too_early",
            Self::Token => "bad_token",
            Self::NotPending => "not_pending",
            Self::NotCreated => "not_created",
            Self::NotPublished => "not_published",
            Self::Withdrawn => "key_withdrawn",
            Self::DoesNotVerify => "does_not_verify",
            Self::Contended => "document_contended",
        }
    }
}
