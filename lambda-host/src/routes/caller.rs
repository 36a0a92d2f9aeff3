//! The caller, by its access token.

use http::header::{AUTHORIZATION, HeaderMap};
use portcullis_core::id::Id;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;
use portcullis_service::store::RetainedSession;

use crate::problem::Problem;

/// The user ID of the token.
pub(super) fn user_id(caller: &Verified<Claims>) -> Result<Id, Problem> {
    Id::parse(&caller.get().subject).map_err(|_| Problem::NoSession)
}

/// The session of the token.
pub(super) fn session(caller: &Verified<Claims>) -> Result<RetainedSession, Problem> {
    let claims = caller.get();
    let id = claims.session_id.as_deref().map(Id::parse);
    match (id, claims.authenticated_at) {
        (Some(Ok(id)), Some(opened_at)) => Ok(RetainedSession { id, opened_at }),
        _ => Err(Problem::NoSession),
    }
}

/// Every `Authorization` value, joined by [RFC 9110 §5.3]: several values are no bearer token.
///
/// [RFC 9110 §5.3]: https://www.rfc-editor.org/rfc/rfc9110#section-5.3
pub(super) fn authorization(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(AUTHORIZATION).iter();
    let values: Vec<_> = values
        .map(|value| value.to_str().unwrap_or_default())
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use portcullis_core::bearer::bearer_token;
    use portcullis_core::denial::Denial;

    use super::*;

    #[test]
    fn two_bearer_tokens_are_malformed_and_no_header_is_no_token() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer_token(authorization(&headers).as_deref()), Ok(None));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a.b.c"));
        assert_eq!(
            bearer_token(authorization(&headers).as_deref()),
            Ok(Some("a.b.c"))
        );
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a.b.c"));
        let twice = authorization(&headers);
        assert_eq!(
            bearer_token(twice.as_deref()),
            Err(Denial::MalformedAuthorization)
        );
        headers.insert(
            AUTHORIZATION,
            HeaderValue::from_bytes(b"Bearer \xe9").expect("a value"),
        );
        let odd = authorization(&headers);
        assert_eq!(
            bearer_token(odd.as_deref()),
            Err(Denial::MalformedAuthorization)
        );
    }
}
