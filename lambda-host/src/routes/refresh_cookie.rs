//! The refresh token as a cookie, for pages that should not hold it themselves.

use axum::response::Response;
use http::header::{HeaderMap, ORIGIN};
use http::{StatusCode, Uri};
use portcullis_core::csrf::{self, TokenSource};
use portcullis_core::json::{Json, Object};
use portcullis_core::root_keys::RootKeys;
use portcullis_core::secret::Secret;
use portcullis_service::open_session::TokenGrant;
use utoipa::ToSchema;

use crate::cookies;
use crate::problem::Problem;
use crate::routes::json_body::JsonBody;
use crate::routes::response::json;

/// The cookie that holds the refresh token.
const NAME: &str = "__Host-portcullis-refresh";

/// The header in which a page repeats the code that it was told.
const CSRF_HEADER: &str = "x-portcullis-csrf";

/// Where the refresh token of an answer goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum TokenDelivery {
    /// Into the body: whoever asked keeps it.
    Body,
    /// Into a cookie that no script reads; the body has the code that goes with it.
    Cookie,
}

impl TokenDelivery {
    /// The member `transport` of a body; the body where there is none.
    ///
    /// # Errors
    ///
    /// The [`Problem`] that it is neither word.
    pub(super) fn take(members: &mut JsonBody) -> Result<Self, Problem> {
        match members.optional_text("transport")?.as_deref() {
            None | Some("body") => Ok(Self::Body),
            Some("cookie") => Ok(Self::Cookie),
            Some(_) => Err(Problem::BadMember("transport")),
        }
    }
}

/// The tokens of a session ([RFC 6749 §5.1]).
///
/// [RFC 6749 §5.1]: https://www.rfc-editor.org/rfc/rfc6749#section-5.1
#[derive(ToSchema)]
#[schema(as = Tokens)]
#[expect(dead_code, reason = "describes what is written")]
pub(super) struct GrantBody {
    /// The access token, for `Authorization: Bearer`.
    #[schema(example = "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.e30.c2lnbmF0dXJl")]
    access_token: String,
    /// Always `Bearer`.
    #[schema(pattern = "^Bearer$", example = "Bearer")]
    token_type: String,
    /// How long the access token is good for, in seconds.
    #[schema(minimum = 1, example = 600)]
    expires_in: u64,
    /// The refresh token, where it goes into no cookie.
    #[schema(example = "BwcHBwcHBwcHBwcHBwcHBw.1.CQkJCQkJ.CwsLCwsL")]
    refresh_token: Option<String>,
    /// What goes with a cookie: the page sends it in `x-portcullis-csrf`.
    csrf_token: Option<String>,
}

/// The answer that hands out `grant`.
pub(super) fn token_response(
    grant: &TokenGrant,
    transport: TokenDelivery,
    vault: &RootKeys,
) -> Response {
    let mut members = Object::from_iter([
        (
            "access_token",
            Json::from(grant.access.token.expose().as_str()),
        ),
        ("token_type", Json::from("Bearer")),
        ("expires_in", Json::from(grant.access.expires_in.as_secs())),
    ]);
    match transport {
        TokenDelivery::Body => members.insert("refresh_token", grant.refresh.expose().as_str()),
        TokenDelivery::Cookie => {
            members.insert("csrf_token", csrf::token(&grant.session_id, vault));
        }
    };
    let mut response = json(StatusCode::OK, Json::Object(members).to_string());
    if transport == TokenDelivery::Cookie {
        let headers = response.headers_mut();
        cookies::set(headers, NAME, grant.refresh.expose(), Some(grant.idle));
    }
    response
}

/// Takes the cookie away: only where the session is known to be over.
pub(super) fn clear(headers: &mut HeaderMap) {
    cookies::set(headers, NAME, "", None);
}

/// The refresh token that the cookie holds.
pub(super) fn token(headers: &HeaderMap) -> Option<Secret<String>> {
    let value = cookies::value(headers, NAME).filter(|value| !value.is_empty());
    value.map(|value| Secret::new(value.to_owned()))
}

/// How the cookie came: what the browser and the page say of the page.
pub(super) fn carrier(headers: &HeaderMap, issuer: &str) -> TokenSource {
    TokenSource::Cookie {
        same_origin: is_same_origin(headers, issuer),
        code: one(headers, CSRF_HEADER)
            .and_then(Result::ok)
            .map(str::to_owned),
    }
}

/// Whether the browser says that a page of this origin asks, by its fetch metadata
/// ([W3C](https://www.w3.org/TR/fetch-metadata/)) and by `Origin`. Every browser of today sends
/// one of them with a `POST`; what is there must be right.
fn is_same_origin(headers: &HeaderMap, issuer: &str) -> bool {
    let site = one(headers, "sec-fetch-site").map(|site| site == Ok("same-origin"));
    let ours = origin_of(issuer);
    let origin = one(headers, ORIGIN.as_str())
        .map(|origin| ours.as_deref().is_some_and(|ours| origin == Ok(ours)));
    match (site, origin) {
        (Some(site), origin) => site && origin.unwrap_or(true),
        (None, Some(origin)) => origin,
        (None, None) => false,
    }
}

/// The one value of a header; an error if it is no text or there are several.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<Result<&'a str, ()>> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    let more = values.next().is_some();
    Some(value.to_str().ok().filter(|_| !more).ok_or(()))
}

/// `https://login.example` of `https://login.example/tenant`, as browsers write it.
fn origin_of(issuer: &str) -> Option<String> {
    let uri: Uri = issuer.parse().ok()?;
    let authority = uri.authority()?.as_str().to_ascii_lowercase();
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let usual = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(usual).unwrap_or(&authority);
    Some(format!("{scheme}://{authority}"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const ISSUER: &str = "https://Login.example:443/tenant";

    #[test]
    fn a_page_of_this_origin_is_told_from_any_other() {
        let ours = ("origin", "https://login.example");
        for (headers, same) in [
            (vec![("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "same-origin"), ours], true),
            (vec![ours], true),
            (vec![], false),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "none"), ours], false),
            (vec![("origin", "null")], false),
            (vec![("origin", "http://login.example")], false),
            (vec![("origin", "https://login.example.evil")], false),
            (vec![ours, ours], false),
            (
                vec![
                    ("sec-fetch-site", "same-origin"),
                    ("origin", "https://evil"),
                ],
                false,
            ),
        ] {
            let map: HeaderMap = headers
                .iter()
                .map(|(name, value)| {
                    (
                        HeaderName::from_static(name),
                        HeaderValue::from_static(value),
                    )
                })
                .collect();
            assert_eq!(is_same_origin(&map, ISSUER), same, "{headers:?}");
        }
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for (issuer, origin) in [
            ("https://login.example/", "https://login.example"),
            ("http://127.0.0.1:8788", "http://127.0.0.1:8788"),
            ("http://LOCALHOST:80/a", "http://localhost"),
        ] {
            assert_eq!(origin_of(issuer).as_deref(), Some(origin));
        }
    }
}
