//! The decision of the edge about one request. Every rule is that of `portcullis-core` and
//! `portcullis-service`, in the order in which the Worker runs them.

use std::borrow::Cow;

use portcullis_core::assertion::KEYS_PATH;
use portcullis_core::base64url;
use portcullis_core::cookie::without_own_cookies;
use portcullis_core::denial::Denial;
use portcullis_core::forwarding::Connection;
use portcullis_core::gate::Gate;
use portcullis_core::id::Id;
use portcullis_core::identity::{REQUEST_ID_HEADER, identity_headers};
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::keys::ring::KeyRing;
use portcullis_core::keys::set::JwkSet;
use portcullis_core::path::CanonicalPath;
use portcullis_core::policy::KeySource;
use portcullis_core::refusal::DenialResponse;
use portcullis_core::revocation::Revocations;
use portcullis_core::route::{Access, Requirement, RevocationMode, Route};
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::jws::Jws;
use portcullis_core::token::signature::SignatureVerdict;
use portcullis_core::token::verifier::{Verified, Verifier};
use portcullis_core::upgrade::{UpgradeRequest, without_bearer};
use portcullis_service::edge::cors::{CorsRequest, cors_response};
use portcullis_service::edge::route::{Refused, RequestHead, route_head};

use super::findings::EXAMPLE_KEY;
use crate::token::verdict::{Keys, verify};

/// The host of a URL that is a path alone.
const EXAMPLE_HOST: &str = "https://edge.example";

/// The `kid` of the key that stands for a signature which is not checked.
const ASSUMED_KEY: &str = "assumed";

/// A request to decide about.
#[derive(Clone, Debug)]
pub(crate) struct AskedRequest {
    pub(crate) method: String,
    /// An absolute URL, or a path.
    pub(crate) url: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The claims of a token that counts as verified.
    pub(crate) claims: Option<String>,
}

/// The steps of a decision, as far as it came.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) path: Option<String>,
    /// The routes of the path, then those of its twins.
    pub(crate) routes: Vec<Route>,
    pub(crate) requirement: Option<Requirement>,
    pub(crate) token: TokenStep,
    pub(crate) outcome: Outcome,
}

/// The check of the token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum TokenStep {
    /// The request has none, or its route needs none.
    NotRead,
    Verified,
    /// All checks but the signature passed.
    SignatureNotChecked,
    Refused(Denial),
}

/// The end of a decision.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The edge forwards the request with these headers, and drops those of the client.
    Forwarded {
        headers: Vec<(String, String)>,
        dropped: Vec<String>,
    },
    /// The edge answers a preflight itself.
    Preflight { headers: Vec<(String, String)> },
    Denied {
        denial: Denial,
        response: DenialResponse,
    },
}

impl AskedRequest {
    /// The value of a header, joined as the platform of a Worker joins it (Fetch Standard §2.2.2).
    fn header(&self, name: &str) -> Option<String> {
        let values = self.headers.iter().filter(|(own, _)| own == name);
        let values: Vec<_> = values.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    fn absolute(&self) -> String {
        if self.url.starts_with('/') {
            format!("{EXAMPLE_HOST}{}", self.url)
        } else {
            self.url.clone()
        }
    }
}

/// The path of an absolute URL, as it is written.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let start = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let target = rest.get(start..).unwrap_or_default();
    let end = target.find(['?', '#']).unwrap_or(target.len());
    match target.get(..end).unwrap_or_default() {
        "" => "/",
        path => path,
    }
}

/// Decides about `request` at `now`, with an empty list of revocations.
pub(crate) fn decide(
    gate: &Gate,
    request: &AskedRequest,
    keys: Option<&Keys>,
    now: UnixTime,
) -> Decision {
    let url = request.absolute();
    let raw_path = path_of(&url);
    let mut decision = Decision {
        path: None,
        routes: Vec::new(),
        requirement: None,
        token: TokenStep::NotRead,
        outcome: denied(Denial::UnknownRoute, None),
    };
    if let Ok(path) = CanonicalPath::parse_target(raw_path) {
        let found = gate.policy().routes.matching(&request.method, &path);
        decision.routes =
            found.map_or_else(|_| Vec::new(), |found| found.into_iter().cloned().collect());
        decision.path = Some(path.to_string());
    }
    match steps(gate, request, &url, keys, now, &mut decision) {
        Ok(outcome) => decision.outcome = outcome,
        Err((denial, requirement)) => {
            decision.outcome = denied(denial, requirement.as_deref());
            if decision.requirement.is_none() && denial != Denial::MethodNotAllowed {
                decision.requirement = requirement.map(Cow::into_owned);
            }
        }
    }
    decision
}

