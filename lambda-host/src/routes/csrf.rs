//! `GET /v1/csrf`: the CSRF token of the cookie, for a page that has lost it by a reload.

use axum::response::Response;
use http::StatusCode;
use portcullis_core::csrf;
use portcullis_core::refresh::RefreshToken;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api_error::ApiError;
use crate::openapi::problems::{ANY, problems};
use crate::problem::{Problem, TokenProblem};
use crate::routes::api_call::ApiCall;
use crate::routes::refresh_cookie;
use crate::routes::response::json;
use crate::routes::same_origin::is_own_page;

problems!(
    CsrfProblems: ANY,
    [
        Problem::Token(TokenProblem::NoCookie),
        Problem::Token(TokenProblem::CrossSite),
        Problem::KeyUnavailable,
    ]
);

/// The CSRF token of a session.
#[derive(Serialize, ToSchema)]
#[schema(as = Csrf)]
struct CsrfBody {
    /// The page sends it in `x-portcullis-csrf`.
    #[schema(example = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk")]
    csrf_token: String,
}

/// Returns the CSRF token of the cookie to a page of an own origin. The session may have ended.
// SECURITY: another site cannot read the response, because CORS allows only own origins. The check
// of the source is a second barrier.
#[utoipa::path(
    get,
    path = "/v1/csrf",
    tag = "sessions",
    security(("cookie" = [])),
    responses((status = 200, description = "The CSRF token", body = CsrfBody), CsrfProblems)
)]
pub(super) async fn csrf(call: ApiCall) -> Result<Response, ApiError> {
    if !is_own_page(call.headers(), &call.host().origins) {
        return Err(Problem::Token(TokenProblem::CrossSite).into());
    }
    let no_cookie = Problem::Token(TokenProblem::NoCookie);
    let cookie = refresh_cookie::token(call.headers()).ok_or(no_cookie)?;
    let open = call.open().await?;
    let token = RefreshToken::parse(cookie.expose(), open.root_keys()).map_err(|_| no_cookie)?;
    let body = CsrfBody {
        csrf_token: csrf::token(token.session_id(), open.root_keys()),
    };
    Ok(json(StatusCode::OK, &body))
}
