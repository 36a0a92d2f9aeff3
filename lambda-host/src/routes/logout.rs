//! `POST /v1/logout` and `/v1/logout-all`: the session of the bearer ends, or all of them, and
//! every edge hears of it. Asking twice is no mistake.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use portcullis_core::denial::Denial;
use portcullis_core::limit::kind::LimitKind;
use portcullis_service::authenticate::Authentication;
use portcullis_service::limit::LimitKey;
use portcullis_service::logout::{self, LogoutOutcome};
use portcullis_service::logout_all;
use portcullis_service::ports::RequestMeta;

use crate::clock::RequestClock;
use crate::host::Host;
use crate::openapi::problems::{ANY, LIMITED, STORE, TOKEN, problems};
use crate::problem::{Problem, TokenProblem};
use crate::routes::caller::caller;
use crate::routes::empty;
use crate::routes::refresh_cookie;

problems!(LogoutProblems: ANY, STORE, LIMITED, TOKEN, [Problem::NoSession, Problem::RevocationPending]);

problems!(
    LogoutAllProblems: ANY, STORE, LIMITED, TOKEN,
    [Problem::NoSession, Problem::RevocationPending, Problem::Token(TokenProblem::Conflict)]
);

/// Ends the session of the token. Asking twice is no mistake.
#[utoipa::path(
    post,
    path = "/v1/logout",
    tag = "sessions",
    security(("bearer" = [])),
    responses((status = 204, description = "The session is over, and every edge knows"), LogoutProblems)
)]
pub(super) async fn logout(
    State(host): State<Arc<Host>>,
    Extension(call): Extension<RequestMeta>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let store = host.store(call.now);
    let caller = match caller(&host, request.headers(), &store, &call).await? {
        // Somebody whose first answer was lost, or said that the feed was late, asks again: what is
        // called back is announced again, and the answer is the one that was lost.
        Authentication::Known(caller) | Authentication::Revoked(caller) => caller,
        Authentication::SubjectRevoked(_) => return Err(Problem::Denied(Denial::Revoked)),
        Authentication::Refused(denial) => return Err(Problem::Denied(denial)),
    };
    let clock = RequestClock::new(host.clock.as_ref(), call.now);
    let ctx = host.ctx(&store, &call).await?;
    host.acquire(&[(LimitKind::AccountAddress, LimitKey::Network)], ctx)
        .await?;
    let end = logout::logout(&caller, &clock, ctx).await;
    tell(host.track(end)?, &clock)
}

/// Ends all sessions of the account, whatever their number. Asking twice is no mistake.
#[utoipa::path(
    post,
    path = "/v1/logout-all",
    tag = "sessions",
    security(("bearer" = [])),
    responses(
        (status = 204, description = "The sessions are over, and every edge knows"),
        LogoutAllProblems
    )
)]
pub(super) async fn logout_all(
    State(host): State<Arc<Host>>,
    Extension(call): Extension<RequestMeta>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let store = host.store(call.now);
    let caller = caller(&host, request.headers(), &store, &call).await?;
    let clock = RequestClock::new(host.clock.as_ref(), call.now);
    let ctx = host.ctx(&store, &call).await?;
    host.acquire(&[(LimitKind::AccountAddress, LimitKey::Network)], ctx)
        .await?;
    let end = match caller {
        Authentication::Known(caller) => logout_all::logout_all(&caller, &clock, ctx).await,
        // As above: it was done, and whoever asks did not hear of it.
        Authentication::SubjectRevoked(caller) => {
            logout_all::announce_again(&caller, &clock, ctx).await
        }
        Authentication::Revoked(_) => return Err(Problem::Denied(Denial::Revoked)),
        Authentication::Refused(denial) => return Err(Problem::Denied(denial)),
    };
    tell(host.track(end)?, &clock)
}

fn tell(outcome: LogoutOutcome, clock: &RequestClock<'_>) -> Result<Response, Problem> {
    // A clock that failed meanwhile did not tell how long the writing took.
    clock.ensure_readable()?;
    match outcome {
        LogoutOutcome::Done => {
            let mut response = empty(StatusCode::NO_CONTENT);
            refresh_cookie::clear(response.headers_mut());
            Ok(response)
        }
        LogoutOutcome::NoSession => Err(Problem::NoSession),
    }
}
