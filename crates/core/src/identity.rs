//! The identity headers for the origin, which a client cannot set.

use crate::id::Id;
use crate::token::claims::Claims;
use crate::token::verifier::Verified;

/// The issuer of this subject.
pub const ISSUER_HEADER: &str = "x-auth-issuer";
/// Whom the request speaks for.
pub const SUBJECT_HEADER: &str = "x-auth-subject";
/// The scopes of the bearer.
pub const SCOPE_HEADER: &str = "x-auth-scope";
/// The login it stems from.
pub const SESSION_HEADER: &str = "x-auth-session";
/// The request's name at the edge and at the origin.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

const RESERVED: [&str; 5] = [
    ISSUER_HEADER,
    SUBJECT_HEADER,
    SCOPE_HEADER,
    SESSION_HEADER,
    REQUEST_ID_HEADER,
];

/// Whether an inbound header of this name could be taken for one of ours, and so is stripped:
/// whatever its case, and with underscores for hyphens, since CGI and WSGI servers make both one.
pub fn is_reserved_header(name: &str) -> bool {
    let same = |ours: &&str| {
        ours.len() == name.len()
            && ours.bytes().zip(name.bytes()).all(|(ours, theirs)| {
                ours == theirs.to_ascii_lowercase() || ours == b'-' && theirs == b'_'
            })
    };
    RESERVED.iter().any(same)
}

/// The headers to set on the forwarded request; every value is visible ASCII, scopes with single
/// spaces between them.
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
    fn no_spelling_of_our_headers_gets_through() {
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
    fn without_a_caller_only_the_request_has_a_name() {
        let id = Id::from_random([1; 16]);
        assert_eq!(
            identity_headers(None, &id),
            [(REQUEST_ID_HEADER, id.to_string())]
        );
    }
}
