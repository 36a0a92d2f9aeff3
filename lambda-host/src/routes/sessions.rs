//! `GET /v1/sessions` and `DELETE /v1/sessions/{id}`: users list and revoke their own sessions.

use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use portcullis_core::denial::Denial;
use portcullis_core::id::Id;
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::session::Session;
use portcullis_service::authenticate::Authentication;
use portcullis_service::limit::LimitKey;
use portcullis_service::sessions::{self as own, EndOutcome};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api_error::ApiError;
use crate::openapi::problems::{ANY, LIMITED, STORE, TOKEN, problems};
use crate::problem::{Problem, TokenProblem};
use crate::routes::api_call::ApiCall;
use crate::routes::refresh_cookie;
use crate::routes::response::{empty, json};
use crate::routes::same_origin::is_own_page;

problems!(ListProblems: ANY, STORE, LIMITED, TOKEN);
problems!(
    EndProblems: ANY, STORE, LIMITED, TOKEN,
    [Problem::Token(TokenProblem::UnknownSession), Problem::RevocationPending]
);

/// The active sessions of an account.
#[derive(Serialize, ToSchema)]
#[schema(as = Sessions)]
struct SessionsBody {
    /// The newest first, at most 100.
    sessions: Vec<SessionBody>,
}

/// One session. Times are in RFC 3339 format.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionBody {
    /// The session ID (`sid`).
    #[schema(example = "BwcHBwcHBwcHBwcHBwcHBw")]
    id: String,
    /// The time of the login.
    #[schema(format = "date-time", example = "2026-11-23T12:00:00Z")]
    opened_at: String,
    /// The time of the last refresh.
    #[schema(format = "date-time", example = "2026-11-23T12:00:00Z")]
    last_used_at: String,
    /// The end of the session if it stays idle.
    #[schema(format = "date-time", example = "2026-12-07T12:00:00Z")]
    ends_at: String,
    /// The `User-Agent` of the login.
    device: String,
    /// The client's address at the login.
    client_address: String,
    /// Whether it is the session of this request.
    current: bool,
}

/// The caller's sessions.
#[utoipa::path(
    get,
    path = "/v1/sessions",
    tag = "sessions",
    security(("bearer" = [])),
    responses((status = 200, description = "The sessions", body = SessionsBody), ListProblems)
)]
pub(super) async fn sessions(call: ApiCall) -> Result<Response, ApiError> {
    let caller = call.bearer().await?;
    let open = call.open().await?;
    let ctx = open.ctx();
    open.acquire(&[(LimitKind::AccountAddress, LimitKey::Network)])
        .await?;
    let sessions = open.run(own::sessions(&caller, ctx)).await?;
    let current = caller.get().session_id.as_deref();
    let listed = sessions.iter().map(|session| listed(session, current));
    let sessions = listed.collect();
    Ok(json(StatusCode::OK, &SessionsBody { sessions }))
}

/// One session: its times in RFC 3339, and its origin at the login.
fn listed(session: &Session, current: Option<&str>) -> SessionBody {
    let head = &session.head;
    SessionBody {
        id: session.id.as_str().to_owned(),
        opened_at: session.opened_at.to_string(),
        last_used_at: head.advanced_at.to_string(),
        ends_at: head.idle_ends_at.to_string(),
        device: session.device.as_str().to_owned(),
        client_address: session.client_address.clone(),
        current: current == Some(session.id.as_str()),
    }
}

/// Revokes one of the caller's sessions. A repeated request is harmless.
#[utoipa::path(
    delete,
    path = "/v1/sessions/{id}",
    tag = "sessions",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The session's id", example = "BwcHBwcHBwcHBwcHBwcHBw")),
    responses((status = 204, description = "The session is revoked at every edge"), EndProblems)
)]
pub(super) async fn end_session(
    call: ApiCall,
    Path(session_id): Path<String>,
) -> Result<Response, ApiError> {
    let of_caller = |own: Option<&str>| own == Some(session_id.as_str());
    let caller = match call.authenticate_for_account().await? {
        Authentication::Known(caller) => caller,
        // A client that lost the first response revokes its own session again.
        Authentication::Revoked(caller) if of_caller(caller.get().session_id.as_deref()) => caller,
        Authentication::Revoked(_) | Authentication::SubjectRevoked(_) => {
            return Err(Problem::Denied(Denial::Revoked).into());
        }
        Authentication::Refused(denial) => return Err(Problem::Denied(denial).into()),
    };
    let unknown = Problem::Token(TokenProblem::UnknownSession);
    let id = Id::parse(&session_id).map_err(|_| unknown)?;
    let open = call.open().await?;
    let ctx = open.ctx();
    open.acquire(&[(LimitKind::AccountAddress, LimitKey::Network)])
        .await?;
    let outcome = open
        .run(own::end_session(&caller, &id, open.clock(), ctx))
        .await?;
    match outcome {
        EndOutcome::Done => {
            let mut response = empty(StatusCode::NO_CONTENT);
            let own = of_caller(caller.get().session_id.as_deref());
            if own && is_own_page(call.headers(), &call.host().origins) {
                refresh_cookie::clear(response.headers_mut());
            }
            Ok(response)
        }
        EndOutcome::Unknown => Err(unknown.into()),
    }
}
