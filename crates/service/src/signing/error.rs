//! The reasons why no key signs.

use core::error::Error;

use thiserror::Error;

use crate::store::StoreError;

/// There is no key to sign with. Never quotes one.
#[derive(Debug, Error)]
pub enum SigningError<E: Error + 'static> {
    /// The versions are not to be had, or hold no key.
    #[error(transparent)]
    SigningKeySource(E),
    /// No version is in force.
    #[error("the signing secret has no current version")]
    NoCurrent,
    /// The key cannot be verified by anyone else: it is a shared secret.
    #[error("the signing key is a shared secret, which cannot be published")]
    Unpublishable,
    /// The document says that the key's time is over.
    #[error("the signing key has been retired in the key document")]
    Retired,
    /// Neither version of the secret signs now: not published by a rotation, withdrawn, or ended.
    #[error("the key document lets neither version of the signing key sign now")]
    NoneSigns,
    /// One would sign, but its end is known and the tokens of this host would outlive it.
    #[error(
        "tokens would outlive the key that signs: they live longer here than its rotation reckoned with"
    )]
    Outlived,
    /// Other hosts kept changing the document.
    #[error("the key document kept changing while the signing key was published")]
    Contended,
    /// This host's key could not be published. Whoever may write the document can do so by a rotation.
    #[error("the first signing key could not be published; a rotation publishes one, too")]
    Publication(#[source] StoreError),
    /// The key document cannot be read.
    #[error("the key document cannot be read")]
    Document(#[from] StoreError),
}
