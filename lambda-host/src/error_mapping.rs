//! What went wrong on our side: logged in full, answered in one word.

use core::error::Error;
use core::fmt;

use portcullis_service::error::UseCaseError;
use portcullis_service::ports::{HashError, NoEntropy};
use portcullis_service::store::StoreError;
use tracing::{error, warn};

use crate::clock::ClockError;
use crate::config::{BREACH_RANGE, DYNAMODB_ENDPOINT};
use crate::problem::{Problem, TokenProblem};

impl From<UseCaseError> for Problem {
    fn from(failure: UseCaseError) -> Self {
        match failure {
            UseCaseError::Store(error) => error.into(),
            UseCaseError::Hash(HashError::Busy) => {
                warn!("a password was not hashed: all places are taken");
                Self::Busy
            }
            UseCaseError::NotConfirmed => {
                error!(error = %ErrorChain(&failure), "a revocation came too late");
                Self::RevocationPending
            }
            UseCaseError::Contended => Self::Token(TokenProblem::Conflict),
            UseCaseError::Entropy(error) => error.into(),
            UseCaseError::Screen(_) => {
                error!(setting = BREACH_RANGE, "a new password was not screened");
                Self::BreachCheckUnavailable
            }
            UseCaseError::Hash(HashError::Failed) | UseCaseError::Sign(_) => {
                error!(error = %ErrorChain(&failure), "a use case failed");
                Self::Internal
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        // Whoever reads this line has to look at that setting, or at what it points to.
        error!(error = %ErrorChain(&error), setting = DYNAMODB_ENDPOINT, "the store failed");
        Self::StoreUnavailable
    }
}

impl From<ClockError> for Problem {
    fn from(error: ClockError) -> Self {
        error!(%error, "nothing can be judged without a clock");
        Self::Internal
    }
}

impl From<NoEntropy> for Problem {
    fn from(error: NoEntropy) -> Self {
        error!(%error, "nothing can be named without chance");
        Self::Internal
    }
}

/// An error with all its causes, in one line.
pub(crate) struct ErrorChain<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_with_its_causes() {
        let error = StoreError::new("reading an account", std::io::Error::other("refused"));
        assert_eq!(
            ErrorChain(&error).to_string(),
            "reading an account failed in the store: refused"
        );
        assert_eq!(Problem::from(error), Problem::StoreUnavailable);
    }

    #[test]
    fn a_full_host_is_busy_and_a_broken_one_is_not() {
        for (failure, problem) in [
            (HashError::Busy.into(), Problem::Busy),
            (HashError::Failed.into(), Problem::Internal),
            (NoEntropy.into(), Problem::Internal),
            (UseCaseError::NotConfirmed, Problem::RevocationPending),
        ] {
            let failure: UseCaseError = failure;
            assert_eq!(Problem::from(failure), problem);
        }
    }
}
