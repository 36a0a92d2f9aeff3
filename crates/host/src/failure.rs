//! Failures on the host's side, each with its source. The entry point maps one to a response and logs it once.

use portcullis_service::error::UseCaseError;
use portcullis_service::pack::PackingError;
use portcullis_service::ports::NoEntropy;
use portcullis_service::signing::SigningError;
use portcullis_service::store::StoreError;
use thiserror::Error;

use crate::clients::HostClientsError;
use crate::clock::ClockError;
use crate::keys::{self, KeyError};
use crate::root_keys::HostRootKeysError;
use crate::settings::{PORTCULLIS_DYNAMODB_ENDPOINT, PORTCULLIS_PWNED_PASSWORDS_URL};

/// A request or task that failed for a reason on the host's side. Never quotes a secret.
#[derive(Debug, Error)]
pub enum HostFailure {
    /// The use case failed.
    #[error("the use case failed")]
    UseCase(#[from] UseCaseError),
    /// The revocation feed was not packed.
    #[error("the revocation feed was not packed; edges start slower")]
    Packing(#[from] PackingError),
    /// The clock of the machine is unreadable.
    #[error("no decision is possible without a clock")]
    Clock(#[from] ClockError),
    /// No signing key is available.
    #[error("no signing key is available")]
    SigningKey(#[from] KeyError),
    /// The root keys are unavailable.
    #[error("the host's root keys are unavailable")]
    RootKeys(#[from] HostRootKeysError),
    /// The configured clients are unavailable.
    #[error("the configured clients are unavailable")]
    Clients(#[from] HostClientsError),
}

impl HostFailure {
    /// Whether the store did not answer.
    pub const fn is_store_unavailable(&self) -> bool {
        matches!(
            self,
            Self::UseCase(UseCaseError::Store(_))
                | Self::SigningKey(SigningError::Document(_) | SigningError::Publication(_))
        )
    }

    /// The variable that an operator checks first, where one is at fault.
    pub const fn setting(&self) -> Option<&'static str> {
        match self {
            Self::UseCase(UseCaseError::Store(_)) | Self::Packing(PackingError::Store(_)) => {
                Some(PORTCULLIS_DYNAMODB_ENDPOINT)
            }
            Self::UseCase(UseCaseError::Screen(_)) => Some(PORTCULLIS_PWNED_PASSWORDS_URL),
            Self::SigningKey(error) => Some(keys::setting(error)),
            Self::UseCase(_)
            | Self::Packing(_)
            | Self::Clock(_)
            | Self::RootKeys(_)
            | Self::Clients(_) => None,
        }
    }
}

impl From<StoreError> for HostFailure {
    fn from(error: StoreError) -> Self {
        Self::UseCase(error.into())
    }
}

impl From<NoEntropy> for HostFailure {
    fn from(error: NoEntropy) -> Self {
        Self::UseCase(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_failure_names_the_endpoint_setting() {
        let error = StoreError::new("reading an account", std::io::Error::other("refused"));
        let failure = HostFailure::from(error);
        assert!(failure.is_store_unavailable());
        assert_eq!(failure.setting(), Some(PORTCULLIS_DYNAMODB_ENDPOINT));
    }

    #[test]
    fn only_a_store_failure_counts_as_store_unavailable() {
        let failures: [HostFailure; 3] = [
            ClockError.into(),
            NoEntropy.into(),
            UseCaseError::NotConfirmed.into(),
        ];
        for failure in failures {
            assert!(!failure.is_store_unavailable(), "{failure:?}");
            assert_eq!(failure.setting(), None);
        }
    }
}
