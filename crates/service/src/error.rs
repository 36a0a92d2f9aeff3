//! Why a use case came to no end: never the caller's fault.

use thiserror::Error;

use crate::ports::ScreeningUnavailable;
use crate::ports::{HashError, NoEntropy, SignError};
use crate::store::StoreError;

/// A use case came to no end. Whatever it was to change is unchanged or will be found done by a
/// repetition.
#[derive(Debug, Error)]
pub enum UseCaseError {
    /// The store did not do what it was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A password was not hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A token was not signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A new password could not be screened.
    #[error(transparent)]
    Screen(#[from] ScreeningUnavailable),
    /// The platform gave no random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// Others changed what was to be changed, again and again; a repetition finds how it stands.
    #[error("others were faster, again and again")]
    Contended,
    /// A revocation is written, but no feed row of it came within the bound that edges rely on.
    #[error("the revocation feed is too slow to acknowledge a revocation")]
    NotConfirmed,
}
