//! `POST /v1/refresh`: a browser refreshes its tokens by its cookie.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::Request;
use portcullis_core::audit::RefreshDenial;
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::refresh::RefreshToken;
use portcullis_core::root_keys::RootKeys;
use portcullis_service::limit::LimitKey;
use portcullis_service::open_session::TokenGrant;
use portcullis_service::refresh::{self, RefreshOutcome, RefreshRequest};

use crate::api_error::ApiError;
use crate::openapi::problems::{ANY, LIMITED, STORE, problems};
use crate::problem::{MemberName, Problem, TokenProblem};
use crate::routes::api_call::ApiCall;
use crate::routes::json_body;
use crate::routes::refresh_cookie::{self, GrantBody};
use crate::routes::request_body::{Optional, request_body};
use crate::routes::same_origin::is_own_page;

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
        Problem::UnsupportedMediaType("application/json"),
        Problem::BodyTooLarge,
        Problem::BodyTimeout,
        Problem::MalformedBody,
        Problem::UnknownMember(MemberName::NONE),
        Problem::BadMember("resource"),
        Problem::Token(TokenProblem::InvalidTarget),
    ]
);

request_body! {
    /// The resource of the new access token.
    #[schema(as = Refresh)]
    struct RefreshBody {
        /// The audience of the access token (RFC 8707); the default one without it.
        #[schema(max_length = 512, example = "https://api.example")]
        resource: Optional,
    }
}

/// Refreshes the tokens of a browser by its cookie. The page sends the CSRF token of its session.
#[utoipa::path(
    post,
    path = "/v1/refresh",
    tag = "sessions",
    security(("cookie" = [])),
    request_body = Option<RefreshBody>,
    params(("x-portcullis-csrf" = String, Header, description = "The `csrf_token` of the session")),
    responses(
        (status = 200, description = "New tokens, the refresh token as a cookie", body = GrantBody),
        RefreshProblems
    )
)]
pub(super) async fn refresh(call: ApiCall, request: Request<Body>) -> Result<Response, ApiError> {
    let body: Option<RefreshBody> = json_body::read_optional(request).await?;
    let audience = call.audience(body.map_or_else(Optional::absent, |body| body.resource))?;
    let token = refresh_cookie::token(call.headers());
    let token = token.ok_or(Problem::Token(TokenProblem::NoCookie))?;
    let carrier = refresh_cookie::carrier(call.headers(), &call.host().origins);
    let request = RefreshRequest {
        token,
        carrier,
        audience,
    };
    match renew(&call, &request).await? {
        Renewed::Granted(grant, root_keys) => Ok(refresh_cookie::token_response(&grant, root_keys)),
        // INVARIANT: only an ended session loses its cookie. A temporary failure or a cross-site
        // request leaves the cookie in place.
        Renewed::Refused(problem @ TokenProblem::CrossSite) => Err(Problem::Token(problem).into()),
        Renewed::Refused(problem) => {
            let mut response = Problem::Token(problem).into_response();
            if is_own_page(call.headers(), &call.host().origins) {
                refresh_cookie::clear(response.headers_mut());
            }
            Ok(response)
        }
    }
}

/// The outcome of a refresh, for every transport of the token.
pub(super) enum Renewed<'h> {
    /// New tokens.
    Granted(TokenGrant, &'h RootKeys),
    /// A permanent refusal.
    Refused(TokenProblem),
}

/// Refreshes.
///
/// # Errors
///
/// The [`Problem`] of a temporary failure.
pub(super) async fn renew<'h>(
    call: &'h ApiCall,
    request: &RefreshRequest,
) -> Result<Renewed<'h>, ApiError> {
    let signer = call.signer().await?;
    let open = call.open().await?;
    let ctx = open.ctx();
    open.acquire(&[(LimitKind::RefreshAddress, LimitKey::Network)])
        .await?;
    // Only a token of this host names a session, so an attacker cannot use up the limit of another
    // session by its ID.
    if let Ok(token) = RefreshToken::parse(request.token.expose(), ctx.root_keys) {
        let session = [(
            LimitKind::RefreshSession,
            LimitKey::Session(token.session_id()),
        )];
        open.acquire(&session).await?;
    }
    let outcome = open
        .run(refresh::refresh(request, &*signer, open.clock(), ctx))
        .await?;
    Ok(match outcome {
        RefreshOutcome::Renew(grant) => Renewed::Granted(grant, open.root_keys()),
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
