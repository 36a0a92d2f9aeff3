//! The error of a handler: the problem that the client receives, with the failure behind it.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use portcullis_host::clients::HostClientsError;
use portcullis_host::clock::ClockError;
use portcullis_host::error_chain::ErrorChain;
use portcullis_host::failure::HostFailure;
use portcullis_host::keys::KeyError;
use portcullis_host::root_keys::HostRootKeysError;
use portcullis_service::error::UseCaseError;
use portcullis_service::ports::{HashError, NoEntropy};
use portcullis_service::store::StoreError;
use tracing::{error, warn};

use crate::problem::{Problem, TokenProblem};

/// A refused request. The failure keeps its sources and is logged once, by the HTTP service.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    /// The reason that the client receives.
    pub(crate) problem: Problem,
    failure: Option<Failure>,
}

/// Marks a response with a problem in OAuth terms (RFC 6749 §5.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct InOAuth;

/// The failure behind a response, among the extensions of the response.
#[derive(Clone, Debug)]
pub(crate) struct Failure(Arc<HostFailure>);

impl ApiError {
    /// Logs the failure where no response carries it.
    pub(crate) fn log(&self) {
        if let Some(failure) = &self.failure {
            failure.log(self.problem);
        }
    }
}

impl Failure {
    /// Logs the failure with its sources; `problem` is the client's view of it.
    pub(crate) fn log(&self, problem: Problem) {
        let (error, setting) = (ErrorChain(&*self.0), self.0.setting());
        // Expected under load, and nothing to repair.
        let is_load = [Problem::Busy, Problem::Token(TokenProblem::Conflict)].contains(&problem);
        if is_load {
            warn!(%error, setting, code = problem.code(), "a request failed");
        } else {
            error!(%error, setting, code = problem.code(), "a request failed");
        }
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            failure: None,
        }
    }
}

impl From<HostFailure> for ApiError {
    fn from(failure: HostFailure) -> Self {
        Self {
            problem: Problem::from(&failure),
            failure: Some(Failure(Arc::new(failure))),
        }
    }
}

macro_rules! from_failures {
    ($($error:ty),+ $(,)?) => {$(
        impl From<$error> for ApiError {
            fn from(error: $error) -> Self {
                HostFailure::from(error).into()
            }
        }
    )+};
}

from_failures!(
    UseCaseError,
    StoreError,
    ClockError,
    NoEntropy,
    KeyError,
    HostRootKeysError,
    HostClientsError,
);

impl From<&HostFailure> for Problem {
    fn from(failure: &HostFailure) -> Self {
        match failure {
            HostFailure::UseCase(error) => match error {
                UseCaseError::Store(_) => Self::StoreUnavailable,
                UseCaseError::Hash(HashError::Busy) => Self::Busy,
                UseCaseError::NotConfirmed => Self::RevocationPending,
                UseCaseError::Contended => Self::Token(TokenProblem::Conflict),
                UseCaseError::Screen(_) => Self::BreachCheckUnavailable,
                UseCaseError::Entropy(_)
                | UseCaseError::Hash(HashError::Failed)
                | UseCaseError::Sign(_) => Self::Internal,
            },
            HostFailure::Packing(_) => Self::StoreUnavailable,
            HostFailure::Clock(_) => Self::Internal,
            HostFailure::SigningKey(error) => match error {
                KeyError::Document(_) | KeyError::Publication(_) => Self::StoreUnavailable,
                KeyError::Port(_)
                | KeyError::Entropy(_)
                | KeyError::NoCurrent
                | KeyError::Unpublishable
                | KeyError::Retired
                | KeyError::NoneSigns
                | KeyError::Outlived
                | KeyError::Contended => Self::KeyUnavailable,
            },
            HostFailure::RootKeys(_) | HostFailure::Clients(_) => Self::KeyUnavailable,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.problem.into_response();
        if let Some(failure) = self.failure {
            response.extensions_mut().insert(failure);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_failure_is_store_unavailable_and_keeps_its_source() {
        let error = StoreError::new("reading an account", std::io::Error::other("refused"));
        let error = ApiError::from(error);
        assert_eq!(error.problem, Problem::StoreUnavailable);
        let Failure(failure) = error.failure.expect("a failure");
        assert_eq!(
            ErrorChain(&*failure).to_string(),
            "the use case failed: reading an account failed in the store: refused"
        );
    }

    #[test]
    fn a_full_hash_queue_is_busy_and_a_broken_hasher_is_internal() {
        for (failure, problem) in [
            (UseCaseError::from(HashError::Busy), Problem::Busy),
            (HashError::Failed.into(), Problem::Internal),
            (NoEntropy.into(), Problem::Internal),
            (UseCaseError::NotConfirmed, Problem::RevocationPending),
        ] {
            assert_eq!(ApiError::from(failure).problem, problem);
        }
    }

    #[test]
    fn a_response_carries_the_failure_to_the_http_service_that_logs_it() {
        let mut response = ApiError::from(ClockError).into_response();
        let extensions = response.extensions_mut();
        assert_eq!(extensions.remove::<Problem>(), Some(Problem::Internal));
        assert!(extensions.remove::<Failure>().is_some());
    }
}
