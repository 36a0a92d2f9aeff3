//! Decisions: the cases in `vectors/decisions/cases.json` become questions here. Their tokens are
//! signed with public test keys.
//!
//! A case contains the differences from the defaults. Objects are merged and `null` removes a
//! member; `$jwk:NAME` and `$kid:NAME` stand for a public key and its identifier, `$token` for the
//! token, and `{"text", "fill", "length"}` for a text filled up to a length.

use std::fs;

use data_encoding::BASE64URL_NOPAD;
use portcullis_jwt::SigningKey;
use portcullis_service::ports::Signer as _;
use serde_json::{Map, Value, json};

use crate::keys;
use crate::vectors::folder;

/// The questions and the expected results, in the order of the cases.
#[derive(Debug, Default)]
pub struct Decisions {
    /// Each a line of JSON.
    pub lines: Vec<String>,
    /// Each expected result.
    pub expected: Vec<Expected>,
}

/// The expected result of a decision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expected {
    /// The case.
    pub id: String,
    /// `allow`, or the code of the denial.
    pub outcome: String,
    /// The forwarded path, if allowed.
    pub path: Value,
    /// The identity headers, if allowed.
    pub headers: Map<String, Value>,
}

/// Every case.
///
/// # Panics
///
/// If the file is missing or malformed.
pub fn all() -> Decisions {
    let file = folder().join("decisions/cases.json");
    let cases: Value =
        serde_json::from_str(&fs::read_to_string(file).expect("the cases")).expect("JSON");
    let mut all = Decisions::default();
    for case in cases["cases"].as_array().expect("cases") {
        let merged = resolve(&merge(&cases["defaults"], case));
        all.lines.push(question(&cases, &merged).to_string());
        all.expected.push(expected(&merged));
    }
    all
}

fn question(cases: &Value, case: &Value) -> Value {
    let named = |kind: &str, name: &Value| resolve(&cases[kind][name.as_str().expect("a name")]);
    let authorization = case["authorization"].as_str();
    let mut question = json!({
        "id": case["id"],
        "policy": named("policies", &case["policy"]),
        "document": named("documents", &case["document"]),
        "revocations": case["revocations"],
        "rows": case["rows"],
        "keys_read_at": case["keys_read_at"],
        "revocations_read_at": case["revocations_read_at"],
        "path": case["path"],
        "authorization": authorization.map(|text| text.replace("$token", &token(case))),
        "now": case["now"],
    });
    if !case["method"].is_null() {
        question["method"] = case["method"].clone();
    }
    question
}

fn expected(case: &Value) -> Expected {
    let text = |name: &str| case[name].as_str().expect(name).to_owned();
    let path = if case["forwarded"].is_null() {
        &case["path"]
    } else {
        &case["forwarded"]
    };
    Expected {
        id: text("id"),
        outcome: text("expect"),
        path: path.clone(),
        headers: case["headers"].as_object().cloned().unwrap_or_default(),
    }
}

/// The token text of the case; else its header and claims, signed by its key.
fn token(case: &Value) -> String {
    if let Some(token) = case["token"].as_str() {
        return token.to_owned();
    }
    let part = |text: &str, object: &str| {
        let text = case[text]
            .as_str()
            .map_or_else(|| case[object].to_string(), str::to_owned);
        BASE64URL_NOPAD.encode(text.as_bytes())
    };
    let input = format!(
        "{}.{}",
        part("header_text", "header"),
        part("claims_text", "claims")
    );
    let signature = case["signature"].as_str().map_or_else(
        || {
            let key = key(case["key"].as_str().expect("a key"));
            BASE64URL_NOPAD.encode(&key.sign(input.as_bytes()).expect("signs"))
        },
        str::to_owned,
    );
    format!("{input}.{signature}")
}

fn key(name: &str) -> SigningKey {
    keys::signing(match name {
        "ed25519" => keys::ED25519,
        "other" => keys::OTHER_ED25519,
        "p256" => keys::P256,
        "rsa" => keys::RSA,
        "hmac" => keys::HMAC,
        "hmac-other" => r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
        other => panic!("no key is called {other}"),
    })
}

/// The public key as in a policy or a document; the shared secret is `h`.
fn jwk(name: &str) -> Value {
    let key = key(name);
    let text = if name == "hmac" {
        keys::HMAC.replacen('{', r#"{"kid":"h","#, 1)
    } else {
        keys::public(&key)
    };
    serde_json::from_str(&text).expect("a JWK")
}

/// `more` over `base`: objects member by member, everything else replaced; `null` removes.
fn merge(base: &Value, more: &Value) -> Value {
    let (Value::Object(base), Value::Object(more)) = (base, more) else {
        return more.clone();
    };
    let mut merged = base.clone();
    for (name, value) in more {
        if value.is_null() {
            merged.remove(name);
        } else {
            let below = merged
                .get(name)
                .map_or_else(|| value.clone(), |old| merge(old, value));
            merged.insert(name.clone(), below);
        }
    }
    Value::Object(merged)
}

/// Replaces the placeholders for keys, identifiers and long texts.
fn resolve(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.split_once(':') {
            Some(("$jwk", name)) => jwk(name),
            Some(("$kid", name)) => key(name).key().thumbprint().into(),
            _ => value.clone(),
        },
        Value::Array(values) => values.iter().map(resolve).collect(),
        Value::Object(members) => filled(members).unwrap_or_else(|| {
            let members = members
                .iter()
                .map(|(name, value)| (name.clone(), resolve(value)));
            Value::Object(members.collect())
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn filled(members: &Map<String, Value>) -> Option<Value> {
    let (text, fill) = (
        members.get("text")?.as_str()?,
        members.get("fill")?.as_str()?,
    );
    let length = usize::try_from(members.get("length")?.as_u64()?).ok()?;
    Some(format!("{text}{}", fill.repeat(length.checked_sub(text.len())?)).into())
}
