//! The identity headers for the origin; the edge removes any that a client sent.

use crate::id::Id;
use crate::token::claims::Claims;
use crate::token::verifier::Verified;

/// The issuer of the subject.
pub const ISSUER_HEADER: &str = "x-auth-issuer";
/// The subject.
pub const SUBJECT_HEADER: &str = "x-auth-subject";
/// The granted scopes.
pub const SCOPE_HEADER: &str = "x-auth-scope";
/// The session identifier.
pub const SESSION_HEADER: &str = "x-auth-session";
/// The request ID, the same at the edge and at the origin.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

const RESERVED: [&str; 5] = [
    ISSUER_HEADER,
    SUBJECT_HEADER,
    SCOPE_HEADER,
    SESSION_HEADER,
    REQUEST_ID_HEADER,
];

/// Whether an inbound header could pass for an identity header and is removed. The match ignores
/// case and treats underscores as hyphens, because CGI and WSGI servers do not distinguish them.
pub fn is_reserved_header(name: &str) -> bool {
    let same = |ours: &&str| {
        ours.len() == name.len()
            && ours.bytes().zip(name.bytes()).all(|(ours, theirs)| {
                ours == theirs.to_ascii_lowercase() || ours == b'-' && theirs == b'_'
            })
    };
    RESERVED.iter().any(same)
}

/// The headers to set on the forwarded request; every value is visible ASCII, with single spaces
/// between scopes.
pub fn identity_headers(
    caller: Option<&Verified<Claims>>,
    request_id: &Id,
) -> Vec<(&'static str, String)> {
    let mut headers = vec![(REQUEST_ID_HEADER, request_id.to_string())];
    if let Some(claims) = caller.map(Verified::get) {
        headers.push((ISSUER_HEADER, claims.issuer.clone()));
        headers.push((SUBJECT_HEADER, claims.subject.clone()));
        headers.push((SCOPE_HEADER, claims.scopes.to_string()));
        headers.extend(claims.session_id.clone().map(|id| (SESSION_HEADER, id)));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_identity_header_is_removed_in_any_spelling() {
        for name in [
            "x-auth-subject",
            "X-Auth-Subject",
            "x_auth_subject",
            "X-AUTH_Issuer",
            "x_request-id",
        ] {
            assert!(is_reserved_header(name), "{name}");
        }
        for name in [
            "x-auth-subjects",
            "x-auth",
            "x-auth-token",
            "xauth-subject",
            "x.auth.subject",
            "",
        ] {
            assert!(!is_reserved_header(name), "{name}");
        }
    }

    #[test]
    fn an_anonymous_request_is_forwarded_with_only_a_request_id() {
        let id = Id::from_random([1; 16]);
        assert_eq!(
            identity_headers(None, &id),
            [(REQUEST_ID_HEADER, id.to_string())]
        );
    }
}