/// The steps of the Worker (`answer` in `crates/worker/src/lib.rs`).
fn steps<'g>(
    gate: &'g Gate,
    request: &AskedRequest,
    url: &str,
    keys: Option<&Keys>,
    now: UnixTime,
    decision: &mut Decision,
) -> Result<Outcome, Refused<'g>> {
    let raw_path = path_of(url);
    if raw_path == KEYS_PATH {
        // Without PORTCULLIS_ASSERTION_KEYS the edge has no keys to publish.
        return Err((Denial::UnknownRoute, None));
    }
    let header = |name| request.header(name);
    let (origin, requested) = (header("origin"), header("access-control-request-method"));
    let cors = CorsRequest {
        method: &request.method,
        raw_path,
        origin: origin.as_deref(),
        requested_method: requested.as_deref(),
    };
    if let Some(response) = cors_response(gate, cors)
        && let Some(preflight) = response.preflight
    {
        preflight?;
        let headers = response.headers.into_iter();
        let headers = headers
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        return Ok(Outcome::Preflight { headers });
    }
    let assumed = request.claims.as_deref().map(assumed_token);
    let assumed = assumed.map(|token| format!("Bearer {token}"));
    let authorization = header("authorization").or(assumed);
    let (upgrade, subprotocols) = (header("upgrade"), header("sec-websocket-protocol"));
    let head = RequestHead {
        raw_path,
        authorization: authorization.as_deref(),
        upgrade: UpgradeRequest {
            method: &request.method,
            upgrade: upgrade.as_deref(),
            has_key: header("sec-websocket-key").is_some(),
            origin: origin.as_deref(),
            url,
        },
        subprotocols: subprotocols.as_deref(),
    };
    let routed = route_head(gate, &head)?;
    decision.requirement = Some(routed.requirement.clone().into_owned());
    let caller = match routed.token {
        None => None,
        Some(token) => {
            let is_assumed = request.claims.is_some() && header("authorization").is_none();
            let requirement = routed.requirement.as_ref();
            match accepted(gate, requirement, token, is_assumed, keys, now) {
                Ok((caller, step)) => {
                    decision.token = step;
                    Some(caller)
                }
                Err(denial) => {
                    decision.token = TokenStep::Refused(denial);
                    if requirement.access != Access::Optional {
                        return Err((denial, Some(routed.requirement)));
                    }
                    None
                }
            }
        }
    };
    forwarded(gate, request, url, caller.as_ref(), authorization.clone())
        .map_err(|denial| (denial, Some(routed.requirement)))
}

/// The caller of a token that passes every check of the route, with an empty list of revocations.
fn accepted(
    gate: &Gate,
    requirement: &Requirement,
    token: &str,
    is_assumed: bool,
    keys: Option<&Keys>,
    now: UnixTime,
) -> Result<(Verified<Claims>, TokenStep), Denial> {
    let (caller, step) = verified(gate, token, is_assumed, keys, now)?;
    let none = Revocations::default;
    let mut snapshot = Snapshot::new(gate.policy(), &KeyDocument::default(), none(), now);
    if requirement.revocation == RevocationMode::Lookup {
        snapshot = snapshot.for_one(none(), now);
    }
    gate.decide(requirement, Some(&caller), &snapshot, now)?;
    Ok((caller, step))
}

/// The verified caller. Without a key, and for the claims of a test, the signature counts as valid.
fn verified(
    gate: &Gate,
    token: &str,
    is_assumed: bool,
    keys: Option<&Keys>,
    now: UnixTime,
) -> Result<(Verified<Claims>, TokenStep), Denial> {
    if is_assumed {
        return Ok((assume_signed(gate, token, now)?, TokenStep::Verified));
    }
    if let Some(caller) = verify(token, gate.policy(), keys, now)? {
        return Ok((caller, TokenStep::Verified));
    }
    let payload = Jws::parse(token)?.payload;
    let payload = String::from_utf8(payload).map_err(|_| Denial::MalformedClaims)?;
    let caller = assume_signed(gate, &assumed_token(&payload), now)?;
    Ok((caller, TokenStep::SignatureNotChecked))
}

