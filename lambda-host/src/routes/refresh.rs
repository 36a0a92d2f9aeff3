//! `POST /v1/refresh`: a browser renews its tokens by its cookie.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::Request;
use portcullis_core::audit::RefreshDenial;
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::refresh::RefreshToken;
use portcullis_core::root_keys::RootKeys;
use portcullis_service::limit::LimitKey;
use portcullis_service::open_session::TokenGrant;
use portcullis_service::ports::RequestMeta;
use portcullis_service::refresh::{self, RefreshOutcome, RefreshRequest};

use crate::clock::RequestClock;
use crate::host::Host;
use crate::openapi::problems::{ANY, LIMITED, STORE, problems};
use crate::problem::{Problem, TokenProblem};
use crate::routes::refresh_cookie::{self, GrantBody, TokenDelivery};

problems!(
    RefreshProblems: ANY, STORE, LIMITED,
    [
        Problem::Token(TokenProblem::NoCookie),
        Problem::Token(TokenProblem::CrossSite),
        Problem::Token(TokenProblem::BadRefreshToken),
        Problem::Token(TokenProblem::SessionOver),
        Problem::Token(TokenProblem::Reused),
        Problem::Token(TokenProblem::Conflict),
        Problem::RevocationPending,
    ]
);

/// Renews the tokens of a browser by its cookie. The page repeats the code that it was told.
#[utoipa::path(
    post,
    path = "/v1/refresh",
    tag = "sessions",
    security(("cookie" = [])),
    params(("x-portcullis-csrf" = String, Header, description = "The `csrf_token` of the session")),
    responses(
        (status = 200, description = "New tokens, the refresh token as a cookie", body = GrantBody),
        RefreshProblems
    )
)]
pub(super) async fn refresh(
    State(host): State<Arc<Host>>,
    Extension(call): Extension<RequestMeta>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let token = refresh_cookie::token(request.headers());
    let token = token.ok_or(Problem::Token(TokenProblem::NoCookie))?;
    let issuer = &host.settings.issuing.issuer;
    let carrier = refresh_cookie::carrier(request.headers(), issuer);
    let request = RefreshRequest { token, carrier };
    match renew(&host, &call, &request).await? {
        Renewed::Granted(grant, vault) => Ok(refresh_cookie::token_response(
            &grant,
            TokenDelivery::Cookie,
            vault,
        )),
        // INVARIANT: only a session that is over loses its cookie. What may pass by itself, and
        // what another site's page may have brought about, leaves it where it is.
        Renewed::Refused(problem @ TokenProblem::CrossSite) => Err(Problem::Token(problem)),
        Renewed::Refused(problem) => {
            let mut response = Problem::Token(problem).into_response();
            refresh_cookie::clear(response.headers_mut());
            Ok(response)
        }
    }
}

/// How a refresh ended, whichever way the token came.
pub(super) enum Renewed<'h> {
    /// With new tokens.
    Granted(TokenGrant, &'h RootKeys),
    /// With none, for good.
    Refused(TokenProblem),
}

/// Refreshes.
///
/// # Errors
///
/// The [`Problem`] that may pass by itself.
pub(super) async fn renew<'h>(
    host: &'h Host,
    call: &RequestMeta,
    request: &RefreshRequest,
) -> Result<Renewed<'h>, Problem> {
    let ready = host.signer(call.now, &call.request_id).await;
    let signer = host.track(ready)?;
    let store = host.store(call.now);
    let ctx = host.ctx(&store, call).await?;
    host.acquire(&[(LimitKind::RefreshAddress, LimitKey::Network)], ctx)
        .await?;
    // Only a token of ours names a session: nobody uses up another's turns by its id.
    if let Ok(token) = RefreshToken::parse(request.token.expose(), ctx.vault) {
        let session = [(
            LimitKind::RefreshSession,
            LimitKey::Session(token.session_id()),
        )];
        host.acquire(&session, ctx).await?;
    }
    let clock = RequestClock::new(host.clock.as_ref(), call.now);
    let end = refresh::refresh(request, &*signer, &clock, ctx).await;
    let outcome = host.track(end)?;
    // A clock that failed meanwhile did not tell how long the writing took.
    clock.ensure_readable()?;
    Ok(match outcome {
        RefreshOutcome::Renew(grant) => Renewed::Granted(
            grant,
            host.track(host.vault.open(&host.client, call.now).await)?,
        ),
        RefreshOutcome::Reused => Renewed::Refused(TokenProblem::Reused),
        RefreshOutcome::Refuse(denial) => Renewed::Refused(match denial {
            RefreshDenial::NotOurs | RefreshDenial::Unknown => TokenProblem::BadRefreshToken,
            RefreshDenial::NoSession | RefreshDenial::Expired | RefreshDenial::SessionsEnded => {
                TokenProblem::SessionOver
            }
            RefreshDenial::CrossSite => TokenProblem::CrossSite,
        }),
    })
}
