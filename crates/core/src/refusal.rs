//! The response to a denied request, the same from every adapter ([RFC 6750 §3], [RFC 9457]).
//!
//! [RFC 6750 §3]: https://www.rfc-editor.org/rfc/rfc6750#section-3
//! [RFC 9457]: https://www.rfc-editor.org/rfc/rfc9457

use crate::denial::Denial;
use crate::id::Id;
use crate::identity::REQUEST_ID_HEADER;
use crate::json::Json;
use crate::route::Requirement;

/// A denial response, ready to send.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DenialResponse {
    /// The HTTP status.
    pub status: u16,
    /// The headers, with lower-case names.
    pub headers: Vec<(&'static str, String)>,
    /// Problem JSON: `type`, `title`, `status`, `detail`, `code` and `request_id`.
    pub body: String,
}

impl DenialResponse {
    /// The response to a request denied for `denial`. `requirement` is that of its route, if known:
    /// it lists the scopes and the allowed methods.
    pub fn new(denial: Denial, requirement: Option<&Requirement>, request_id: &Id) -> Self {
        let status = denial.status();
        let mut headers = vec![
            ("content-type", "application/problem+json".to_owned()),
            ("cache-control", "no-store".to_owned()),
            (REQUEST_ID_HEADER, request_id.to_string()),
        ];
        if denial == Denial::MethodNotAllowed {
            // RFC 9110 §15.5.6: the response must have this header.
            let methods = requirement.map(|requirement| requirement.methods.join(", "));
            headers.push(("allow", methods.unwrap_or_default()));
        }
        headers.extend(challenge(denial, requirement).map(|value| ("www-authenticate", value)));
        let mut body = problem_json(status, denial.detail(), denial.code(), request_id);
        if let Denial::RateLimited(period) = denial {
            let seconds = period.secs();
            headers.push(("retry-after", seconds.to_string()));
            // The same member as in the host's own responses with this code.
            let _brace = body.pop();
            body.push_str(&format!(r#","retry_after":{seconds}}}"#));
        } else if status == 503 {
            headers.push(("retry-after", "1".to_owned()));
        }
        Self {
            status,
            headers,
            body,
        }
    }
}

/// Problem JSON ([RFC 9457 §3.1]) with two extension members: a stable `code` and the `request_id`.
///
/// [RFC 9457 §3.1]: https://www.rfc-editor.org/rfc/rfc9457#section-3.1
pub fn problem_json(status: u16, detail: &str, code: &str, request_id: &Id) -> String {
    format!(
        r#"{{"type":"about:blank","title":{},"status":{status},"detail":{},"code":{},"request_id":{}}}"#,
        Json::quote(title(status)),
        Json::quote(detail),
        Json::quote(code),
        Json::quote(request_id.as_str()),
    )
}

/// The `WWW-Authenticate` value, if a token is missing or was rejected.
fn challenge(denial: Denial, requirement: Option<&Requirement>) -> Option<String> {
    let error = match (denial, denial.status()) {
        // RFC 6750 §3.1: no error code for a request without a token.
        (Denial::MissingToken, _) => {
            let mut value = "Bearer".to_owned();
            add_resource(&mut value, " ", requirement, true);
            return Some(value);
        }
        // Another token would not help.
        (Denial::UpgradeNotAllowed | Denial::ForeignOrigin, _) => return None,
        (Denial::MalformedAuthorization, _) => "invalid_request",
        (_, 401) => "invalid_token",
        (_, 403) => "insufficient_scope",
        (_, _) => return None,
    };
    let mut value = format!(
        r#"Bearer error="{error}", error_description="{}""#,
        denial.detail()
    );
    if denial == Denial::InsufficientScope {
        let scopes = requirement
            .map(Requirement::named_scopes)
            .unwrap_or_default();
        value.push_str(&format!(r#", scope="{scopes}""#));
    }
    add_resource(&mut value, ", ", requirement, false);
    Some(value)
}

/// Adds the URL of the metadata of the route's resource ([RFC 9728 §5.1]), and the scopes that it
/// needs if a client has to get a token first.
///
/// [RFC 9728 §5.1]: https://www.rfc-editor.org/rfc/rfc9728#section-5.1
fn add_resource(
    value: &mut String,
    separator: &str,
    requirement: Option<&Requirement>,
    with_scopes: bool,
) {
    let Some(requirement) = requirement else {
        return;
    };
    let Some(resource) = &requirement.resource else {
        return;
    };
    let url = resource.metadata_url();
    value.push_str(&format!(r#"{separator}resource_metadata="{url}""#));
    let scopes = requirement.named_scopes();
    if with_scopes && !scopes.is_empty() {
        value.push_str(&format!(r#", scope="{scopes}""#));
    }
}

/// The reason phrase of the status, the title for `about:blank` ([RFC 9110 §15]).
///
/// [RFC 9110 §15]: https://www.rfc-editor.org/rfc/rfc9110#section-15
const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

impl Denial {
    /// The HTTP status of the response.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadPath | Self::MalformedAuthorization => 400,
            Self::UpgradeNotAllowed
            | Self::ForeignOrigin
            | Self::InsufficientScope
            | Self::InsufficientRole => 403,
            Self::UnknownRoute => 404,
            Self::MethodNotAllowed => 405,
            Self::RateLimited(_) => 429,
            Self::OriginUnreachable => 502,
            Self::StaleSnapshot | Self::RevocationUnknown | Self::NotConfigured => 503,
            Self::MissingToken
            | Self::TokenTooLarge
            | Self::MalformedToken
            | Self::MalformedBase64
            | Self::MalformedHeader
            | Self::ForbiddenHeader(_)
            | Self::UnsupportedAlgorithm
            | Self::WrongType
            | Self::MissingKeyId
            | Self::MalformedClaims
            | Self::MissingClaim(_)
            | Self::UnforwardableClaim
            | Self::BoundToken
            | Self::UnknownIssuer
            | Self::WrongAudience
            | Self::Expired
            | Self::NotYetValid
            | Self::IssuedInFuture
            | Self::LifetimeTooLong
            | Self::TooOld
            | Self::AlgorithmNotAllowed
            | Self::UnknownKey
            | Self::UnusableKey
            | Self::BadSignature
            | Self::Revoked => 401,
        }
    }

    /// The reason in one sentence, in the characters that `error_description` allows.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::BadPath => "the path has no canonical form",
            Self::RateLimited(_) => "too many requests come from this network",
            Self::UnknownRoute => "no route covers this path",
            Self::MethodNotAllowed => "no route of this path allows the method",
            Self::UpgradeNotAllowed => "no route of this path allows the upgrade",
            Self::ForeignOrigin => "pages of this origin may not open a WebSocket here",
            Self::MissingToken => "a bearer token is required",
            Self::MalformedAuthorization => {
                "not exactly one bearer token, or a WebSocket offers it as its only subprotocol"
            }
            Self::TokenTooLarge => "the token is too large",
            Self::MalformedToken => "the token does not have three parts",
            Self::MalformedBase64 => "a part of the token is not canonical base64url",
            Self::MalformedHeader => "the token header is not a strict JSON object",
            Self::ForbiddenHeader(_) => "the token header has a member that is not taken",
            Self::UnsupportedAlgorithm => "the token names no supported algorithm",
            Self::WrongType => "the token is not an access token",
            Self::MissingKeyId => "the token has no kid",
            Self::MalformedClaims => "the claims are not a strict JSON object or have a wrong type",
            Self::MissingClaim(_) => "the token lacks a required claim",
            Self::UnforwardableClaim => "a claim cannot be forwarded: its characters or its length",
            Self::BoundToken => "the token is sender-constrained, which is not supported",
            Self::UnknownIssuer => "the issuer of the token is not trusted",
            Self::WrongAudience => "the token has another audience",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::IssuedInFuture => "the token was issued in the future",
            Self::LifetimeTooLong => "the lifetime of the token is too long",
            Self::TooOld => "the token was issued too long ago",
            Self::AlgorithmNotAllowed => "the algorithm is not allowed for this issuer or key",
            Self::UnknownKey => "the key of the token is unknown or expired",
            Self::UnusableKey => "the key of the token cannot be used",
            Self::BadSignature => "the signature does not match",
            Self::Revoked => "the token was revoked",
            Self::InsufficientScope => "the token lacks a required scope",
            Self::InsufficientRole => "the token lacks a required role",
            Self::StaleSnapshot => "the keys or revocations are stale",
            Self::RevocationUnknown => "the revocation lookup failed",
            Self::NotConfigured => "the gate is not configured",
            Self::OriginUnreachable => "the origin is unreachable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denial::RatePeriod;
    use crate::route::{Access, AnyOf};

    fn refuse(denial: Denial) -> DenialResponse {
        let requirement = Requirement {
            scopes: vec!["a".into(), "b".into()],
            any_of: vec![
                AnyOf::Scopes(vec!["b".into(), "c".into()]),
                AnyOf::Roles(vec!["secret-role".into()]),
                AnyOf::Scopes(vec!["d".into()]),
            ],
            methods: vec!["GET".into(), "HEAD".into()],
            ..Requirement::new(Access::Token)
        };
        DenialResponse::new(denial, Some(&requirement), &Id::from_random([0; 16]))
    }
    fn header(refusal: &DenialResponse, name: &str) -> Option<String> {
        refusal
            .headers
            .iter()
            .find(|(own, _)| *own == name)
            .map(|(_, value)| value.clone())
    }

    #[test]
    fn www_authenticate_challenges_follow_rfc_6750() {
        for (denial, status, challenge) in [
            (Denial::MissingToken, 401, Some("Bearer")),
            (
                Denial::Expired,
                401,
                Some(r#"Bearer error="invalid_token", error_description="the token has expired""#),
            ),
            (
                Denial::InsufficientScope,
                403,
                Some(
                    r#"Bearer error="insufficient_scope", error_description="the token lacks a required scope", scope="a b c d""#,
                ),
            ),
            (
                Denial::InsufficientRole,
                403,
                Some(
                    r#"Bearer error="insufficient_scope", error_description="the token lacks a required role""#,
                ),
            ),
            (
                Denial::MalformedAuthorization,
                400,
                Some(
                    r#"Bearer error="invalid_request", error_description="not exactly one bearer token, or a WebSocket offers it as its only subprotocol""#,
                ),
            ),
            (Denial::StaleSnapshot, 503, None),
            (Denial::RevocationUnknown, 503, None),
            (Denial::BadPath, 400, None),
        ] {
            let refusal = refuse(denial);
            assert_eq!(refusal.status, status);
            assert_eq!(header(&refusal, "www-authenticate").as_deref(), challenge);
            assert_eq!(
                header(&refusal, "cache-control").as_deref(),
                Some("no-store")
            );
        }
        assert_eq!(
            header(&refuse(Denial::StaleSnapshot), "retry-after").as_deref(),
            Some("1")
        );
    }

    #[test]
    fn a_method_that_is_not_allowed_gets_the_allowed_ones() {
        let refusal = refuse(Denial::MethodNotAllowed);
        assert_eq!(refusal.status, 405);
        assert_eq!(header(&refusal, "allow").as_deref(), Some("GET, HEAD"));
        assert_eq!(header(&refuse(Denial::UnknownRoute), "allow"), None);
    }

    #[test]
    fn a_rate_limit_response_has_retry_after_in_header_and_body() {
        let refusal = refuse(Denial::RateLimited(RatePeriod::Minute));
        assert_eq!(refusal.status, 429);
        assert_eq!(header(&refusal, "retry-after").as_deref(), Some("60"));
        let members = Json::parse_object(refusal.body.as_bytes()).expect("strict JSON");
        assert_eq!(
            members.get("code").and_then(Json::as_text),
            Some("rate_limited")
        );
        assert_eq!(
            members.get("retry_after").and_then(Json::as_whole),
            Some(60)
        );
        assert_eq!(members.len(), 7);
    }

    #[test]
    fn the_body_is_problem_json_with_the_code() {
        let body = refuse(Denial::BadSignature).body;
        let members = Json::parse_object(body.as_bytes()).expect("strict JSON");
        assert_eq!(
            members.get("code").and_then(Json::as_text),
            Some("bad_signature")
        );
        assert_eq!(members.get("status").and_then(Json::as_whole), Some(401));
        assert_eq!(
            members.get("type").and_then(Json::as_text),
            Some("about:blank")
        );
        assert_eq!(members.len(), 6);
    }
}
