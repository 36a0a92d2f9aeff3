//! `portcullis policy`: checks, builds, explains and tests a policy.

mod build;
mod decision;
mod explain;
mod findings;
mod holes;
mod json_tree;
mod node;
mod schema;
mod secrets;
mod source;
mod suite;
mod toml_tree;

use core::fmt;
use std::path::Path;

use portcullis_core::json::Json;
use portcullis_core::keys::set::JwkSet;
use portcullis_core::policy::{self, KeySource};
use portcullis_core::route::{Access, AnyOf, Requirement, RevocationMode};
use serde_json::{Value, json};

use crate::arguments::Policy;
use crate::output::{CommandOutput, Failure};
use crate::policy::findings::{Finding, Judgement, Severity, judge};
pub(crate) use crate::policy::source::load;
use crate::policy::source::{Form, Source, read_text};

pub(crate) fn run(command: &Policy) -> Result<CommandOutput, Failure> {
    match command {
        Policy::Check {
            file,
            issuer,
            accept,
        } => check(file, issuer.as_deref(), accept),
        Policy::Build(arguments) => build::run(arguments),
        Policy::Explain(arguments) => explain::run(arguments),
        Policy::Test(arguments) => suite::run(arguments),
    }
}

/// The findings about a file, and its policy if no finding refuses it.
struct Checked {
    text: String,
    findings: Vec<Finding>,
    accepted: Option<(Source, policy::Policy)>,
}

impl Checked {
    /// Checks `file`. `accept` has the exceptions that the operator allows.
    fn of(
        file: &Path,
        issuer: Option<&str>,
        accept: &[String],
        secrets: Severity,
    ) -> Result<Self, Failure> {
        let text = read_text(file)?;
        Ok(Self::of_text(text, Form::of(file), issuer, accept, secrets))
    }

    fn of_text(
        text: String,
        form: Form,
        issuer: Option<&str>,
        accept: &[String],
        secrets: Severity,
    ) -> Self {
        let source = match Source::parse(&text, form) {
            Ok(source) => source,
            Err(finding) => {
                return Self {
                    text,
                    findings: vec![finding],
                    accepted: None,
                };
            }
        };
        let Judgement {
            policy,
            repaired,
            mut findings,
        } = judge(&source.root, issuer);
        if let Some((root, policy)) = &repaired {
            // Its places are those of the text, and a replaced route has no finding.
            let found = holes::find(root, policy);
            let (found, unused) = holes::without_accepted(found, accept);
            findings.extend(found);
            findings.extend(unused.into_iter().map(|flag| {
                let message = format!("--accept {flag} accepts nothing");
                Finding::error("accept", 0..0, message)
            }));
        }
        // A policy that is refused for another reason may have secrets, too.
        findings.extend(secrets::find(&source.root, secrets));
        findings.sort_by_key(|finding| finding.span.start);
        let accepted = policy
            .filter(|_| !findings.iter().any(Finding::is_error))
            .map(|policy| (source, policy));
        Self {
            text,
            findings,
            accepted,
        }
    }

    fn lines(&self, file: &Path) -> String {
        let line = |finding: &Finding| finding.line(file, &self.text) + "\n";
        self.findings.iter().map(line).collect()
    }

    fn json(&self) -> Vec<Value> {
        let json = |finding: &Finding| finding.json(&self.text);
        self.findings.iter().map(json).collect()
    }

    /// The output for a policy that is refused.
    fn refused(&self, file: &Path) -> CommandOutput {
        let first = self.findings.iter().find(|finding| finding.is_error());
        let error = first.map(|finding| finding.message.clone());
        let json = json!({"valid": false, "error": error, "findings": self.json()});
        CommandOutput::bad(self.lines(file), json)
    }
}

fn check(file: &Path, issuer: Option<&str>, accept: &[String]) -> Result<CommandOutput, Failure> {
    let mut checked = Checked::of(file, issuer, accept, Severity::Warning)?;
    let Some((source, policy)) = checked.accepted.take() else {
        return Ok(checked.refused(file));
    };
    let mut text = checked.lines(file);
    text.push_str(&described(&policy, &source.root.to_json()));
    let routes = policy.routes.iter().map(|one| one.pattern.to_string());
    let json = json!({
        "valid": true,
        "issuers": policy.issuers.iter().map(|one| &one.issuer).collect::<Vec<_>>(),
        "routes": routes.collect::<Vec<_>>(),
        "unused_keys": unused_keys(&policy, &source.root.to_json()),
        "findings": checked.json(),
    });
    Ok(CommandOutput::good(text, json))
}

