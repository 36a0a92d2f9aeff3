//! The HTTP API, one file for each family of endpoints.
//!
//! An endpoint is declared once, by `#[utoipa::path(..)]` on its function: method and path for the
//! router; request, responses and every error code for the document. To add one:
//!
//! 1. `problems!(SoundProblems: ANY, BODY, STORE, [Problem::BadCredentials]);` in its file: the
//!    groups it shares (`openapi/problems.rs`) and its own codes.
//! 2. `request_body!` for the body of the request (`routes/request_body.rs`): its members, for the
//!    parser and for the document. A struct with `#[derive(Serialize, ToSchema)]` for the body of
//!    the response, which `response::json` writes.
//! 3. `#[utoipa::path(post, path = "/v1/..", tag = "sessions", request_body = .., security(("bearer" = [])), responses((status = 200, body = ..), SoundProblems))]`
//!    and an entry in [`endpoints`].

mod api_call;
mod body;
mod caller;
mod credentials;
mod csrf;
mod factors;
mod health;
mod json_body;
mod jwks;
mod login;
mod login_factor;
mod logout;
mod mail;
mod me;
mod metadata;
mod oauth;
mod openapi;
mod password;
mod refresh;
mod refresh_cookie;
mod register;
mod request_body;
mod response;
mod same_origin;
mod sessions;

pub(crate) use self::body::BodyTimeout;
#[cfg(test)]
pub(crate) use self::openapi::tests::codes as documented_codes;

use std::sync::Arc;

use axum::{Extension, Router};
use portcullis_core::denial::Denial;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::openapi::head;
use crate::problem::Problem;
use crate::routes::openapi::Document;
use portcullis_host::host::Host;

/// Every endpoint, for paths in canonical form. A request has a
/// [`portcullis_service::ports::RequestMeta`] among its extensions.
pub(crate) fn router(host: Arc<Host>) -> Router {
    let (router, _document) = endpoints().split_for_parts();
    router
        .fallback(async || Problem::Denied(Denial::UnknownRoute))
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(Extension(Arc::new(Document::new(|| {
            endpoints().into_openapi()
        }))))
        .with_state(host)
}

/// Every endpoint with its description.
fn endpoints() -> OpenApiRouter<Arc<Host>> {
    OpenApiRouter::with_openapi(head())
        .routes(routes!(register::register))
        .routes(routes!(login::login))
        .routes(routes!(login_factor::login_factor))
        .routes(routes!(mail::unlock_page, mail::unlock))
        .routes(routes!(logout::logout))
        .routes(routes!(logout::logout_all))
        .routes(routes!(refresh::refresh))
        .routes(routes!(csrf::csrf))
        .routes(routes!(me::me))
        .routes(routes!(me::user_info, me::post_user_info))
        .routes(routes!(sessions::sessions))
        .routes(routes!(sessions::end_session))
        .routes(routes!(oauth::token))
        .routes(routes!(oauth::revoke))
        .routes(routes!(oauth::introspect))
        .routes(routes!(mail::verify_page, mail::verify))
        .routes(routes!(mail::resend))
        .routes(routes!(mail::forgot))
        .routes(routes!(mail::reset_page, mail::reset))
        .routes(routes!(password::change))
        .routes(routes!(factors::list))
        .routes(routes!(factors::begin, factors::remove))
        .routes(routes!(factors::confirm))
        .routes(routes!(factors::renew_recovery_codes))
        .routes(routes!(jwks::jwks))
        .routes(routes!(metadata::authorization_server))
        .routes(routes!(metadata::openid_provider))
        .routes(routes!(openapi::openapi))
        .routes(routes!(health::health))
}
