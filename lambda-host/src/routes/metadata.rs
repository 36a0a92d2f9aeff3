//! What this issuer says of itself: [RFC 8414] and [OpenID Connect Discovery 1.0].
//!
//! There is no authorization endpoint and no token endpoint: people log in at `/v1/login`, which
//! is a first-party JSON endpoint and no OAuth grant. So both documents name the issuer and its
//! keys, and list no grant, no response type and no algorithm of ID tokens, instead of leaving
//! those members out, which would mean their defaults. That is what resource servers need, who
//! read `issuer` and `jwks_uri`; `introspection_endpoint` and its like will stand here once they
//! exist.
//!
//! [RFC 8414]: https://www.rfc-editor.org/rfc/rfc8414#section-2
//! [OpenID Connect Discovery 1.0]: https://openid.net/specs/openid-connect-discovery-1_0.html

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use portcullis_core::json::Json;
use utoipa::ToSchema;

use crate::host::Host;
use crate::openapi::problems::{ANY, problems};
use crate::routes::json;

problems!(MetadataProblems: ANY);

/// What the issuer says of itself.
#[derive(ToSchema)]
#[schema(as = IssuerMetadata)]
#[expect(dead_code, reason = "describes what is written")]
struct MetadataBody {
    /// The `iss` of its tokens.
    #[schema(format = "uri", example = "https://login.example")]
    issuer: String,
    /// Where its keys are.
    #[schema(
        format = "uri",
        example = "https://login.example/.well-known/jwks.json"
    )]
    jwks_uri: String,
    /// What the token endpoint takes.
    grant_types_supported: Vec<String>,
    /// What an authorization endpoint would answer with; there is none.
    response_types_supported: Vec<String>,
}

/// The issuer's metadata (RFC 8414).
#[utoipa::path(
    get,
    path = "/.well-known/oauth-authorization-server",
    tag = "service",
    responses((status = 200, description = "The metadata", body = MetadataBody), MetadataProblems)
)]
pub(super) async fn authorization_server(State(host): State<Arc<Host>>) -> Response {
    document(&host, "")
}

/// The issuer's metadata, for libraries that look nowhere else (OpenID Connect Discovery 1.0).
#[utoipa::path(
    get,
    path = "/.well-known/openid-configuration",
    tag = "service",
    responses((status = 200, description = "The metadata", body = MetadataBody), MetadataProblems)
)]
pub(super) async fn openid_provider(State(host): State<Arc<Host>>) -> Response {
    let more =
        r#","subject_types_supported":["public"],"id_token_signing_alg_values_supported":[]"#;
    document(&host, more)
}

fn document(host: &Host, more: &str) -> Response {
    let issuer = &host.settings.issuing.issuer;
    let keys = format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'));
    let body = format!(
        r#"{{"issuer":{},"jwks_uri":{},"grant_types_supported":[],"response_types_supported":[]{more}}}"#,
        Json::quote(issuer),
        Json::quote(&keys),
    );
    let mut response = json(StatusCode::OK, body);
    let lifetime = HeaderValue::from_static("public, max-age=3600");
    response.headers_mut().insert(CACHE_CONTROL, lifetime);
    response
}
