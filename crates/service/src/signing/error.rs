//! The reasons why no key signs.

use core::error::Error;

use thiserror::Error;

use crate::ports::NoEntropy;
use crate::store::StoreError;

/// No signing key is available. Never quotes a key.
#[derive(Debug, Error)]
pub enum SigningError<E: Error + 'static> {
    /// A port failed: the versions are unavailable or contain no key, or the context cannot be
    /// opened.
    #[error(transparent)]
    Port(E),
    /// The platform returned no random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The secret has no current version.
    #[error("the signing secret has no current version")]
    NoCurrent,
    /// The key is a shared secret, so third parties cannot verify with it.
    #[error("the signing key is a shared secret, which cannot be published")]
    Unpublishable,
    /// The key has ended by the key document.
    #[error("the signing key has been retired in the key document")]
    Retired,
    /// Neither version of the secret signs now: unpublished, revoked or ended.
    #[error("the key document lets neither version of the signing key sign now")]
    NoneSigns,
    /// A key could sign, but it has an end that the tokens of this host would outlive.
    #[error(
        "PORTCULLIS_ACCESS_LIFETIME is longer than the rotation assumed; tokens would outlive the signing key"
    )]
    Outlived,
    /// Concurrent changes of the document by other hosts exhausted the retries.
    #[error("concurrent changes of the key document; could not publish the signing key")]
    Contended,
    /// This host's key could not be published. A rotation, which may write the document, can
    /// publish a key.
    #[error("the first signing key could not be published; a rotation can publish one")]
    Publication(#[source] StoreError),
    /// The key document cannot be read.
    #[error("the key document cannot be read")]
    Document(#[from] StoreError),
}
