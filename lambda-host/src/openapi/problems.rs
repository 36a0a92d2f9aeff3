//! The problems of an endpoint, as its description lists them.
//!
//! [`problems!`] declares a list; the groups below are shared by endpoints.

use std::collections::BTreeMap;

use portcullis_core::denial::{Denial, ForbiddenHeader, RequiredClaim};
use portcullis_core::email::EmailError;
use portcullis_core::id::Id;
use portcullis_core::password::PasswordError;
use portcullis_core::refusal::problem_json;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::Header;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Ref, Schema, Type};

use crate::problem::{MemberName, Problem};

/// Declares a type that stands for a list of problems in `responses(..)`:
/// `problems!(LoginProblems: ANY, BODY, [Problem::BadCredentials]);`
macro_rules! problems {
    ($name:ident: $($group:expr),+ $(,)?) => {
        /// The possible problems, for the description of the endpoint.
        struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<
                String,
                utoipa::openapi::RefOr<utoipa::openapi::response::Response>,
            > {
                $crate::openapi::problems::responses(&[$(&$group[..]),+])
            }
        }
    };
}
pub(crate) use problems;

/// As [`problems!`], for an endpoint that reports them in OAuth terms.
macro_rules! oauth_problems {
    ($name:ident: $($group:expr),+ $(,)?) => {
        /// The possible problems, for the description of the endpoint.
        struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<
                String,
                utoipa::openapi::RefOr<utoipa::openapi::response::Response>,
            > {
                $crate::openapi::problems::oauth_responses(&[$(&$group[..]),+])
            }
        }
    };
}
pub(crate) use oauth_problems;

/// Problems of any request.
pub(crate) const ANY: [Problem; 2] = [Problem::Denied(Denial::BadPath), Problem::Internal];

/// Problems of a JSON body.
pub(crate) const BODY: [Problem; 7] = [
    Problem::UnsupportedMediaType("application/json"),
    Problem::BodyTooLarge,
    Problem::BodyTimeout,
    Problem::MalformedBody,
    Problem::UnknownMember(MemberName::NONE),
    Problem::MissingMember("email"),
    Problem::BadMember("email"),
];

/// Problems of an e-mail address.
pub(crate) const EMAIL: [Problem; 1] = [Problem::BadEmail(EmailError::NoAtSign)];

/// Problems of a password before it is verified.
pub(crate) const PASSWORD: [Problem; 1] = [Problem::BadPassword(PasswordError::TooLong)];

/// Problems of a new password.
pub(crate) const NEW_PASSWORD: [Problem; 8] = [
    Problem::BadPassword(PasswordError::TooShort),
    Problem::BadPassword(PasswordError::TooLong),
    Problem::BadPassword(PasswordError::Repeats),
    Problem::BadPassword(PasswordError::Common),
    Problem::BadPassword(PasswordError::Breached),
    Problem::BadPassword(PasswordError::ContainsAddress),
    Problem::BadPassword(PasswordError::ContainsServiceName),
    Problem::BadPassword(PasswordError::TooWeak),
];

/// Problems of requests that need the store and the root keys.
pub(crate) const STORE: [Problem; 2] = [Problem::StoreUnavailable, Problem::KeyUnavailable];

/// Problems of requests over a limit.
pub(crate) const LIMITED: [Problem; 1] = [Problem::RateLimited { seconds: 60 }];

