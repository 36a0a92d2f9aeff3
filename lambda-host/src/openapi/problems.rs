//! The problems that an endpoint may answer, as its description lists them.
//!
//! [`problems!`] names a list; the groups below are what several endpoints share.

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

use crate::problem::Problem;

/// Declares a type that stands for a list of problems in `responses(..)`:
/// `problems!(LoginProblems: ANY, BODY, [Problem::BadCredentials]);`
macro_rules! problems {
    ($name:ident: $($group:expr),+ $(,)?) => {
        /// What may be wrong, for the description of the endpoint.
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

/// As [`problems!`], for an endpoint that tells them in the words of OAuth.
macro_rules! oauth_problems {
    ($name:ident: $($group:expr),+ $(,)?) => {
        /// What may be wrong, for the description of the endpoint.
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

/// What any request may meet.
pub(crate) const ANY: [Problem; 2] = [Problem::Denied(Denial::BadPath), Problem::Internal];

/// What a JSON body may be wrong about.
pub(crate) const BODY: [Problem; 7] = [
    Problem::UnsupportedMediaType,
    Problem::BodyTooLarge,
    Problem::BodyTimeout,
    Problem::MalformedBody,
    Problem::UnknownMember,
    Problem::MissingMember("email"),
    Problem::BadMember("email"),
];

/// What an address may be wrong about.
pub(crate) const EMAIL: [Problem; 1] = [Problem::BadEmail(EmailError::NoAtSign)];

/// What a password may be wrong about before it is looked at closely.
pub(crate) const PASSWORD: [Problem; 1] = [Problem::BadPassword(PasswordError::TooLong)];

/// What a new password may be wrong about.
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

/// What befalls whoever needs the store and the host's own secrets.
pub(crate) const STORE: [Problem; 2] = [Problem::StoreUnavailable, Problem::KeyUnavailable];

/// What befalls whoever asks too often.
pub(crate) const LIMITED: [Problem; 1] = [Problem::RateLimited { seconds: 60 }];

/// What the bearer of a token may be told.
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

/// An error as it is sent (RFC 9457).
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "describes what `problem_json` writes")]
pub(crate) struct ProblemDocument {
    /// The code says more than a page could.
    #[schema(value_type = String, example = "about:blank")]
    r#type: (),
    /// The status in words.
    #[schema(example = "Unauthorized")]
    title: String,
    /// The status again.
    #[schema(minimum = 400, maximum = 599, example = 401)]
    status: u16,
    /// The reason in one sentence.
    detail: String,
    /// The reason as a stable name.
    #[schema(pattern = "^[a-z0-9_]+$", example = "bad_credentials")]
    code: String,
    /// The request's name, which the log and the audit trail bear too.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    request_id: String,
    /// How to choose a better password, where one was refused as too easy to guess.
    #[schema(inline)]
    feedback: Option<FeedbackDocument>,
    /// In how many seconds the next attempt passes, where there were too many.
    #[schema(minimum = 1, example = 60)]
    retry_after: Option<u64>,
}

/// Advice on a password.
#[derive(ToSchema)]
#[schema(as = PasswordFeedback)]
#[expect(dead_code, reason = "describes what is written")]
struct FeedbackDocument {
    /// From 0, guessed at once, to 4, hard to guess.
    #[schema(maximum = 4)]
    score: u8,
    /// What is wrong with it; may be null.
    #[schema(required)]
    warning: Option<String>,
    /// What would make it better.
    suggestions: Vec<String>,
}

/// How many examples a status gets: a token alone can be wrong in forty ways.
const EXAMPLES: usize = 8;

/// The problems of `groups`, each status with its codes and an example of each.
pub(crate) fn responses(groups: &[&[Problem]]) -> BTreeMap<String, RefOr<Response>> {
    let mut statuses: BTreeMap<u16, BTreeMap<&'static str, Problem>> = BTreeMap::new();
    for problem in groups.iter().copied().flatten() {
        let codes = statuses.entry(problem.status().as_u16()).or_default();
        codes.insert(problem.code(), *problem);
    }
    let response = |(status, codes)| (u16::to_string(&status), response(status, &codes).into());
    statuses.into_iter().map(response).collect()
}

/// As [`responses`], in the words of OAuth.
pub(crate) fn oauth_responses(groups: &[&[Problem]]) -> BTreeMap<String, RefOr<Response>> {
    let mut statuses: BTreeMap<u16, BTreeMap<&'static str, Problem>> = BTreeMap::new();
    for problem in groups.iter().copied().flatten() {
        let (status, _error) = problem.in_oauth();
        let codes = statuses.entry(status.as_u16()).or_default();
        codes.insert(problem.code(), *problem);
    }
    let response = |(status, codes): (u16, BTreeMap<&'static str, Problem>)| {
        let mut response = response(status, &codes);
        let told = codes.values().map(|problem| {
            let body = problem.oauth_body(&example_id());
            (problem.code(), body)
        });
        let content = content_of("OAuthError", &codes, told);
        response.content.clear();
        response
            .content
            .insert("application/json".to_owned(), content.into());
        (status.to_string(), response.into())
    };
    statuses.into_iter().map(response).collect()
}

/// An error as OAuth has it (RFC 6749 §5.2), with our code beside.
#[derive(ToSchema)]
#[schema(as = OAuthError)]
#[expect(dead_code, reason = "describes what is written")]
pub(crate) struct OAuthErrorDocument {
    /// The error as the standard calls it.
    #[schema(pattern = "^[a-z_]+$", example = "invalid_grant")]
    error: String,
    /// The reason in one sentence.
    error_description: String,
    /// The reason as a stable name.
    #[schema(pattern = "^[a-z0-9_]+$", example = "session_over")]
    code: String,
    /// The request's name, which the log and the audit trail bear too.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    request_id: String,
}

fn response(status: u16, codes: &BTreeMap<&'static str, Problem>) -> Response {
    let told: Vec<String> = codes.keys().map(|code| format!("`{code}`")).collect();
    let mut response = ResponseBuilder::new()
        .description(told.join(", "))
        .content("application/problem+json", content(status, codes));
    let headers: &[(&str, &str)] = match status {
        401 => &[("WWW-Authenticate", "How one would authenticate")],
        429 | 503 => &[(
            "Retry-After",
            "In how many seconds asking again makes sense",
        )],
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
    let told = codes.iter().map(|(code, problem)| {
        let json = problem_json(status, &problem.detail(), code, &example_id());
        (*code, json)
    });
    content_of("Problem", codes, told)
}

fn content_of(
    schema: &str,
    codes: &BTreeMap<&'static str, Problem>,
    told: impl Iterator<Item = (&'static str, String)>,
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
    let examples = told.take(EXAMPLES).map(|(code, json)| {
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
