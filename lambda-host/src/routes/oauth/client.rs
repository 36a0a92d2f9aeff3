//! Client authentication, by HTTP Basic or in the body ([RFC 6749 §2.3.1]).
//!
//! [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1

use data_encoding::BASE64;
use http::header::{AUTHORIZATION, HeaderMap};
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::secret::Secret;
use portcullis_service::client_auth::{self, ClientCredentials, ClientKind};
use portcullis_service::limit::LimitKey;
use zeroize::Zeroizing;

use crate::api_error::ApiError;
use crate::problem::{Problem, TokenProblem};
use crate::routes::api_call::ApiCall;

/// The client as the form names it.
pub(super) struct FormClient {
    pub(super) id: Option<Secret<String>>,
    pub(super) secret: Option<Secret<String>>,
}

/// Authenticates the client.
///
/// # Errors
///
/// The [`Problem`] that the client is unknown, authenticates in two ways, or cannot be looked up.
pub(super) async fn identify(call: &ApiCall, form: FormClient) -> Result<ClientKind, ApiError> {
    let claim = claim(call.headers(), form);
    let host = call.host();
    let clients = host.clients.known(&host.client, call.meta().now).await;
    let clients = host.track(clients)?;
    let open = call.open().await?;
    let ctx = open.ctx();
    let problem = match claim {
        Ok(claim) => {
            match client_auth::identify(&claim, &clients, &host.settings.issuing.client_id) {
                known @ (ClientKind::FirstParty | ClientKind::Confidential) => return Ok(known),
                ClientKind::Refused => Problem::Token(TokenProblem::BadClient),
            }
        }
        Err(problem) => problem,
    };
    // Counted only on failure: an authenticated client has no limit here. Counted before the audit
    // entry: a flood of failures writes no flood of entries.
    open.acquire(&[(LimitKind::ClientAddress, LimitKey::Network)])
        .await?;
    open.run(client_auth::record_refusal(ctx)).await?;
    Err(problem.into())
}

fn claim(headers: &HeaderMap, form: FormClient) -> Result<ClientCredentials, Problem> {
    let id = form.id.map(|id| id.expose().clone());
    match (basic(headers)?, id, form.secret) {
        // RFC 6749 §5.2: missing authentication is failed authentication.
        (None, None, _) => Err(Problem::Token(TokenProblem::BadClient)),
        (None, Some(id), secret) => Ok(ClientCredentials { id, secret }),
        // RFC 6749 §2.3: a client uses at most one method.
        (Some(_), _, Some(_)) => Err(Problem::Token(TokenProblem::MalformedForm)),
        (Some(claim), Some(id), None) if claim.id != id => {
            Err(Problem::Token(TokenProblem::BadClient))
        }
        (Some(claim), _, None) => Ok(claim),
    }
}

/// Parses `Authorization: Basic`: ID and secret, each form-encoded.
fn basic(headers: &HeaderMap) -> Result<Option<ClientCredentials>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let bad = Problem::Token(TokenProblem::BadClient);
    if values.next().is_some() {
        return Err(bad);
    }
    let value = value.to_str().map_err(|_| bad)?;
    let (scheme, code) = value.split_once(' ').ok_or(bad)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(bad);
    }
    let plain = BASE64.decode(code.trim().as_bytes()).map_err(|_| bad)?;
    let plain = Zeroizing::new(plain);
    let text = core::str::from_utf8(&plain).map_err(|_| bad)?;
    let (id, secret) = text.split_once(':').ok_or(bad)?;
    Ok(Some(ClientCredentials {
        id: decoded(id).ok_or(bad)?,
        secret: Some(Secret::new(decoded(secret).ok_or(bad)?)),
    }))
}

/// Decodes a form-encoded text. A separator (`&`, `=`) must be encoded.
fn decoded(text: &str) -> Option<String> {
    if text.contains(['&', '=']) {
        return None;
    }
    let mut pairs = form_urlencoded::parse(text.as_bytes());
    Some(
        pairs
            .next()
            .map(|(text, _)| text.into_owned())
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            AUTHORIZATION,
            HeaderValue::from_str(value).expect("a value"),
        )])
    }

    #[test]
    fn client_id_and_secret_are_form_decoded_separately() {
        let code = BASE64.encode(b"orders%3A1:s+e%26cret%C3%A4");
        let claim = basic(&headers(&format!("basic {code}"))).expect("well-formed");
        let claim = claim.expect("a claim");
        assert_eq!(claim.id, "orders:1");
        let secret = claim.secret.expect("a secret");
        assert_eq!(secret.expose(), "s e&cretä");
        assert!(basic(&HeaderMap::new()).is_ok_and(|none| none.is_none()));
    }

    #[test]
    fn malformed_basic_authentication_is_rejected() {
        let twice = {
            let mut headers = headers("Basic YTpi");
            headers.append(AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
            headers
        };
        let odd = [
            "Basic",
            "Basic ",
            "Basic YTpi=",
            "Basic YWI=",
            "Bearer YTpi",
            "Basic YTo9",
        ];
        for headers in odd.map(headers).into_iter().chain([twice]) {
            let read = basic(&headers).map(|_| ());
            assert_eq!(
                read,
                Err(Problem::Token(TokenProblem::BadClient)),
                "{headers:?}"
            );
        }
    }
}