/// Problems of a bearer token.
pub(crate) const TOKEN: [Problem; 40] = {
    use Denial as D;
    [
        Problem::Denied(D::MissingToken),
        Problem::Denied(D::MalformedAuthorization),
        Problem::Denied(D::TokenTooLarge),
        Problem::Denied(D::MalformedToken),
        Problem::Denied(D::MalformedBase64),
        Problem::Denied(D::MalformedHeader),
        Problem::Denied(D::ForbiddenHeader(ForbiddenHeader::B64)),
        Problem::Denied(D::ForbiddenHeader(ForbiddenHeader::Crit)),
        Problem::Denied(D::ForbiddenHeader(ForbiddenHeader::Cty)),
        Problem::Denied(D::ForbiddenHeader(ForbiddenHeader::Jku)),
        Problem::Denied(D::ForbiddenHeader(ForbiddenHeader::Jwk)),
        Problem::Denied(D::ForbiddenHeader(ForbiddenHeader::X5u)),
        Problem::Denied(D::ForbiddenHeader(ForbiddenHeader::Zip)),
        Problem::Denied(D::UnsupportedAlgorithm),
        Problem::Denied(D::WrongType),
        Problem::Denied(D::MissingKeyId),
        Problem::Denied(D::MalformedClaims),
        Problem::Denied(D::MissingClaim(RequiredClaim::Audience)),
        Problem::Denied(D::MissingClaim(RequiredClaim::ClientId)),
        Problem::Denied(D::MissingClaim(RequiredClaim::ExpiresAt)),
        Problem::Denied(D::MissingClaim(RequiredClaim::IssuedAt)),
        Problem::Denied(D::MissingClaim(RequiredClaim::Issuer)),
        Problem::Denied(D::MissingClaim(RequiredClaim::Subject)),
        Problem::Denied(D::MissingClaim(RequiredClaim::TokenId)),
        Problem::Denied(D::UnforwardableClaim),
        Problem::Denied(D::BoundToken),
        Problem::Denied(D::UnknownIssuer),
        Problem::Denied(D::WrongAudience),
        Problem::Denied(D::Expired),
        Problem::Denied(D::NotYetValid),
        Problem::Denied(D::IssuedInFuture),
        Problem::Denied(D::LifetimeTooLong),
        Problem::Denied(D::TooOld),
        Problem::Denied(D::AlgorithmNotAllowed),
        Problem::Denied(D::UnknownKey),
        Problem::Denied(D::UnusableKey),
        Problem::Denied(D::BadSignature),
        Problem::Denied(D::Revoked),
        Problem::Denied(D::InsufficientScope),
        Problem::Denied(D::StaleSnapshot),
    ]
};

/// An error (RFC 9457).
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "describes the output of `problem_json`")]
pub(crate) struct ProblemDocument {
    /// Always `about:blank`: the code identifies the problem.
    #[schema(value_type = String, example = "about:blank")]
    r#type: (),
    /// The status as text.
    #[schema(example = "Unauthorized")]
    title: String,
    /// The status code.
    #[schema(minimum = 400, maximum = 599, example = 401)]
    status: u16,
    /// The reason in one sentence.
    detail: String,
    /// The stable code of the reason.
    #[schema(pattern = "^[a-z0-9_]+$", example = "bad_credentials")]
    code: String,
    /// The request ID, which the log and the audit trail contain too.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    request_id: String,
    /// Feedback on a password that is too easy to guess.
    #[schema(inline)]
    feedback: Option<FeedbackDocument>,
    /// Seconds until the next attempt passes, after too many attempts.
    #[schema(minimum = 1, example = 60)]
    retry_after: Option<u64>,
}

/// Feedback on a password.
#[derive(ToSchema)]
#[schema(as = PasswordFeedback)]
#[expect(dead_code, reason = "describes a response")]
struct FeedbackDocument {
    /// From 0 (guessed at once) to 4 (hard to guess).
    #[schema(maximum = 4)]
    score: u8,
    /// The weakness; may be null.
    #[schema(required)]
    warning: Option<String>,
    /// Suggestions for a better password.
    suggestions: Vec<String>,
}

/// The maximum number of examples per status: a token alone has forty error codes.
const EXAMPLES: usize = 8;

