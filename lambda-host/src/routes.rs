//! The HTTP API, one file for each family of endpoints.

mod body;
mod credentials;
mod health;
mod jwks;
mod login;
mod logout;
mod members;
mod metadata;
mod register;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use portcullis_core::denial::Denial;

use crate::host::Host;
use crate::problem::Problem;

/// Every endpoint, for paths in canonical form. Requests come with a
/// [`portcullis_service::ports::Call`] among their extensions.
pub(crate) fn router(host: Arc<Host>) -> Router {
    Router::new()
        .route("/v1/register", post(register::register))
        .route("/v1/login", post(login::login))
        .route("/v1/logout", post(logout::logout))
        .route("/.well-known/jwks.json", get(jwks::jwks))
        .route(
            "/.well-known/oauth-authorization-server",
            get(metadata::authorization_server),
        )
        .route(
            "/.well-known/openid-configuration",
            get(metadata::openid_provider),
        )
        .route("/health", get(health::health))
        .fallback(async || Problem::Refused(Denial::UnknownRoute))
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .with_state(host)
}

/// An answer in JSON, for its recipient alone.
fn json(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