/// A token with the claims `payload`, whose signature nobody made.
fn assumed_token(payload: &str) -> String {
    let header = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{ASSUMED_KEY}"}}"#);
    format!(
        "{}.{}.{}",
        base64url::encode(header.as_bytes()),
        base64url::encode(payload.as_bytes()),
        base64url::encode(&[0; 64]),
    )
}

/// Runs every check of the policy on the claims of an assumed token, as if a trusted key of its
/// issuer had signed it.
fn assume_signed(gate: &Gate, token: &str, now: UnixTime) -> Result<Verified<Claims>, Denial> {
    let set = format!(
        r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"{ASSUMED_KEY}","x":"{EXAMPLE_KEY}"}}]}}"#
    );
    let set = JwkSet::parse(set.as_bytes()).map_err(|_| Denial::UnusableKey)?;
    let algorithm = Algorithm::parse("EdDSA").ok_or(Denial::UnsupportedAlgorithm)?;
    let mut issuers = gate.policy().issuers.clone();
    let mut ring = KeyRing::default();
    for trusted in &mut issuers {
        ring.put_set(&trusted.issuer, &set);
        trusted.algorithms = vec![algorithm];
        trusted.keys = KeySource::Fixed(set.clone());
    }
    let inspected = Verifier::new(&issuers).inspect(token, &ring, now)?;
    inspected.accept(SignatureVerdict::Valid)
}

/// The headers of the forwarded request (`set_headers` in `crates/worker/src/forward.rs`), without
/// the proof to the origin, which is no part of the policy.
fn forwarded(
    gate: &Gate,
    request: &AskedRequest,
    url: &str,
    caller: Option<&Verified<Claims>>,
    authorization: Option<String>,
) -> Result<Outcome, Denial> {
    let rules = &gate.policy().headers;
    let mut headers = Vec::new();
    let mut dropped = Vec::new();
    let mut sent = request.headers.clone();
    if request.header("authorization").is_none()
        && let Some(value) = authorization
    {
        sent.push(("authorization".to_owned(), value));
    }
    for (name, value) in sent {
        let kept = match name.as_str() {
            _ if rules.drops(&name) => None,
            "authorization" => rules
                .forwards_authorization(caller.is_some())
                .then_some(value),
            "sec-websocket-protocol" => Some(without_bearer(&value)),
            "cookie" => without_own_cookies(&value).or(Some(value)),
            _ => Some(value),
        };
        match kept.filter(|value| !value.is_empty()) {
            Some(value) => headers.push((name, value)),
            None => dropped.push(name),
        }
    }
    let id = Id::from_random([0; 16]);
    for (name, value) in identity_headers(rules, caller, &id)? {
        let is_random = name == REQUEST_ID_HEADER;
        headers.push((
            name,
            if is_random {
                "(random)".to_owned()
            } else {
                value
            },
        ));
    }
    let address = request.header("cf-connecting-ip");
    let connection = Connection::of_url(url, address.as_deref());
    for (name, value) in rules.forwarding_headers(&connection) {
        headers.push((name.to_owned(), value));
    }
    Ok(Outcome::Forwarded { headers, dropped })
}

fn denied(denial: Denial, requirement: Option<&Requirement>) -> Outcome {
    let id = Id::from_random([0; 16]);
    Outcome::Denied {
        denial,
        response: DenialResponse::new(denial, requirement, &id),
    }
}

impl Decision {
    /// The status of the edge's own response; `None` for the origin's response.
    pub(crate) const fn status(&self) -> Option<u16> {
        match &self.outcome {
            Outcome::Forwarded { .. } => None,
            Outcome::Preflight { .. } => Some(204),
            Outcome::Denied { response, .. } => Some(response.status),
        }
    }

    /// `allow`, or the code of the denial.
    pub(crate) const fn word(&self) -> &'static str {
        match &self.outcome {
            Outcome::Forwarded { .. } | Outcome::Preflight { .. } => "allow",
            Outcome::Denied { denial, .. } => denial.code(),
        }
    }
}

#[cfg(test)]
mod tests;