/// The problems of `groups`: each status with its codes and an example of each.
pub(crate) fn responses(groups: &[&[Problem]]) -> BTreeMap<String, RefOr<Response>> {
    let mut statuses: BTreeMap<u16, BTreeMap<&'static str, Problem>> = BTreeMap::new();
    for problem in groups.iter().copied().flatten() {
        let codes = statuses.entry(problem.status().as_u16()).or_default();
        codes.insert(problem.code(), *problem);
    }
    let response = |(status, codes)| (u16::to_string(&status), response(status, &codes).into());
    statuses.into_iter().map(response).collect()
}

/// As [`responses`], in OAuth terms.
pub(crate) fn oauth_responses(groups: &[&[Problem]]) -> BTreeMap<String, RefOr<Response>> {
    let mut statuses: BTreeMap<u16, BTreeMap<&'static str, Problem>> = BTreeMap::new();
    for problem in groups.iter().copied().flatten() {
        let (status, _error) = problem.in_oauth();
        let codes = statuses.entry(status.as_u16()).or_default();
        codes.insert(problem.code(), *problem);
    }
    let response = |(status, codes): (u16, BTreeMap<&'static str, Problem>)| {
        let mut response = response(status, &codes);
        let reported = codes.values().map(|problem| {
            let body = problem.oauth_body(&example_id());
            (problem.code(), body)
        });
        let content = content_of("OAuthError", &codes, reported);
        response.content.clear();
        response
            .content
            .insert("application/json".to_owned(), content.into());
        (status.to_string(), response.into())
    };
    statuses.into_iter().map(response).collect()
}

/// An error in OAuth's format (RFC 6749 §5.2), with our code.
#[derive(ToSchema)]
#[schema(as = OAuthError)]
#[expect(dead_code, reason = "describes a response")]
pub(crate) struct OAuthErrorDocument {
    /// The standard's error code.
    #[schema(pattern = "^[a-z_]+$", example = "invalid_grant")]
    error: String,
    /// The reason in one sentence.
    error_description: String,
    /// The stable code of the reason.
    #[schema(pattern = "^[a-z0-9_]+$", example = "session_over")]
    code: String,
    /// The request ID, which the log and the audit trail contain too.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    request_id: String,
}

fn response(status: u16, codes: &BTreeMap<&'static str, Problem>) -> Response {
    let reported: Vec<String> = codes.keys().map(|code| format!("`{code}`")).collect();
    let mut response = ResponseBuilder::new()
        .description(reported.join(", "))
        .content("application/problem+json", content(status, codes));
    let headers: &[(&str, &str)] = match status {
        401 => &[("WWW-Authenticate", "The authentication scheme")],
        429 | 503 => &[("Retry-After", "Seconds until a retry makes sense")],
        _ => &[],
    };
    for (name, description) in headers {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let mut header = Header::new(text.build());
        header.description = Some((*description).to_owned());
        response = response.header(*name, header);
    }
    response.build()
}

fn content(status: u16, codes: &BTreeMap<&'static str, Problem>) -> Content {
    let reported = codes.iter().map(|(code, problem)| {
        let json = problem_json(status, &problem.detail(), code, &example_id());
        (*code, json)
    });
    content_of("Problem", codes, reported)
}

fn content_of(
    schema: &str,
    codes: &BTreeMap<&'static str, Problem>,
    reported: impl Iterator<Item = (&'static str, String)>,
) -> Content {
    let known = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(codes.keys().copied()));
    let schema = AllOfBuilder::new()
        .item(Ref::from_schema_name(schema))
        .item(
            ObjectBuilder::new()
                .property("code", known)
                .required("code"),
        );
    let examples = reported.take(EXAMPLES).map(|(code, json)| {
        let value: Option<Value> = serde_json::from_str(&json).ok();
        (code, ExampleBuilder::new().value(value).build())
    });
    ContentBuilder::new()
        .schema(Some(Schema::AllOf(schema.build())))
        .examples_from_iter(examples)
        .build()
}

fn example_id() -> Id {
    Id::from_random([7; 16])
}
