//! `portcullis policy`: validates a policy and prints its issuers and routes.

use core::fmt;
use std::fs;
use std::path::Path;

use portcullis_core::json::Json;
use portcullis_core::keys::set::JwkSet;
use portcullis_core::policy::{self, KeySource, PolicyError};
use portcullis_core::route::{Access, AnyOf, Requirement, RevocationMode};
use serde_json::{Value, json};

use crate::arguments::Policy;
use crate::output::{CommandOutput, Failure};

pub(crate) fn run(command: &Policy) -> Result<CommandOutput, Failure> {
    match command {
        Policy::Check { file, issuer } => check(file, issuer.as_deref()),
    }
}

/// The text of the policy in `file`.
pub(crate) fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file)
        .map_err(|error| Failure::Setting(format!("{}: {error}", file.display())))
}

fn check(file: &Path, issuer: Option<&str>) -> Result<CommandOutput, Failure> {
    let text_of_policy = read(file)?;
    let policy = match policy::Policy::parse(&text_of_policy, issuer) {
        Ok(policy) => policy,
        Err(error) => {
            // The parser of the edge has no positions: they would cost bytes in every Worker.
            let place = serde_json::from_str::<Value>(&text_of_policy).err();
            let error = match place.filter(|_| error == PolicyError::NotJson) {
                Some(place) => format!("{error}: {place}"),
                None => error.to_string(),
            };
            return Ok(CommandOutput::bad(
                format!("{}: {error}\n", file.display()),
                json!({"valid": false, "error": error}),
            ));
        }
    };
    let mut text = String::from("the policy is valid\n");
    let unused_keys = unused_keys(&policy, &text_of_policy);
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
    let issuers: Vec<_> = policy.issuers.iter().map(|one| &one.issuer).collect();
    let routes: Vec<_> = policy
        .routes
        .iter()
        .map(|one| one.pattern.to_string())
        .collect();
    let json = json!({
        "valid": true, "issuers": issuers, "routes": routes, "unused_keys": unused_keys,
    });
    Ok(CommandOutput::good(text, json))
}

/// The scopes and roles that a route requires.
fn rights(requirement: &Requirement) -> String {
    let one_of = |list: &AnyOf| {
        let (kind, names) = match list {
            AnyOf::Scopes(names) => ("scope", names),
            AnyOf::Roles(names) => ("role", names),
        };
        match names.as_slice() {
            [only] => format!("the {kind} {only}"),
            names => format!("one {kind} of {}", names.join(", ")),
        }
    };
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
