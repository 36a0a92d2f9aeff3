//! The problem of a failed request: problem JSON with a stable code ([RFC 9457]).
//!
//! [RFC 9457]: https://www.rfc-editor.org/rfc/rfc9457

mod feedback;
mod member_name;
mod token;

pub use self::member_name::MemberName;

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, StatusCode};
use portcullis_core::denial::Denial;
use portcullis_core::email::EmailError;
use portcullis_core::id::Id;
use portcullis_core::password::PasswordError;
use portcullis_core::password::advice::PasswordRejection;
use portcullis_core::refusal::{DenialResponse, problem_json};

pub use token::TokenProblem;

/// The reason why a request failed.
///
/// Exhaustive on purpose: a new reason must not compile until every `match` handles it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Problem {
    /// Denied for a reason that every entry point shares.
    Denied(Denial),
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// The head of the request is ambiguous: its framing or its `Host` (RFC 9112 §3.2, §6.3).
    MalformedRequest,
    /// The body has a transfer coding besides `chunked` (RFC 9112 §6.1).
    UnsupportedTransferCoding,
    /// The body's content type is not the required one.
    UnsupportedMediaType(&'static str),
    /// The body is over the size limit.
    BodyTooLarge,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body is not one JSON object with unique members, or it broke off.
    MalformedBody,
    /// The body has an unknown member.
    UnknownMember(MemberName),
    /// The body lacks a member.
    MissingMember(&'static str),
    /// A member has the wrong type or value.
    BadMember(&'static str),
    /// The e-mail address is invalid.
    BadEmail(EmailError),
    /// The address belongs to a disposable domain, and this service refuses those.
    DisposableEmail,
    /// The password breaks a rule.
    BadPassword(PasswordError),
    /// The new password breaks a rule; with feedback.
    UnfitPassword(PasswordRejection),
    /// The address and the password do not match an account.
    BadCredentials,
    /// The token of a mailed link is invalid, used, replaced or expired.
    BadMailToken,
    /// The link proves the address, but this browser did not choose the password of the account.
    NewPasswordRequired,
    /// The current password is wrong.
    WrongPassword,
    /// The second-factor code is malformed.
    BadCode,
    /// The code is wrong, or was used before.
    WrongCode,
    /// The login challenge is invalid or expired, or belongs to another device.
    BadChallenge,
    /// The account already has an active second factor.
    FactorActive,
    /// The account has no second factor for this request.
    NoFactor,
    /// The account changed concurrently.
    AccountChanged,
    /// Too many attempts of this kind.
    RateLimited {
        /// Seconds until the next attempt passes.
        seconds: u64,
    },
    /// After too many failed logins in a row, only known browsers may log in.
    LoginLocked,
    /// After too many wrong codes in a row, no code is accepted.
    FactorLocked,
    /// The token belongs to no session of this host.
    NoSession,
    /// A token or its bearer is rejected.
    Token(TokenProblem),
    /// The breached-password service is unavailable.
    BreachCheckUnavailable,
    /// The store is unavailable.
    StoreUnavailable,
    /// A key of the host is unavailable or could not be published.
    KeyUnavailable,
    /// A revocation was written, but not confirmed within the bound.
    RevocationPending,
    /// The hash queue is full.
    Busy,
    /// The host itself failed.
    Internal,
}

impl Problem {
    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Denied(denial) => {
                StatusCode::from_u16(denial.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedTransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::MalformedRequest
            | Self::MalformedBody
            | Self::UnknownMember(_)
            | Self::MissingMember(_)
            | Self::BadMember(_)
            | Self::BadEmail(_)
            | Self::DisposableEmail
            | Self::BadPassword(_)
            | Self::UnfitPassword(_)
            | Self::BadMailToken
            | Self::BadCode
            | Self::NoSession => StatusCode::BAD_REQUEST,
            Self::WrongPassword | Self::WrongCode => StatusCode::FORBIDDEN,
            Self::NewPasswordRequired
            | Self::FactorActive
            | Self::NoFactor
            | Self::AccountChanged => StatusCode::CONFLICT,
            Self::BadChallenge => StatusCode::UNAUTHORIZED,
            Self::BadCredentials => StatusCode::UNAUTHORIZED,
            Self::Token(problem) => problem.status(),
            Self::StoreUnavailable
            | Self::BreachCheckUnavailable
            | Self::KeyUnavailable
            | Self::RevocationPending
            | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::LoginLocked | Self::FactorLocked => StatusCode::FORBIDDEN,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A stable code; never contains client input.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Denied(denial) => denial.code(),
            Self::MethodNotAllowed => "method_not_allowed",
            Self::MalformedRequest => "malformed_request",
            Self::UnsupportedTransferCoding => "unsupported_transfer_coding",
            Self::UnsupportedMediaType(_) => "unsupported_media_type",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::MalformedBody => "malformed_body",
            Self::UnknownMember(_) => "unknown_member",
            Self::MissingMember(_) => "missing_member",
            Self::BadMember(_) => "bad_member",
            Self::BadEmail(_) => "bad_email",
            Self::DisposableEmail => "disposable_email",
            Self::BadPassword(error) | Self::UnfitPassword(PasswordRejection { error, .. }) => {
                error.code()
            }
            Self::BadCredentials => "bad_credentials",
            Self::BadMailToken => "bad_mail_token",
            Self::NewPasswordRequired => "new_password_required",
            Self::WrongPassword => "wrong_password",
            Self::BadCode => "bad_code",
            Self::WrongCode => "wrong_code",
            Self::BadChallenge => "bad_challenge",
            Self::FactorActive => "factor_active",
            Self::NoFactor => "no_factor",
            Self::AccountChanged => "account_changed",
            Self::RateLimited { .. } => "rate_limited",
            Self::LoginLocked => "login_locked",
            Self::FactorLocked => "factor_locked",
            Self::NoSession => "no_session",
            Self::Token(problem) => problem.code(),
            Self::BreachCheckUnavailable => "breach_check_unavailable",
            Self::StoreUnavailable => "store_unavailable",
            Self::KeyUnavailable => "key_unavailable",
            Self::RevocationPending => "revocation_pending",
            Self::Busy => "busy",
            Self::Internal => "internal",
        }
    }

    /// The reason in one sentence.
    pub fn detail(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Denied(denial) => denial.detail(),
            Self::MethodNotAllowed => "this path requires another method",
            Self::MalformedRequest => {
                "the request needs one valid Host and at most one of Content-Length and \
                 Transfer-Encoding"
            }
            Self::UnsupportedTransferCoding => "the only transfer coding is chunked",
            Self::UnsupportedMediaType(wanted) => {
                return format!(
                    "the body must be {wanted}, without a content encoding and in UTF-8"
                )
                .into();
            }
            Self::BodyTooLarge => "the body is longer than 8 KiB",
            Self::BodyTimeout => "the body did not arrive in time",
            Self::MalformedBody => {
                "the body must be one JSON object in UTF-8 with each member at most once"
            }
            Self::UnknownMember(MemberName::NONE) => "the body has an unknown member",
            Self::UnknownMember(name) => {
                return format!("the body has the unknown member {}", name.as_str()).into();
            }
            Self::MissingMember(name) => return format!("the body lacks {name}").into(),
            Self::BadMember(name) => return format!("{name} is not what it must be").into(),
            Self::BadEmail(error) => return error.to_string().into(),
            Self::DisposableEmail => "addresses of this domain are not accepted",
            Self::BadPassword(error) | Self::UnfitPassword(PasswordRejection { error, .. }) => {
                return error.to_string().into();
            }
            Self::RateLimited { seconds } => {
                return format!("too many attempts; the next one passes in {seconds} s").into();
            }
            Self::LoginLocked => {
                "too many failed logins: only a browser that has logged in before is let in; if the \
                 address has an account, a link is mailed to it that makes this one known"
            }
            Self::FactorLocked => {
                "too many wrong codes; log in with a recovery code and replace the factor"
            }
            Self::BadCredentials => "the address or the password is wrong",
            Self::BadMailToken => "this link is invalid or expired; request a new one",
            Self::NewPasswordRequired => {
                "this browser did not create the account; send the link again with a new password"
            }
            Self::WrongPassword => "the current password is wrong",
            Self::BadCode => "a code is six digits, a recovery code sixteen letters and digits",
            Self::WrongCode => "the code is wrong, or was used before",
            Self::BadChallenge => {
                "this login has expired or was started on another device; log in again"
            }
            Self::FactorActive => "the account has an active second factor; remove it first",
            Self::NoFactor => "the account has no second factor for this",
            Self::AccountChanged => "the account changed concurrently; log in and retry",
            Self::Token(problem) => problem.detail(),
            Self::NoSession => "the token belongs to no session that could be revoked",
            Self::BreachCheckUnavailable => {
                "the check against breached passwords is unavailable; retry"
            }
            Self::StoreUnavailable => "the store is unavailable; retry",
            Self::KeyUnavailable => "a key of the host is unavailable; retry",
            Self::RevocationPending => {
                "the session is revoked, but some edges may not know yet; retry"
            }
            Self::Busy => "too many passwords are being hashed; retry",
            Self::Internal => "the host failed",
        })
    }

    /// Seconds until a retry makes sense, if known.
    pub fn retry_after(self) -> Option<u64> {
        if let Self::RateLimited { seconds } = self {
            return Some(seconds);
        }
        (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(1)
    }

    /// The complete response to the request `request_id`.
    pub fn answer(self, request_id: &Id) -> Response {
        let status = self.status();
        let mut body = problem_json(status.as_u16(), &self.detail(), self.code(), request_id);
        if let Self::UnfitPassword(unfit) = self {
            feedback::add(&mut body, &unfit.advice);
        }
        if let Self::RateLimited { seconds } = self
            && body.pop() == Some('}')
        {
            body.push_str(&format!(r#","retry_after":{seconds}}}"#));
        }
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if let Self::Denied(denial) = self {
            insert_shared(headers, denial, request_id);
        }
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // RFC 9110 §15.5.2: a 401 contains a challenge.
        if status == StatusCode::UNAUTHORIZED && !headers.contains_key(WWW_AUTHENTICATE) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The HTTP service, which knows the request ID, writes [`Problem::answer`] over this response.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(self);
        response
    }
}

/// The headers that every entry point sends with a denial, above all the challenge.
fn insert_shared(headers: &mut HeaderMap, denial: Denial, request_id: &Id) {
    for (name, value) in DenialResponse::new(denial, None, request_id).headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use portcullis_core::json::Json;
    use portcullis_core::password::advice::{MAX_SUGGESTIONS, StrengthFeedback};

    use super::*;

    const ALL: [Problem; 62] = [
        Problem::RateLimited { seconds: 61 },
        Problem::LoginLocked,
        Problem::NewPasswordRequired,
        Problem::FactorLocked,
        Problem::Token(TokenProblem::NoCookie),
        Problem::Token(TokenProblem::CrossSite),
        Problem::Token(TokenProblem::BadRefreshToken),
        Problem::Token(TokenProblem::SessionOver),
        Problem::Token(TokenProblem::Reused),
        Problem::Token(TokenProblem::Conflict),
        Problem::Token(TokenProblem::UnknownSession),
        Problem::Token(TokenProblem::MalformedForm),
        Problem::Token(TokenProblem::BadClient),
        Problem::Token(TokenProblem::ClientNotAllowed),
        Problem::Token(TokenProblem::UnsupportedGrantType),
        Problem::Token(TokenProblem::BadScope),
        Problem::Token(TokenProblem::InvalidTarget),
        Problem::Denied(Denial::MissingToken),
        Problem::Denied(Denial::UnknownRoute),
        Problem::MethodNotAllowed,
        Problem::MalformedRequest,
        Problem::UnsupportedTransferCoding,
        Problem::UnsupportedMediaType("application/json"),
        Problem::BodyTooLarge,
        Problem::BodyTimeout,
        Problem::MalformedBody,
        Problem::UnknownMember(MemberName::NONE),
        Problem::MissingMember("email"),
        Problem::BadMember("password"),
        Problem::BadEmail(EmailError::NoAtSign),
        Problem::BadEmail(EmailError::TooLong),
        Problem::BadEmail(EmailError::BadLocalPart),
        Problem::BadEmail(EmailError::BadDomain),
        Problem::BadEmail(EmailError::NotNfc),
        Problem::BadEmail(EmailError::NeedsSmtpUtf8),
        Problem::BadPassword(PasswordError::TooShort),
        Problem::BadPassword(PasswordError::TooLong),
        password_problem(PasswordError::TooShortBesideFactor),
        password_problem(PasswordError::Repeats),
        password_problem(PasswordError::Common),
        password_problem(PasswordError::Breached),
        password_problem(PasswordError::ContainsAddress),
        password_problem(PasswordError::ContainsServiceName),
        password_problem(PasswordError::TooWeak),
        Problem::BreachCheckUnavailable,
        Problem::BadCredentials,
        Problem::DisposableEmail,
        Problem::BadMailToken,
        Problem::WrongPassword,
        Problem::BadCode,
        Problem::WrongCode,
        Problem::BadChallenge,
        Problem::FactorActive,
        Problem::NoFactor,
        Problem::AccountChanged,
        Problem::NoSession,
        Problem::StoreUnavailable,
        Problem::KeyUnavailable,
        Problem::RevocationPending,
        Problem::Busy,
        Problem::Denied(Denial::BadPath),
        Problem::Internal,
    ];

    const fn password_problem(error: PasswordError) -> Problem {
        let advice = StrengthFeedback {
            score: 1,
            warning: None,
            suggestions: [None; MAX_SUGGESTIONS],
        };
        Problem::UnfitPassword(PasswordRejection { error, advice })
    }

    #[tokio::test]
    async fn every_problem_is_rfc_9457_json_with_its_status() {
        let id = Id::from_random([7; 16]);
        for problem in ALL {
            let response = problem.answer(&id);
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            let told = response.headers().get(RETRY_AFTER).cloned();
            let told = told.map(|value| value.to_str().expect("ASCII").to_owned());
            assert_eq!(
                told,
                problem.retry_after().map(|seconds| seconds.to_string())
            );
            let status = u64::from(response.status().as_u16());
            let body = response
                .into_body()
                .collect()
                .await
                .expect("whole")
                .to_bytes();
            let members = Json::parse_object(&body).expect("an object");
            assert_eq!(members.get("status").and_then(Json::as_whole), Some(status));
            assert_eq!(
                members.get("code").and_then(Json::as_text),
                Some(problem.code())
            );
            assert_eq!(
                members.get("detail").and_then(Json::as_text),
                Some(&*problem.detail())
            );
            assert_eq!(
                members.get("request_id").and_then(Json::as_text),
                Some(id.as_str())
            );
        }
    }

    #[test]
    fn every_error_code_is_documented_with_its_status() {
        let page = include_str!("../../docs/errors.md");
        for problem in ALL {
            let (code, status) = (format!("`{}`", problem.code()), problem.status().as_u16());
            let told = page.lines().any(|line| {
                let mut cells = line.split('|').map(str::trim).skip(1);
                cells
                    .next()
                    .is_some_and(|codes| codes.split(", ").any(|told| told == code))
                    && cells.next() == Some(&status.to_string())
            });
            assert!(
                told,
                "docs/errors.md does not document {code} with {status}"
            );
        }
    }

    #[test]
    fn every_error_code_is_in_the_openapi_description() {
        // A malformed request, an unknown path and an unknown method belong to no endpoint.
        let of_none = [
            Problem::MalformedRequest,
            Problem::UnsupportedTransferCoding,
            Problem::Denied(Denial::UnknownRoute),
            Problem::MethodNotAllowed,
        ];
        let told = crate::routes::documented_codes();
        for problem in ALL.into_iter().filter(|problem| !of_none.contains(problem)) {
            assert!(
                told.contains(problem.code()),
                "no endpoint documents {}",
                problem.code()
            );
        }
    }

    #[test]
    fn a_missing_token_is_challenged_by_rfc_6750() {
        let response = Problem::Denied(Denial::MissingToken).answer(&Id::from_random([7; 16]));
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
}
