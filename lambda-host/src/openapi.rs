//! The description of the HTTP API ([OpenAPI 3.1]): every endpoint with its requests, responses and
//! error codes.
//!
//! The router comes from the same declarations, so neither has an endpoint that the other lacks.
//! The document is built at the first request for it, not at a cold start.
//!
//! [OpenAPI 3.1]: https://spec.openapis.org/oas/v3.1.0

pub(crate) mod problems;

use utoipa::OpenApi as _;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi};

use crate::openapi::problems::{OAuthErrorDocument, ProblemDocument};

/// The introduction above the endpoints.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Portcullis",
        description = "Registers people, logs them in and out, and publishes the keys that verify their tokens. \
                       Errors are problem JSON (RFC 9457) with a stable `code`."
    ),
    components(schemas(ProblemDocument, OAuthErrorDocument)),
    tags(
        (name = "accounts", description = "Accounts: registration, addresses and password resets"),
        (name = "sessions", description = "Logins, refreshes and logouts"),
        (name = "oauth", description = "Endpoints for OAuth clients and resource servers"),
        (name = "service", description = "Keys, metadata, health and this description"),
    )
)]
struct Head;

/// The document without its endpoints.
pub(crate) fn head() -> OpenApi {
    let mut head = Head::openapi();
    let components = head.components.get_or_insert_with(Components::new);
    for (name, scheme) in schemes() {
        components.add_security_scheme(name, scheme);
    }
    head
}

fn schemes() -> [(&'static str, SecurityScheme); 3] {
    let http = |scheme, description| {
        HttpBuilder::new()
            .scheme(scheme)
            .description(Some(description))
    };
    let bearer = http(
        HttpAuthScheme::Bearer,
        "An access token of this issuer (RFC 6750)",
    );
    let basic = http(
        HttpAuthScheme::Basic,
        "The client's ID and secret (RFC 6749 §2.3.1)",
    );
    let cookie = ApiKeyValue::with_description(
        "__Host-portcullis-refresh",
        "The refresh token of a browser, set as a cookie at login",
    );
    [
        (
            "bearer",
            SecurityScheme::Http(bearer.bearer_format("JWT").build()),
        ),
        ("basic", SecurityScheme::Http(basic.build())),
        ("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie))),
    ]
}
