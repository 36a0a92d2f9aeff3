//! `portcullis policy explain`: the decision about one request, step by step.

use portcullis_core::gate::Gate;
use portcullis_core::route::{Access, Requirement, RevocationMode, Route};
use portcullis_core::time::UnixTime;
use portcullis_host::clock::{SystemClock, WallClock as _};
use serde_json::{Map, Value, json};

use super::decision::{AskedRequest, Decision, Outcome, TokenStep, decide};
use crate::arguments::Explain;
use crate::output::{CommandOutput, Failure};
use crate::policy::{load, one_of, rights};
use crate::token::{read_keys, read_token};

pub(super) fn run(arguments: &Explain) -> Result<CommandOutput, Failure> {
    let gate = Gate::new(load(&arguments.policy, arguments.issuer.as_deref())?);
    let keys = arguments.keys.as_deref().map(read_keys).transpose()?;
    let now = time_or_now(arguments.at)?;
    let mut headers = Vec::new();
    for header in &arguments.headers {
        let (name, value) = header.split_once(':').ok_or_else(|| {
            Failure::Setting("a header has a colon: --header \"NAME: VALUE\"".to_owned())
        })?;
        headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    if let Some(token) = &arguments.token {
        let token = read_token(token)?;
        headers.push((
            "authorization".to_owned(),
            format!("Bearer {}", token.expose()),
        ));
    }
    let request = AskedRequest {
        method: arguments.method.clone(),
        url: arguments.url.clone(),
        headers,
        claims: None,
    };
    let decision = decide(&gate, &request, keys.as_ref(), now);
    let (text, json) = (text(&decision), json(&decision));
    Ok(match decision.outcome {
        Outcome::Forwarded { .. } | Outcome::Preflight { .. } => CommandOutput::good(text, json),
        Outcome::Denied { .. } => CommandOutput::bad(text, json),
    })
}

/// The Unix time `at`, or else the time of the system.
pub(super) fn time_or_now(at: Option<u64>) -> Result<UnixTime, Failure> {
    match at {
        Some(secs) => Ok(UnixTime::from_secs(secs)),
        None => SystemClock.read().map_err(Failure::unavailable),
    }
}

/// One line for each step.
pub(super) fn text(decision: &Decision) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| lines.push(format!("{name:<12} {value}"));
    match &decision.path {
        Some(path) => line("path", path.clone()),
        None => line("path", "rejected: it has no canonical form".to_owned()),
    }
    for (word, route) in marked(decision) {
        line(word, described(route));
    }
    if let Some(requirement) = &decision.requirement {
        line("requirement", required(requirement));
    }
    let token = match decision.token {
        TokenStep::NotRead => None,
        TokenStep::Verified => Some("accepted".to_owned()),
        TokenStep::SignatureNotChecked => {
            Some("accepted if its signature is valid; give --keys to verify that".to_owned())
        }
        TokenStep::Refused(denial) => {
            Some(format!("refused: {} ({})", denial.detail(), denial.code()))
        }
    };
    if let Some(token) = token {
        line("token", token);
        line("revocation", "not checked: it needs the store".to_owned());
    }
    match &decision.outcome {
        Outcome::Forwarded { headers, dropped } => {
            for name in dropped {
                line("dropped", name.clone());
            }
            for (name, value) in headers {
                line("header", format!("{name}: {}", shown(name, value)));
            }
            line(
                "decision",
                "allow: the edge forwards the request, and the origin answers".to_owned(),
            );
        }
        Outcome::Preflight { headers } => {
            for (name, value) in headers {
                line("response", format!("{name}: {value}"));
            }
            line(
                "decision",
                "allow: the edge answers the preflight with 204".to_owned(),
            );
        }
        Outcome::Denied { denial, response } => {
            for (name, value) in challenge(response.headers.as_slice()) {
                line("response", format!("{name}: {value}"));
            }
            line(
                "decision",
                format!("{} {}: {}", response.status, denial.code(), denial.detail()),
            );
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

pub(super) fn json(decision: &Decision) -> Value {
    let routes: Vec<_> = marked(decision)
        .map(|(word, route)| {
            json!({
                "pattern": route.pattern.to_string(),
                "twin": word != "route",
                "methods": route.requirement.methods,
                "exact": route.exact,
            })
        })
        .collect();
    let requirement = decision.requirement.as_ref().map(|requirement| {
        json!({
            "access": match requirement.access {
                Access::Open => "open",
                Access::Optional => "open, identity if present",
                Access::Token => "token",
            },
            "scopes": requirement.scopes,
            "any_of": requirement.any_of.iter().map(one_of).collect::<Vec<_>>(),
            "revocation": match requirement.revocation {
                RevocationMode::Feed => "feed",
                RevocationMode::Lookup => "lookup",
            },
        })
    });
    let token = match decision.token {
        TokenStep::NotRead => Value::Null,
        TokenStep::Verified => json!("accepted"),
        TokenStep::SignatureNotChecked => json!("signature_unchecked"),
        TokenStep::Refused(denial) => json!(denial.code()),
    };
    let named = |headers: &[(String, String)]| -> Map<String, Value> {
        let headers = headers.iter();
        headers
            .map(|(name, value)| (name.clone(), json!(shown(name, value))))
            .collect()
    };
    let mut json = json!({
        "path": decision.path, "routes": routes, "requirement": requirement, "token": token,
        "decision": decision.word(), "status": decision.status(),
    });
    if let (Value::Object(members), Outcome::Forwarded { headers, dropped }) =
        (&mut json, &decision.outcome)
    {
        members.insert("headers".to_owned(), Value::Object(named(headers)));
        members.insert("dropped".to_owned(), json!(dropped));
    }
    json
}

/// Each route, with its word: the routes of the path itself have one pattern.
fn marked(decision: &Decision) -> impl Iterator<Item = (&'static str, &Route)> {
    let own = decision.routes.first().map(|route| &route.pattern);
    decision.routes.iter().map(move |route| {
        let is_own = Some(&route.pattern) == own;
        (if is_own { "route" } else { "twin's route" }, route)
    })
}

fn described(route: &Route) -> String {
    let methods = match route.requirement.methods.as_slice() {
        [] => String::new(),
        methods => format!("{} ", methods.join(" ")),
    };
    let exact = if route.exact { ", exact" } else { "" };
    format!(
        "{methods}{}: {}{exact}",
        route.pattern,
        required(&route.requirement)
    )
}

fn required(requirement: &Requirement) -> String {
    let lookup = match requirement.revocation {
        RevocationMode::Feed => "",
        RevocationMode::Lookup => ", revocation lookup",
    };
    match requirement.access {
        Access::Open => "open, without a token".to_owned(),
        Access::Optional => "open, with the identity of a valid token".to_owned(),
        Access::Token => format!("{}{lookup}", rights(requirement)),
    }
}

/// A token and cookies are never printed.
fn shown<'v>(name: &str, value: &'v str) -> &'v str {
    match name {
        "authorization" | "cookie" | "sec-websocket-protocol" => "(as sent)",
        _ => value,
    }
}

fn challenge<'h>(
    headers: &'h [(&'static str, String)],
) -> impl Iterator<Item = &'h (&'static str, String)> {
    headers
        .iter()
        .filter(|(name, _)| matches!(*name, "allow" | "www-authenticate" | "retry-after"))
}
