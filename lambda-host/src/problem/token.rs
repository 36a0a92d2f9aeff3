//! The problems of tokens and their bearers, as problem JSON and in OAuth terms ([RFC 6749 §5.2]).
//!
//! [RFC 6749 §5.2]: https://www.rfc-editor.org/rfc/rfc6749#section-5.2

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use portcullis_core::id::Id;
use portcullis_core::json::{Json, Object};

use super::Problem;

/// The reason why a token or its bearer is rejected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenProblem {
    /// The request has no cookie with a refresh token.
    NoCookie,
    /// Another site's page may have sent the cookie (CSRF).
    CrossSite,
    /// The text is no refresh token of this host.
    BadRefreshToken,
    /// The session has ended.
    SessionOver,
    /// The refresh token was used before: the session is revoked.
    Reused,
    /// A concurrent refresh of the session won.
    Conflict,
    /// The caller has no such session.
    UnknownSession,
    /// The body is no form with each parameter once.
    MalformedForm,
    /// The client is unknown, or its authentication failed.
    BadClient,
    /// The client is not allowed to use this endpoint.
    ClientNotAllowed,
    /// The grant type is not supported.
    UnsupportedGrantType,
    /// A session's refresh accepts no scope parameter.
    BadScope,
    /// The resource is unknown, or there are several ([RFC 8707 §2]).
    ///
    /// [RFC 8707 §2]: https://www.rfc-editor.org/rfc/rfc8707#section-2
    InvalidTarget,
}

impl TokenProblem {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::NoCookie
            | Self::BadRefreshToken
            | Self::SessionOver
            | Self::Reused
            | Self::BadClient => StatusCode::UNAUTHORIZED,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Conflict => StatusCode::SERVICE_UNAVAILABLE,
            Self::UnknownSession => StatusCode::NOT_FOUND,
            Self::MalformedForm
            | Self::ClientNotAllowed
            | Self::UnsupportedGrantType
            | Self::BadScope
            | Self::InvalidTarget => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::NoCookie => "missing_refresh_token",
            Self::CrossSite => "cross_site",
            Self::BadRefreshToken => "bad_refresh_token",
            Self::SessionOver => "session_over",
            Self::Reused => "refresh_reused",
            Self::Conflict => "conflict",
            Self::UnknownSession => "unknown_session",
            Self::MalformedForm => "malformed_form",
            Self::BadClient => "bad_client",
            Self::ClientNotAllowed => "client_not_allowed",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::BadScope => "bad_scope",
            Self::InvalidTarget => "invalid_target",
        }
    }

    pub(super) const fn detail(self) -> &'static str {
        match self {
            Self::NoCookie => "the request has no cookie with a refresh token",
            Self::CrossSite => "the CSRF token or the origin is missing or wrong",
            Self::BadRefreshToken => "this is no refresh token of this host",
            Self::SessionOver => "the session has ended; log in again",
            Self::Reused => "the refresh token was used before; its session is revoked",
            Self::Conflict => "a concurrent request changed the same data; retry",
            Self::UnknownSession => "the account has no such session",
            Self::MalformedForm => {
                "the body must be application/x-www-form-urlencoded with each parameter at most once"
            }
            Self::BadClient => "the client ID or the secret is wrong",
            Self::ClientNotAllowed => "this client is not allowed to use this endpoint",
            Self::UnsupportedGrantType => "the only supported grant_type is refresh_token",
            Self::BadScope => "a session has no scopes to request",
            Self::InvalidTarget => "the resource is not known here, or several are named",
        }
    }

    const fn oauth_error(self) -> &'static str {
        match self {
            Self::BadRefreshToken | Self::SessionOver | Self::Reused => "invalid_grant",
            Self::Conflict => "temporarily_unavailable",
            Self::BadClient => "invalid_client",
            Self::ClientNotAllowed => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::BadScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::NoCookie | Self::CrossSite | Self::UnknownSession | Self::MalformedForm => {
                "invalid_request"
            }
        }
    }
}

impl Problem {
    /// The complete response in OAuth terms: the standard's `error`, and our `code`.
    pub(crate) fn oauth_answer(self, request_id: &Id) -> Response {
        let (status, _error) = self.in_oauth();
        let mut response = Response::new(Body::from(self.oauth_body(request_id)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static(r#"Basic realm="portcullis""#);
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    pub(crate) fn oauth_body(self, request_id: &Id) -> String {
        let (_status, error) = self.in_oauth();
        let body = Json::Object(Object::from_iter([
            ("error", Json::from(error)),
            ("error_description", Json::from(&*self.detail())),
            ("code", Json::from(self.code())),
            ("request_id", Json::from(request_id.as_str())),
        ]));
        body.to_string()
    }

    /// The status and the error code of the standard: a bad grant is 400, and only a client is
    /// asked to authenticate.
    pub(crate) fn in_oauth(self) -> (StatusCode, &'static str) {
        let status = self.status();
        let Self::Token(problem) = self else {
            return match status {
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                    (status, "temporarily_unavailable")
                }
                other if other.is_server_error() => (status, "server_error"),
                _ => (status, "invalid_request"),
            };
        };
        let refused = status == StatusCode::UNAUTHORIZED && problem != TokenProblem::BadClient;
        let reported = if refused {
            StatusCode::BAD_REQUEST
        } else {
            status
        };
        (reported, problem.oauth_error())
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn each_problem_has_its_oauth_error_code_and_status() {
        let id = Id::from_random([7; 16]);
        for (problem, status, error) in [
            (Problem::Token(TokenProblem::Reused), 400, "invalid_grant"),
            (
                Problem::Token(TokenProblem::BadClient),
                401,
                "invalid_client",
            ),
            (
                Problem::Token(TokenProblem::Conflict),
                503,
                "temporarily_unavailable",
            ),
            (Problem::StoreUnavailable, 503, "temporarily_unavailable"),
            (Problem::Internal, 500, "server_error"),
            (Problem::MissingMember("token"), 400, "invalid_request"),
        ] {
            let response = problem.oauth_answer(&id);
            assert_eq!(response.status(), status, "{problem:?}");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            let challenged = response.headers().contains_key(WWW_AUTHENTICATE);
            assert_eq!(challenged, status == 401);
            let later = matches!(status, 429 | 503);
            assert_eq!(response.headers().contains_key(RETRY_AFTER), later);
            let body = response
                .into_body()
                .collect()
                .await
                .expect("whole")
                .to_bytes();
            let members = Json::parse_object(&body).expect("an object");
            let text = |name| members.get(name).and_then(Json::as_text);
            assert_eq!(text("error"), Some(error));
            assert_eq!(text("code"), Some(problem.code()));
            assert_eq!(text("error_description"), Some(&*problem.detail()));
        }
    }
}
