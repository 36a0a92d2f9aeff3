//! The bearer of a call.

use portcullis_core::denial::Denial;
use portcullis_core::secret::Secret;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;
use portcullis_jwt::NativeVerifier;
use portcullis_service::authenticate::{
    Authentication, authenticate, authenticate_expired, authenticate_token,
};

use super::ApiCall;
use crate::api_error::ApiError;
use crate::problem::Problem;
use crate::routes::caller;

impl ApiCall {
    /// Authenticates the bearer token against the current store.
    ///
    /// # Errors
    ///
    /// [`Problem::StoreUnavailable`].
    pub(in crate::routes) async fn authenticate(&self) -> Result<Authentication, ApiError> {
        let host = self.host();
        let authorization = caller::authorization(&self.headers);
        let store = host.store(self.meta.now);
        let caller = authenticate(
            &host.gate,
            authorization.as_deref(),
            &store,
            &NativeVerifier,
            self.meta.now,
        );
        Ok(host.track(caller.await)?)
    }

    /// The bearer of an expired access token, for a logout only.
    ///
    /// # Errors
    ///
    /// [`Problem::StoreUnavailable`].
    pub(in crate::routes) async fn authenticate_expired(
        &self,
    ) -> Result<Option<Box<Verified<Claims>>>, ApiError> {
        let (host, now) = (self.host(), self.meta.now);
        let authorization = caller::authorization(&self.headers);
        let (authorization, store) = (authorization.as_deref(), host.store(now));
        let caller = authenticate_expired(&host.gate, authorization, &store, &NativeVerifier, now);
        Ok(host.track(caller.await)?)
    }

    /// Authenticates the access token `token` of a request body, as [`ApiCall::authenticate`] does.
    ///
    /// # Errors
    ///
    /// [`Problem::StoreUnavailable`].
    pub(in crate::routes) async fn authenticate_token(
        &self,
        token: &Secret<String>,
    ) -> Result<Authentication, ApiError> {
        let (host, now) = (self.host(), self.meta.now);
        let store = host.store(now);
        let caller = authenticate_token(&host.gate, token.expose(), &store, &NativeVerifier, now);
        Ok(host.track(caller.await)?)
    }

    /// As [`ApiCall::authenticate`], for the account endpoints.
    // SECURITY: an API that receives a user's token must not be able to change the account with it.
    pub(in crate::routes) async fn authenticate_for_account(
        &self,
    ) -> Result<Authentication, ApiError> {
        let account = &self.host().settings.issuing.account_audience;
        Ok(match self.authenticate().await? {
            Authentication::Known(caller)
            | Authentication::Revoked(caller)
            | Authentication::SubjectRevoked(caller)
                if !caller.get().audience.contains(account) =>
            {
                Authentication::Refused(Denial::WrongAudience)
            }
            caller @ (Authentication::Known(_)
            | Authentication::Revoked(_)
            | Authentication::SubjectRevoked(_)
            | Authentication::Refused(_)) => caller,
        })
    }

    /// The bearer of a valid token for the account endpoints.
    ///
    /// # Errors
    ///
    /// The [`Problem`] of the token.
    pub(in crate::routes) async fn bearer(&self) -> Result<Box<Verified<Claims>>, ApiError> {
        match self.authenticate_for_account().await? {
            Authentication::Known(caller) => Ok(caller),
            Authentication::Revoked(_) | Authentication::SubjectRevoked(_) => {
                Err(Problem::Denied(Denial::Revoked).into())
            }
            Authentication::Refused(denial) => Err(Problem::Denied(denial).into()),
        }
    }
}
