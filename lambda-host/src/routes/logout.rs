//! `POST /v1/logout` and `/v1/logout-all`: revoke the bearer's session, or all sessions, at every
//! edge. A repeated request is harmless.

use axum::body::Body;
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use portcullis_core::csrf::TokenSource;
use portcullis_core::denial::Denial;
use portcullis_core::limit::kind::LimitKind;
use portcullis_service::authenticate::Authentication;
use portcullis_service::limit::LimitKey;
use portcullis_service::logout::{self, LogoutOutcome};
use portcullis_service::logout_all::{self, LogoutAllOutcome};

use crate::api_error::ApiError;
use crate::openapi::problems::{ANY, LIMITED, STORE, TOKEN, problems};
use crate::problem::{MemberName, Problem, TokenProblem};
use crate::routes::api_call::{ApiCall, OpenCall};
use crate::routes::request_body::{Optional, request_body};
use crate::routes::response::empty;
use crate::routes::same_origin::is_own_page;
use crate::routes::{json_body, refresh_cookie};

problems!(
    LogoutProblems: ANY, STORE, LIMITED,
    [
        Problem::UnsupportedMediaType("application/json"), Problem::BodyTooLarge, Problem::BodyTimeout,
        Problem::MalformedBody, Problem::UnknownMember(MemberName::NONE), Problem::BadMember("refresh_token"),
        Problem::RevocationPending,
    ]
);

problems!(
    LogoutAllProblems: ANY, STORE, LIMITED, TOKEN,
    [Problem::NoSession, Problem::RevocationPending, Problem::Token(TokenProblem::Conflict)]
);

request_body! {
    /// A refresh token, if the client has no access token.
    #[schema(as = Logout)]
    struct LogoutBody {
        /// A refresh token of the session, current or used.
        refresh_token: Optional,
    }
}

/// Ends the session of whatever the client still has: an access token, also an expired one; a
/// refresh token, also a used one; or the cookie, with the CSRF token or from a page of an own
/// origin. A repeated request is harmless, and so is one without any of them.
#[utoipa::path(
    post,
    path = "/v1/logout",
    tag = "sessions",
    request_body = Option<LogoutBody>,
    security((), ("bearer" = []), ("cookie" = [])),
    responses(
        (status = 204, description = "The session, if there is one, is revoked at every edge"),
        LogoutProblems
    )
)]
pub(super) async fn logout(call: ApiCall, request: Request<Body>) -> Result<Response, ApiError> {
    // A body of another type is a problem only if nothing else ends a session: `sendBeacon` sends text.
    let body: Result<Option<LogoutBody>, _> = json_body::read_optional(request).await;
    let token = body.and_then(|body| body.map(|body| body.refresh_token.text()).transpose());
    let (token, fault) = match token {
        Ok(token) => (token, None),
        Err(problem @ Problem::UnsupportedMediaType(_)) => (None, Some(problem)),
        Err(problem) => return Err(problem.into()),
    };
    let cookie = refresh_cookie::token(call.headers());
    let sources = [
        token.flatten().map(|token| (token, TokenSource::Explicit)),
        cookie.map(|token| {
            let carrier = refresh_cookie::carrier(call.headers(), &call.host().origins);
            (token, carrier)
        }),
    ];
    let open = call.open().await?;
    if sources.iter().any(Option::is_some) || call.headers().contains_key(AUTHORIZATION) {
        open.acquire(&[(LimitKind::AccountAddress, LimitKey::Network)])
            .await?;
    }
    let ended = logout_bearer(&call, &open).await?;
    let mut any_ended = ended.is_some();
    for (token, source) in sources.iter().flatten() {
        let use_case = logout::logout_by_refresh_token(
            token,
            source,
            ended.as_deref(),
            open.clock(),
            open.ctx(),
        );
        any_ended |= open.run(use_case).await?;
    }
    match fault {
        Some(problem) if !any_ended => Err(problem.into()),
        Some(_) | None => Ok(logged_out(&call)),
    }
}

/// Ends the session of the access token, and returns its ID. A token that is not ours changes
/// nothing.
async fn logout_bearer(call: &ApiCall, open: &OpenCall<'_>) -> Result<Option<String>, ApiError> {
    let (clock, ctx) = (open.clock(), open.ctx());
    let caller = match call.authenticate().await? {
        Authentication::Known(caller) => {
            let (LogoutOutcome::Done | LogoutOutcome::NoSession) =
                open.run(logout::logout(&caller, clock, ctx)).await?;
            caller
        }
        // A client that lost the first response, or got `revocation_pending`, sends the request
        // again. A revocation that is not recent is published again, and the response is the lost
        // one.
        Authentication::Revoked(caller) => {
            let (LogoutOutcome::Done | LogoutOutcome::NoSession) = open
                .run(logout::logout_revoked(&caller, clock, ctx))
                .await?;
            caller
        }
        Authentication::Refused(Denial::Expired) => {
            let Some(caller) = call.authenticate_expired().await? else {
                return Ok(None);
            };
            open.run(logout::logout_expired(&caller, clock, ctx))
                .await?;
            caller
        }
        // All sessions of the account have ended.
        Authentication::SubjectRevoked(_) | Authentication::Refused(_) => return Ok(None),
    };
    Ok(caller.get().session_id.clone())
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
    let caller = call.authenticate_for_account().await?;
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
                    let mut response = logged_out(&call);
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
    match outcome {
        LogoutOutcome::Done => Ok(logged_out(&call)),
        LogoutOutcome::NoSession => Err(Problem::NoSession.into()),
    }
}

/// The response to a logout.
// SECURITY: deletes the cookie only for a page of an own origin, so that another site cannot log a
// browser out of a session that the request did not end.
fn logged_out(call: &ApiCall) -> Response {
    let mut response = empty(StatusCode::NO_CONTENT);
    if is_own_page(call.headers(), &call.host().origins) {
        refresh_cookie::clear(response.headers_mut());
    }
    response
}
