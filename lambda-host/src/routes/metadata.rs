//! The metadata of the issuer: [RFC 8414] and [OpenID Connect Discovery 1.0].
//!
//! There is no authorization endpoint: users log in at `/v1/login`, a first-party JSON endpoint
//! without an OAuth grant. The metadata lists the token endpoint, revocation and introspection,
//! with their client authentication. A list without elements is left out ([RFC 8414 §3.2]), such as
//! the response types.
//!
//! [RFC 8414 §3.2]: https://www.rfc-editor.org/rfc/rfc8414#section-3.2
//! [RFC 8414]: https://www.rfc-editor.org/rfc/rfc8414#section-2
//! [OpenID Connect Discovery 1.0]: https://openid.net/specs/openid-connect-discovery-1_0.html

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use crate::cors;
use crate::openapi::problems::{ANY, problems};
use crate::routes::response::json;
use portcullis_host::host::Host;

problems!(MetadataProblems: ANY);

/// The metadata of the issuer.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuerMetadata)]
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
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    /// The URL of the revocation endpoint.
    #[schema(format = "uri", example = "https://login.example/oauth2/revoke")]
    revocation_endpoint: String,
    /// The client authentication there.
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    /// The URL of the introspection endpoint.
    #[schema(format = "uri", example = "https://login.example/oauth2/introspect")]
    introspection_endpoint: String,
    /// The client authentication there.
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    /// The URL of the claims about a user.
    #[schema(format = "uri", example = "https://login.example/oauth2/userinfo")]
    userinfo_endpoint: String,
    /// The grants of the token endpoint.
    grant_types_supported: Vec<&'static str>,
    /// The subject types, for OpenID Connect Discovery only.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_types_supported: Option<Vec<&'static str>>,
}

/// The issuer's metadata (RFC 8414).
#[utoipa::path(
    get,
    path = "/.well-known/oauth-authorization-server",
    tag = "service",
    responses((status = 200, description = "The metadata", body = MetadataBody), MetadataProblems)
)]
pub(super) async fn authorization_server(State(host): State<Arc<Host>>) -> Response {
    document(&metadata(&host))
}

/// The issuer's metadata for libraries that read only this URL (OpenID Connect Discovery 1.0).
#[utoipa::path(
    get,
    path = "/.well-known/openid-configuration",
    tag = "service",
    responses((status = 200, description = "The metadata", body = MetadataBody), MetadataProblems)
)]
pub(super) async fn openid_provider(State(host): State<Arc<Host>>) -> Response {
    document(&MetadataBody {
        subject_types_supported: Some(vec!["public"]),
        ..metadata(&host)
    })
}

fn metadata(host: &Host) -> MetadataBody {
    let issuer = &host.settings.issuing.issuer;
    let at = |path: &str| format!("{}{path}", issuer.trim_end_matches('/'));
    MetadataBody {
        issuer: issuer.clone(),
        jwks_uri: at("/.well-known/jwks.json"),
        token_endpoint: at("/oauth2/token"),
        token_endpoint_auth_methods_supported: vec!["none"],
        revocation_endpoint: at("/oauth2/revoke"),
        revocation_endpoint_auth_methods_supported: vec!["none"],
        introspection_endpoint: at("/oauth2/introspect"),
        introspection_endpoint_auth_methods_supported: vec![
            "client_secret_basic",
            "client_secret_post",
        ],
        userinfo_endpoint: at("/oauth2/userinfo"),
        grant_types_supported: vec!["refresh_token"],
        subject_types_supported: None,
    }
}

fn document(metadata: &MetadataBody) -> Response {
    let mut response = json(StatusCode::OK, metadata);
    let lifetime = HeaderValue::from_static("public, max-age=3600");
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, lifetime);
    cors::allow_every_page(headers);
    response
}
