//! Complete decisions, as the cases expect them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use portcullis_core::denial::{Denial, ForbiddenHeader, RatePeriod, RequiredClaim};
use portcullis_tests::decisions::{Expected, all};
use portcullis_tests::vectors::folder;
use portcullis_tests::verifier;
use serde_json::{Map, Value};

#[test]
fn every_request_is_decided_as_its_case_expects() {
    let cases = all();
    for (line, expected) in cases.lines.iter().zip(&cases.expected) {
        let answer: Value = serde_json::from_str(&verifier::decision(line)).expect("JSON");
        let allowed = answer["decision"] == "allow";
        let outcome = if allowed {
            &answer["decision"]
        } else {
            &answer["code"]
        };
        assert_eq!(*outcome, expected.outcome, "{}: {answer}", expected.id);
        assert_eq!(answer["id"], expected.id);
        if allowed {
            let mut headers: Map<_, _> = expected.headers.clone();
            headers.insert("x-request-id".to_owned(), "YSBjb3JwdXMgcmVxdWVzdA".into());
            assert_eq!(answer["headers"], Value::Object(headers), "{}", expected.id);
            assert_eq!(answer["path"], expected.path, "{}", expected.id);
        }
    }
}

#[test]
fn every_case_has_a_unique_name() {
    let cases = all().expected;
    let names: BTreeSet<_> = cases.iter().map(|case| &case.id).collect();
    assert_eq!(names.len(), cases.len());
}

/// Denials that no token and no path can cause.
const NOT_THE_CALLERS: [Denial; 5] = [
    RATE_LIMITED,
    Denial::UpgradeNotAllowed,
    Denial::ForeignOrigin,
    Denial::NotConfigured,
    Denial::OriginUnreachable,
];
const RATE_LIMITED: Denial = Denial::RateLimited(RatePeriod::TenSeconds);

#[test]
fn every_denial_of_a_request_and_every_kind_of_allowed_request_has_a_case() {
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for Expected { outcome, .. } in all().expected {
        *outcomes.entry(outcome).or_default() += 1;
    }
    assert!(
        outcomes
            .remove("allow")
            .is_some_and(|allowed| allowed >= 40)
    );
    let known: BTreeSet<_> = every_denial()
        .into_iter()
        .filter(|denial| !NOT_THE_CALLERS.contains(denial))
        .map(|denial| denial.code().to_owned())
        .collect();
    assert_eq!(outcomes.into_keys().collect::<BTreeSet<_>>(), known);
}

/// The questions are also in the repository, for readers without this program.
#[test]
fn the_stored_questions_are_those_of_the_cases() {
    let stored = fs::read_to_string(folder().join("decisions/questions.jsonl")).expect("a file");
    let made = all().lines;
    for (line, (stored, made)) in stored.lines().zip(&made).enumerate() {
        assert_eq!(
            stored,
            made,
            "line {}: regenerate them with `corpus decisions`",
            line + 1
        );
    }
    assert_eq!(stored.lines().count(), made.len());
}

fn every_denial() -> Vec<Denial> {
    let forbidden = ForbiddenHeader::ALL.map(|(_, member)| Denial::ForbiddenHeader(member));
    let missing = [
        RequiredClaim::Audience,
        RequiredClaim::ClientId,
        RequiredClaim::ExpiresAt,
        RequiredClaim::IssuedAt,
        RequiredClaim::Issuer,
        RequiredClaim::Subject,
        RequiredClaim::TokenId,
    ];
    let mut all = vec![Denial::BadPath];
    // A new denial does not compile until it has its place in this chain, and then needs its case.
    while let Some(next) = all.last().copied().and_then(after) {
        all.push(next);
    }
    all.extend(forbidden);
    all.extend(missing.map(Denial::MissingClaim));
    all
}

const fn after(denial: Denial) -> Option<Denial> {
    use Denial as D;
    Some(match denial {
        D::BadPath => RATE_LIMITED,
        D::RateLimited(_) => D::UnknownRoute,
        D::UnknownRoute => D::MethodNotAllowed,
        D::MethodNotAllowed => D::UpgradeNotAllowed,
        D::UpgradeNotAllowed => D::ForeignOrigin,
        D::ForeignOrigin => D::MissingToken,
        D::MissingToken => D::MalformedAuthorization,
        D::MalformedAuthorization => D::TokenTooLarge,
        D::TokenTooLarge => D::MalformedToken,
        D::MalformedToken => D::MalformedBase64,
        D::MalformedBase64 => D::MalformedHeader,
        D::MalformedHeader => D::UnsupportedAlgorithm,
        D::UnsupportedAlgorithm => D::WrongType,
        D::WrongType => D::MissingKeyId,
        D::MissingKeyId => D::MalformedClaims,
        D::MalformedClaims => D::UnforwardableClaim,
        D::UnforwardableClaim => D::BoundToken,
        D::BoundToken => D::UnknownIssuer,
        D::UnknownIssuer => D::WrongAudience,
        D::WrongAudience => D::Expired,
        D::Expired => D::NotYetValid,
        D::NotYetValid => D::IssuedInFuture,
        D::IssuedInFuture => D::LifetimeTooLong,
        D::LifetimeTooLong => D::TooOld,
        D::TooOld => D::AlgorithmNotAllowed,
        D::AlgorithmNotAllowed => D::UnknownKey,
        D::UnknownKey => D::UnusableKey,
        D::UnusableKey => D::BadSignature,
        D::BadSignature => D::Revoked,
        D::Revoked => D::InsufficientScope,
        D::InsufficientScope => D::InsufficientRole,
        D::InsufficientRole => D::StaleSnapshot,
        D::StaleSnapshot => D::RevocationUnknown,
        D::RevocationUnknown => D::NotConfigured,
        D::NotConfigured => D::OriginUnreachable,
        D::OriginUnreachable | D::ForbiddenHeader(_) | D::MissingClaim(_) => return None,
    })
}
