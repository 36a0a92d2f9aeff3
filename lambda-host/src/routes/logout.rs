//! `POST /v1/logout` and `/v1/logout-all`: revoke the bearer's session, or all sessions, at every
//! edge. A repeated request is harmless.

use axum::response::Response;
use http::StatusCode;
use portcullis_core::denial::Denial;
use portcullis_core::limit::kind::LimitKind;
use portcullis_service::authenticate::Authentication;
use portcullis_service::limit::LimitKey;
use portcullis_service::logout::{self, LogoutOutcome};
use portcullis_service::logout_all::{self, LogoutAllOutcome};

use crate::api_error::ApiError;
use crate::openapi::problems::{ANY, LIMITED, STORE, TOKEN, problems};
use crate::problem::{Problem, TokenProblem};
use crate::routes::api_call::ApiCall;
use crate::routes::refresh_cookie;
use crate::routes::response::empty;

problems!(LogoutProblems: ANY, STORE, LIMITED, TOKEN, [Problem::NoSession, Problem::RevocationPending]);

problems!(
    LogoutAllProblems: ANY, STORE, LIMITED, TOKEN,
    [Problem::NoSession, Problem::RevocationPending, Problem::Token(TokenProblem::Conflict)]
);

/// Revokes the session of the token. A repeated request is harmless.
#[utoipa::path(
    post,
    path = "/v1/logout",
    tag = "sessions",
    security(("bearer" = [])),
    responses((status = 204, description = "The session is revoked at every edge"), LogoutProblems)
)]
pub(super) async fn logout(call: ApiCall) -> Result<Response, ApiError> {
    let caller = match call.authenticate().await? {
        // A client that lost the first response, or got `revocation_pending`, sends the request
        // again. The revocation is published again, and the response is the lost one.
        Authentication::Known(caller) | Authentication::Revoked(caller) => caller,
        Authentication::SubjectRevoked(_) => return Err(Problem::Denied(Denial::Revoked).into()),
        Authentication::Refused(denial) => return Err(Problem::Denied(denial).into()),
    };
    let open = call.open().await?;
    let ctx = open.ctx();
    open.acquire(&[(LimitKind::AccountAddress, LimitKey::Network)])
        .await?;
    logout_response(open.run(logout::logout(&caller, open.clock(), ctx)).await?)
}

/// Ends all sessions of the account. A repeated request is harmless.
#[utoipa::path(
    post,
    path = "/v1/logout-all",
    tag = "sessions",
    security(("bearer" = [])),
    responses(
        (status = 204, description = "The sessions are revoked at every edge"),
        LogoutAllProblems
    )
)]
pub(super) async fn logout_all(call: ApiCall) -> Result<Response, ApiError> {
    let caller = call.authenticate().await?;
    let open = call.open().await?;
    let ctx = open.ctx();
    open.acquire(&[(LimitKind::AccountAddress, LimitKey::Network)])
        .await?;
    let outcome = match caller {
        Authentication::Known(caller) => {
            let use_case = logout_all::logout_all(&caller, open.clock(), ctx);
            match open.run(use_case).await? {
                LogoutAllOutcome::Done {
                    email,
                    ended,
                    generation,
                } => {
                    let mut response = logout_response(LogoutOutcome::Done)?;
                    if open.known_generation(&email) == Some(ended) {
                        open.remember_browser(response.headers_mut(), &email, generation)?;
                    }
                    return Ok(response);
                }
                LogoutAllOutcome::NoSession => LogoutOutcome::NoSession,
            }
        }
        // As above: the sessions are revoked, but the client did not receive the response.
        Authentication::SubjectRevoked(caller) => {
            let use_case = logout_all::announce_again(&caller, open.clock(), ctx);
            open.run(use_case).await?
        }
        Authentication::Revoked(_) => return Err(Problem::Denied(Denial::Revoked).into()),
        Authentication::Refused(denial) => return Err(Problem::Denied(denial).into()),
    };
    logout_response(outcome)
}

fn logout_response(outcome: LogoutOutcome) -> Result<Response, ApiError> {
    match outcome {
        LogoutOutcome::Done => {
            let mut response = empty(StatusCode::NO_CONTENT);
            refresh_cookie::clear(response.headers_mut());
            Ok(response)
        }
        LogoutOutcome::NoSession => Err(Problem::NoSession.into()),
    }
}
