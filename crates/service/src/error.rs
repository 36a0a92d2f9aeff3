//! The reasons why a use case failed; never an error of the caller.

use thiserror::Error;

use crate::ports::ScreeningUnavailable;
use crate::ports::{HashError, NoEntropy, SignError};
use crate::store::StoreError;

/// A use case failed. A change was either not made, or a retry finds it done.
#[derive(Debug, Error)]
pub enum UseCaseError {
    /// A store operation failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Hashing a password failed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// Signing a token failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Screening a new password failed.
    #[error(transparent)]
    Screen(#[from] ScreeningUnavailable),
    /// The platform returned no random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// Concurrent updates exhausted the retries; a retry of the use case reads the current state.
    #[error("concurrent updates; retries exhausted")]
    Contended,
    /// A revocation is written, but no feed row of it was committed within the bound that edges
    /// rely on.
    #[error("the revocation feed is too slow to acknowledge a revocation")]
    NotConfirmed,
}