/// The issuers, the routes and the headers of a policy, for people.
fn described(policy: &policy::Policy, json: &str) -> String {
    let mut text = String::from("the policy is valid\n");
    let unused_keys = unused_keys(policy, json);
    for trusted in &policy.issuers {
        let algorithms: Vec<_> = trusted.algorithms.iter().map(ToString::to_string).collect();
        let keys = match &trusted.keys {
            KeySource::Document => "the key document".to_owned(),
            KeySource::Fixed(set) => format!("{} fixed keys", set.keys().len()),
        };
        text.push_str(&format!(
            "issuer {}: for {}, signed with {} by {keys}, lifetime at most {} s\n",
            trusted.issuer,
            trusted.audience.join(", "),
            algorithms.join(", "),
            trusted.max_lifetime.as_secs(),
        ));
    }
    for unused in &unused_keys {
        text.push_str(&format!("unused {unused}\n"));
    }
    for route in policy.routes.iter() {
        let (pattern, requirement) = (&route.pattern, &route.requirement);
        let asks = match requirement.access {
            Access::Open => "public".to_owned(),
            Access::Optional => "public, with the identity of a valid token".to_owned(),
            Access::Token => rights(requirement),
        };
        let stale = requirement
            .serve_stale
            .map(|bound| format!(", serves a snapshot up to {} s old", bound.as_secs()))
            .unwrap_or_default();
        let looked_up = match requirement.revocation {
            RevocationMode::Feed => "",
            RevocationMode::Lookup => ", revocation lookup for each request",
        };
        let methods = match requirement.methods.as_slice() {
            [] => String::new(),
            methods => format!("{} ", methods.join(" and ")),
        };
        let exact = if route.exact {
            ", without its twins"
        } else {
            ""
        };
        let slash = if route.encoded_slash {
            ", with %2F"
        } else {
            ""
        };
        text.push_str(&format!(
            "route  {methods}{pattern}: {asks}{looked_up}{stale}{exact}{slash}\n"
        ));
    }
    let token = if policy.headers.strip_token {
        "no token"
    } else {
        "the verified token"
    };
    let open = if policy.headers.open_authorization {
        "; an open route forwards an unverified Authorization header"
    } else {
        ""
    };
    text.push_str(&format!(
        "headers under {} are the edge's own; the origin gets {token}{open}\n",
        policy.headers.identity_prefix(),
    ));
    for (name, claim) in policy.headers.claims() {
        text.push_str(&format!(
            "header {name} has the claim {claim:?} of the token\n"
        ));
    }
    text.push_str(&format!(
        "a logout takes effect within {} s, within {} s if the store fails; any other path is rejected\n",
        policy.revocations.soft.as_secs(),
        // One second more, because times are whole seconds.
        policy.revocations.hard.as_secs().saturating_add(1),
    ));
    text
}

/// One of the scopes or roles of a list.
fn one_of(list: &AnyOf) -> String {
    let (kind, names) = match list {
        AnyOf::Scopes(names) => ("scope", names),
        AnyOf::Roles(names) => ("role", names),
    };
    match names.as_slice() {
        [only] => format!("the {kind} {only}"),
        names => format!("one {kind} of {}", names.join(", ")),
    }
}

/// The scopes and roles that a route requires.
fn rights(requirement: &Requirement) -> String {
    let lists = requirement.any_of.iter().map(one_of);
    let all: Vec<_> = requirement.scopes.iter().cloned().chain(lists).collect();
    if all.is_empty() {
        "any valid token".to_owned()
    } else {
        format!("a token with {}", all.join(" and "))
    }
}

/// The fixed keys that can verify no token of their issuer, each with the reason.
fn unused_keys(policy: &policy::Policy, text: &str) -> Vec<String> {
    let parsed = Json::parse(text.as_bytes()).ok();
    let issuers = parsed
        .as_ref()
        .and_then(|policy| member(policy, "issuers")?.as_array())
        .unwrap_or_default();
    let mut unused = Vec::new();
    // Both are in the order of the text.
    for (trusted, given) in policy.issuers.iter().zip(issuers) {
        let KeySource::Fixed(set) = &trusted.keys else {
            continue;
        };
        let mut add = |key: String, reason: &dyn fmt::Display| {
            unused.push(format!("issuer {}: {key}: {reason}", trusted.issuer));
        };
        let named = |id: Option<&str>| id.map_or_else(String::new, |id| format!(" {id:?}"));
        for (place, id, error) in member(given, "keys")
            .map(JwkSet::skipped)
            .unwrap_or_default()
        {
            add(format!("keys[{place}]{}", named(id)), &error);
        }
        for key in set.keys() {
            if !key.allows_any(&trusted.algorithms) {
                let reason = "no algorithm of the issuer fits it";
                add(format!("key{}", named(key.id())), &reason);
            }
        }
    }
    unused
}

fn member<'p>(json: &'p Json, name: &str) -> Option<&'p Json> {
    json.as_object()?.get(name)
}

#[cfg(test)]
mod tests;
