//! The metadata of the issuer: [RFC 8414] and [OpenID Connect Discovery 1.0].
//!
//! There is no authorization endpoint: users log in at `/v1/login`, a first-party JSON endpoint
//! without an OAuth grant. The metadata lists the token endpoint, revocation and introspection,
//! with their client authentication. Response types and algorithms of ID tokens are empty lists,
//! because a missing member would mean its default.
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

use crate::openapi::problems::{ANY, problems};
use crate::routes::response::json;
use portcullis_host::host::Host;

problems!(MetadataProblems: ANY);

/// The metadata of the issuer.
#[derive(ToSchema)]
#[schema(as = IssuerMetadata)]
#[expect(dead_code, reason = "describes a response")]
struct MetadataBody {
    /// The `iss` of its tokens.
    #[schema(format = "uri", example = "https://login.example")]
    issuer: String,
    /// The URL of its keys.
    #[schema(
        format = "uri",
        example = "https://login.example/.well-known/jwks.json"
    )]
    jwks_uri: String,
    /// The URL of the token endpoint.
    #[schema(format = "uri", example = "https://login.example/oauth2/token")]
    token_endpoint: String,
    /// The client authentication there.
    token_endpoint_auth_methods_supported: Vec<String>,
    /// The URL of the revocation endpoint.
    #[schema(format = "uri", example = "https://login.example/oauth2/revoke")]
    revocation_endpoint: String,
    /// The client authentication there.
    revocation_endpoint_auth_methods_supported: Vec<String>,
    /// The URL of the introspection endpoint.
    #[schema(format = "uri", example = "https://login.example/oauth2/introspect")]
    introspection_endpoint: String,
    /// The client authentication there.
    introspection_endpoint_auth_methods_supported: Vec<String>,
    /// The grants of the token endpoint.
    grant_types_supported: Vec<String>,
    /// The response types of an authorization endpoint; there is none.
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

/// The issuer's metadata for libraries that read only this URL (OpenID Connect Discovery 1.0).
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
    let at = |path: &str| Json::quote(&format!("{}{path}", issuer.trim_end_matches('/')));
    let body = format!(
        concat!(
            r#"{{"issuer":{},"jwks_uri":{},"token_endpoint":{},"#,
            r#""token_endpoint_auth_methods_supported":["none"],"#,
            r#""revocation_endpoint":{},"revocation_endpoint_auth_methods_supported":["none"],"#,
            r#""introspection_endpoint":{},"introspection_endpoint_auth_methods_supported":"#,
            r#"["client_secret_basic","client_secret_post"],"#,
            r#""grant_types_supported":["refresh_token"],"response_types_supported":[]{}}}"#,
        ),
        Json::quote(issuer),
        at("/.well-known/jwks.json"),
        at("/oauth2/token"),
        at("/oauth2/revoke"),
        at("/oauth2/introspect"),
        more,
    );
    let mut response = json(StatusCode::OK, body);
    let lifetime = HeaderValue::from_static("public, max-age=3600");
    response.headers_mut().insert(CACHE_CONTROL, lifetime);
    response
}
