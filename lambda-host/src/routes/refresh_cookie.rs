//! The refresh token as a cookie, for pages that must not hold it themselves.

use axum::response::Response;
use http::StatusCode;
use http::header::HeaderMap;
use portcullis_core::csrf::{self, CSRF_HEADER, TokenSource};
use portcullis_core::id::Id;
use portcullis_core::refresh::{Delivery, RefreshToken};
use portcullis_core::root_keys::RootKeys;
use portcullis_core::secret::Secret;
use portcullis_host::own_origins::OwnOrigins;
use portcullis_service::open_session::TokenGrant;
use serde::Serialize;
use utoipa::ToSchema;

use crate::cookies;
use crate::problem::Problem;
use crate::routes::request_body::Optional;
use crate::routes::response::{IssuedSecret, json};
use crate::routes::same_origin::{is_own_page, one};

/// The cookie that holds the refresh token.
const NAME: &str = "__Host-portcullis-refresh";

/// Parses the member `transport` of a body; the default is the body.
///
/// # Errors
///
/// The [`Problem`] of another value.
pub(super) fn delivery(transport: Optional) -> Result<Delivery, Problem> {
    let transport = transport.text()?;
    match transport.as_ref().map(|text| text.expose().as_str()) {
        None | Some("body") => Ok(Delivery::Body),
        Some("cookie") => Ok(Delivery::Cookie),
        Some(_) => Err(Problem::BadMember("transport")),
    }
}

/// The tokens of a session ([RFC 6749 §5.1]).
///
/// [RFC 6749 §5.1]: https://www.rfc-editor.org/rfc/rfc6749#section-5.1
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(super) struct GrantBody {
    /// The access token, for `Authorization: Bearer`.
    #[schema(value_type = String, example = "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.e30.c2lnbmF0dXJl")]
    access_token: IssuedSecret,
    /// Always `Bearer`.
    #[schema(pattern = "^Bearer$", example = "Bearer")]
    token_type: &'static str,
    /// The lifetime of the access token, in seconds.
    #[schema(minimum = 1, example = 600)]
    expires_in: u64,
    /// The refresh token, unless it is in a cookie.
    #[schema(value_type = Option<String>, nullable = false, example = "BwcHBwcHBwcHBwcHBwcHBw.1.CQkJCQkJ.CwsLCwsL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<IssuedSecret>,
    /// The CSRF token of the cookie: the page sends it in `x-portcullis-csrf`.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf_token: Option<String>,
}

/// The response with the tokens of `grant`.
pub(super) fn token_response(grant: &TokenGrant, root_keys: &RootKeys) -> Response {
    let (refresh_token, csrf_token) = match grant.delivery {
        Delivery::Body => (Some(grant.refresh.clone().into()), None),
        Delivery::Cookie => (None, Some(csrf::token(&grant.session_id, root_keys))),
    };
    let body = GrantBody {
        access_token: grant.access.token.clone().into(),
        token_type: "Bearer",
        expires_in: grant.access.expires_in.as_secs(),
        refresh_token,
        csrf_token,
    };
    let mut response = json(StatusCode::OK, &body);
    if grant.delivery == Delivery::Cookie {
        let headers = response.headers_mut();
        cookies::set(headers, NAME, grant.refresh.expose(), Some(grant.idle));
    }
    response
}

/// The place of a new refresh token for the session `session_id`: the cookie, if it holds one of
/// this session.
pub(super) fn delivery_of(headers: &HeaderMap, session_id: &Id, root_keys: &RootKeys) -> Delivery {
    let token = token(headers).and_then(|text| RefreshToken::parse(text.expose(), root_keys).ok());
    match token {
        Some(token) if token.session_id() == session_id => Delivery::Cookie,
        Some(_) | None => Delivery::Body,
    }
}

/// Deletes the cookie: only if the session has ended.
pub(super) fn clear(headers: &mut HeaderMap) {
    cookies::set(headers, NAME, "", None);
}

/// The refresh token that the cookie holds.
pub(super) fn token(headers: &HeaderMap) -> Option<Secret<String>> {
    let value = cookies::value(headers, NAME).filter(|value| !value.is_empty());
    value.map(|value| Secret::new(value.to_owned()))
}

/// The source of the cookie, by the headers of the browser and the page.
pub(super) fn carrier(headers: &HeaderMap, origins: &OwnOrigins) -> TokenSource {
    TokenSource::Cookie {
        same_origin: is_own_page(headers, origins),
        code: one(headers, CSRF_HEADER)
            .and_then(Result::ok)
            .map(str::to_owned),
    }
}
