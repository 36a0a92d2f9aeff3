//! Complete decisions: from a request, a policy and a snapshot of keys and revocations to the
//! result.

use std::borrow::Cow;

use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::id::Id;
use portcullis_core::identity::identity_headers;
use portcullis_core::json::Json;
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::path::CanonicalPath;
use portcullis_core::policy::Policy;
use portcullis_core::refusal::DenialResponse;
use portcullis_core::revocation::{Revocation, RevocationTarget, Revocations, TokenIds};
use portcullis_core::route::{Access, Requirement};
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;
use portcullis_service::edge::authorize::{Lookup, verify_and_decide};
use portcullis_service::edge::route::{Refused, route_request};
use portcullis_service::ports::{Clock, SignatureVerifier};
use portcullis_service::store::StoreError;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer;

/// The id of every request in the corpus.
const REQUEST_ID: [u8; 16] = *b"a corpus request";

/// One line. Other members belong only to the test vector.
#[derive(Deserialize)]
struct Question<'l> {
    #[serde(borrow)]
    id: Option<&'l RawValue>,
    #[serde(borrow)]
    policy: &'l RawValue,
    #[serde(borrow)]
    document: &'l RawValue,
    revocations: Vec<RevocationText>,
    rows: Option<Vec<RevocationText>>,
    keys_read_at: u64,
    revocations_read_at: u64,
    #[serde(borrow)]
    path: Cow<'l, str>,
    method: Option<Cow<'l, str>>,
    #[serde(borrow)]
    authorization: Option<Cow<'l, str>>,
    now: u64,
}

/// A revocation target such as `{"token": "jti"}`.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RevocationText {
    Token(String),
    Session(String),
    Key(String),
    Subject {
        issuer: String,
        subject: String,
        generation: u64,
    },
}

/// The revocation rows of the token, if they are readable.
impl Lookup for Question<'_> {
    async fn look_up(
        &self,
        _: &Requirement,
        _: &Snapshot,
        _: TokenIds<'_>,
    ) -> Result<Revocations, StoreError> {
        let rows = self.rows.as_ref();
        let rows = rows.ok_or_else(|| StoreError::new("looking up", core::fmt::Error))?;
        Ok(rows.iter().map(RevocationText::to_revocation).collect())
    }
}

impl Clock for Question<'_> {
    fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.now)
    }
}

/// An authorized request: the forwarded path and the caller's identity.
type Admitted = (CanonicalPath, Option<Verified<Claims>>);

/// Decides
/// `{"id", "policy", "document", "revocations", "rows", "keys_read_at", "revocations_read_at", "path", "method", "authorization", "now"}`,
/// times in seconds; `GET` without a method. Returns `{"id", "decision": "allow", "path", "headers"}` with the headers of
/// the forwarded request, or `{"id", "decision": "deny", "code", "status", "challenge"}`,
/// and `"allow"` for a method that is not allowed.
///
/// Returns `"decision": "none"` for a line of another format.
pub async fn answer_line(line: &str, signatures: &impl SignatureVerifier) -> String {
    let Ok(question) = serde_json::from_str::<Question<'_>>(line) else {
        return none("null", "bad_line");
    };
    let id = answer::id(question.id);
    let Ok(policy) = Policy::parse(question.policy.get(), None) else {
        return none(id, "bad_policy");
    };
    let Ok(document) = KeyDocument::parse(question.document.get().as_bytes()) else {
        return none(id, "bad_document");
    };
    let snapshot = snapshot(&question, &policy, &document);
    let gate = Gate::new(policy);
    match pass(&question, &gate, &snapshot, signatures).await {
        Ok((path, caller)) => allow(id, &gate, &path, caller.as_ref()),
        Err((denial, requirement)) => deny(id, denial, requirement.as_deref()),
    }
}

fn snapshot(question: &Question<'_>, policy: &Policy, document: &KeyDocument) -> Snapshot {
    let revocations = question
        .revocations
        .iter()
        .map(RevocationText::to_revocation);
    let [keys, feed] =
        [question.keys_read_at, question.revocations_read_at].map(UnixTime::from_secs);
    Snapshot::new(policy, document, Revocations::default(), keys)
        .with_revocations(revocations.collect(), feed)
}

async fn pass<'g>(
    question: &Question<'_>,
    gate: &'g Gate,
    snapshot: &Snapshot,
    signatures: &impl SignatureVerifier,
) -> Result<Admitted, Refused<'g>> {
    let method = question.method.as_deref().unwrap_or("GET");
    let authorization = question.authorization.as_deref();
    let approach = route_request(gate, method, &question.path, authorization)?;
    let Some(token) = approach.token else {
        return Ok((approach.path, None));
    };
    let requirement = approach.requirement;
    let decided =
        verify_and_decide(gate, &requirement, token, snapshot, signatures, question).await;
    match decided {
        Ok(caller) => Ok((approach.path, Some(caller))),
        Err(_) if requirement.access == Access::Optional => Ok((approach.path, None)),
        Err(denial) => Err((denial, Some(requirement))),
    }
}

fn allow(id: &str, gate: &Gate, path: &CanonicalPath, caller: Option<&Verified<Claims>>) -> String {
    let rules = &gate.policy().headers;
    let headers = identity_headers(rules, caller, &Id::from_random(REQUEST_ID));
    let headers = headers.unwrap_or_default();
    let headers = headers
        .iter()
        .map(|(name, value)| format!("{}:{}", Json::quote(name), Json::quote(value)));
    format!(
        r#"{{"id":{id},"decision":"allow","path":{},"headers":{{{}}}}}"#,
        Json::quote(path.as_str()),
        headers.collect::<Vec<_>>().join(",")
    )
}

fn deny(id: &str, denial: Denial, requirement: Option<&Requirement>) -> String {
    let refusal = DenialResponse::new(denial, requirement, &Id::from_random(REQUEST_ID));
    let header = |name| refusal.headers.iter().find(|(own, _)| *own == name);
    let quoted = |(_, value): &(&str, String)| Json::quote(value);
    // Only a 405 has this member.
    let allow = header("allow").map(|allow| format!(r#","allow":{}"#, quoted(allow)));
    let challenge = header("www-authenticate").map_or_else(|| "null".to_owned(), quoted);
    format!(
        r#"{{"id":{id},"decision":"deny","code":{},"status":{},"challenge":{challenge}{}}}"#,
        Json::quote(denial.code()),
        refusal.status,
        allow.unwrap_or_default()
    )
}

fn none(id: &str, reason: &str) -> String {
    let reason = Json::quote(reason);
    format!(r#"{{"id":{id},"decision":"none","reason":{reason}}}"#)
}

impl RevocationText {
    fn to_revocation(&self) -> Revocation {
        Revocation {
            target: self.to_target(),
            until: UnixTime::from_secs(u64::MAX),
        }
    }

    fn to_target(&self) -> RevocationTarget {
        match self {
            Self::Token(id) => RevocationTarget::Token(id.clone()),
            Self::Session(id) => RevocationTarget::Session(id.clone()),
            Self::Key(id) => RevocationTarget::Key(id.clone()),
            Self::Subject {
                issuer,
                subject,
                generation,
            } => RevocationTarget::Subject {
                issuer: issuer.clone(),
                subject: subject.clone(),
                generation: *generation,
            },
        }
    }
}
