//! `POST /v1/logout`: the session of the bearer ends, and every edge hears of it. Asking twice is
//! no mistake.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use portcullis_core::limit::scope::Scope;
use portcullis_jwt::NativeSignatures;
use portcullis_service::authenticate::{Caller, authenticate};
use portcullis_service::limit::Whose;
use portcullis_service::logout::{self, LogoutOutcome};
use portcullis_service::ports::Call;

use crate::clock::Watch;
use crate::host::Host;
use crate::openapi::problems::{ANY, LIMITED, STORE, TOKEN, problems};
use crate::problem::Problem;
use crate::routes::caller::authorization;
use crate::routes::empty;

problems!(LogoutProblems: ANY, STORE, LIMITED, TOKEN, [Problem::NoSession, Problem::LateFeed]);

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
    Extension(call): Extension<Call>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let authorization = authorization(request.headers());
    let store = host.store(call.now);
    let caller = authenticate(
        &host.gate,
        authorization.as_deref(),
        &store,
        &NativeSignatures,
        call.now,
    );
    let caller = match host.settle(caller.await)? {
        // Somebody whose first answer was lost, or said that the feed was late, asks again: what is
        // called back is announced again, and the answer is the one that was lost.
        Caller::Known(caller) | Caller::Revoked(caller) => caller,
        Caller::Refused(denial) => return Err(Problem::Refused(denial)),
    };
    let clock = Watch::new(host.clock.as_ref(), call.now);
    let means = host.means(&store, &call).await?;
    host.enter(&[(Scope::AccountAddress, Whose::Network)], means)
        .await?;
    let end = logout::logout(&caller, &clock, means).await;
    let outcome = host.settle(end)?;
    // A clock that failed meanwhile did not tell how long the writing took.
    clock.judge()?;
    match outcome {
        LogoutOutcome::Done => Ok(empty(StatusCode::NO_CONTENT)),
        LogoutOutcome::NoSession => Err(Problem::NoSession),
    }
}
