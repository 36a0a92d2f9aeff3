//! The identity headers for the origin; the edge removes any that a client sent.

use crate::denial::Denial;
pub use crate::forwarding::REQUEST_ID_HEADER;
use crate::forwarding::{HeaderRules, ISSUER, SCOPE, SESSION, SUBJECT};
use crate::id::Id;
use crate::token::claims::Claims;
use crate::token::verifier::Verified;

/// The headers to set on the forwarded request by `rules`; every value is visible ASCII, with single
/// spaces between scopes.
///
/// # Errors
///
/// As [`HeaderRules::claim_headers`]; a gate with these rules accepts no such caller.
pub fn identity_headers(
    rules: &HeaderRules,
    caller: Option<&Verified<Claims>>,
    request_id: &Id,
) -> Result<Vec<(String, String)>, Denial> {
    let prefix = rules.identity_prefix();
    let mut headers = vec![(REQUEST_ID_HEADER.to_owned(), request_id.to_string())];
    if let Some(claims) = caller.map(Verified::get) {
        let mut set = |name: &str, value| headers.push((format!("{prefix}{name}"), value));
        set(ISSUER, claims.issuer.clone());
        set(SUBJECT, claims.subject.clone());
        set(SCOPE, claims.scopes.to_string());
        if let Some(id) = claims.session_id.clone() {
            set(SESSION, id);
        }
        headers.append(&mut rules.claim_headers(claims)?);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anonymous_request_is_forwarded_with_only_a_request_id() {
        let id = Id::from_random([1; 16]);
        assert_eq!(
            identity_headers(&HeaderRules::default(), None, &id),
            Ok(vec![(REQUEST_ID_HEADER.to_owned(), id.to_string())])
        );
    }
}
