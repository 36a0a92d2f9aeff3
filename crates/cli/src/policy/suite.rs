//! `portcullis policy test`: a table of requests with the decisions that its author expects.

use std::fs;
use std::path::Path;

use portcullis_core::gate::Gate;
use portcullis_core::policy::Policy;
use portcullis_core::time::UnixTime;
use serde_json::json;

use super::decision::{AskedRequest, Decision, decide};
use super::explain::{self, time_or_now};
use super::findings::{Finding, position};
use super::node::{Member, Node, NodeValue};
use super::schema::nearest;
use super::source::read_text;
use super::{load, toml_tree};
use crate::arguments::PolicyTest;
use crate::output::{CommandOutput, Failure};
use crate::token::read_keys;

/// The members of a test.
const MEMBERS: [&str; 9] = [
    "name",
    "method",
    "url",
    "claims",
    "token_file",
    "headers",
    "at",
    "expect",
    "status",
];

/// The lifetime of a token whose claims have no `exp`, if the policy allows that.
const LIFETIME_SECS: u64 = 60;

/// One row of the table.
#[derive(Debug)]
struct Expectation {
    name: String,
    line: usize,
    request: AskedRequest,
    at: Option<u64>,
    decision: String,
    status: Option<u64>,
}

pub(super) fn run(arguments: &PolicyTest) -> Result<CommandOutput, Failure> {
    let gate = Gate::new(load(&arguments.policy, arguments.issuer.as_deref())?);
    let keys = arguments.keys.as_deref().map(read_keys).transpose()?;
    let now = time_or_now(arguments.at)?;
    let file = arguments.file.as_path();
    let text = read_text(file)?;
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let tests = parse(&text, folder, gate.policy(), now)
        .map_err(|finding| Failure::Setting(finding.line(file, &text)))?;
    for test in &tests {
        let at = test.at.map_or(now, UnixTime::from_secs);
        let decision = decide(&gate, &test.request, keys.as_ref(), at);
        if let Some(difference) = test.difference(&decision) {
            let AskedRequest { method, url, .. } = &test.request;
            let (line, name) = (test.line, &test.name);
            let text = format!(
                "{}:{line}: {name}: {method} {url}\n{difference}\n{}",
                file.display(),
                explain::text(&decision),
            );
            let json = json!({
                "passed": false, "name": name, "line": line,
                "expected": {"decision": test.decision, "status": test.status},
                "found": explain::json(&decision),
            });
            return Ok(CommandOutput::bad(text, json));
        }
    }
    let count = tests.len();
    let json = json!({"passed": true, "tests": count});
    Ok(CommandOutput::good(format!("{count} tests passed\n"), json))
}

impl Expectation {
    /// The expected and the found decision, if they differ.
    fn difference(&self, found: &Decision) -> Option<String> {
        let status = found.status().map(u64::from);
        let same_status = self.status.is_none_or(|expected| Some(expected) == status);
        if self.decision == found.word() && same_status {
            return None;
        }
        let shown =
            |status: Option<u64>| status.map_or_else(String::new, |status| format!(" {status}"));
        Some(format!(
            "- expected: {}{}\n+ found:    {}{}",
            self.decision,
            shown(self.status),
            found.word(),
            shown(status),
        ))
    }
}

fn parse(
    text: &str,
    folder: &Path,
    policy: &Policy,
    now: UnixTime,
) -> Result<Vec<Expectation>, Finding> {
    let root = toml_tree::parse(text)?;
    for member in root.members() {
        if member.name != "test" {
            return Err(unknown(member, "", &["test"]));
        }
    }
    let tests = root.get("test").map(Node::elements).unwrap_or_default();
    if tests.is_empty() {
        let message = "a table of requests needs at least one [[test]]".to_owned();
        return Err(Finding::error("missing_member", 0..0, message));
    }
    let test = |(at, node)| expectation(at, node, text, folder, policy, now);
    tests.iter().enumerate().map(test).collect()
}

fn unknown(member: &Member, place: &str, names: &[&str]) -> Finding {
    let near = nearest(&member.name, names.iter().copied());
    let finding = Finding::error(
        "unknown_member",
        member.span.clone(),
        format!("{place}{} is not known", member.name),
    );
    let known = || format!("known here: {}", names.join(", "));
    finding.with_advice(near.map_or_else(known, |near| format!("did you mean `{near}`?")))
}

fn expectation(
    index: usize,
    node: &Node,
    text: &str,
    folder: &Path,
    policy: &Policy,
    now: UnixTime,
) -> Result<Expectation, Finding> {
    let place = format!("test[{index}].");
    for member in node.members() {
        if !MEMBERS.contains(&member.name.as_str()) {
            return Err(unknown(member, &place, &MEMBERS));
        }
    }
    let wrong = |name: &str, wanted: &str| {
        let span = node.members().iter().find(|member| member.name == name);
        let span = span.map_or_else(|| node.span.clone(), |member| member.span.clone());
        Finding::error("wrong_type", span, format!("{place}{name} is not {wanted}"))
    };
    let required = |name: &str| {
        let text = node.get(name).and_then(Node::as_text);
        text.map(str::to_owned).ok_or_else(|| wrong(name, "a text"))
    };
    let whole = |name: &str| match node.get(name).map(|value| &value.value) {
        None => Ok(None),
        Some(NodeValue::Number(number)) => {
            let number = number.parse().map_err(|_| wrong(name, "a whole number"))?;
            Ok(Some(number))
        }
        Some(_) => Err(wrong(name, "a whole number")),
    };
    let at: Option<u64> = whole("at")?;
    let mut headers = Vec::new();
    for Member { name, value, .. } in node.get("headers").map(Node::members).unwrap_or_default() {
        let text = value
            .as_text()
            .ok_or_else(|| wrong("headers", "a table of texts"))?;
        headers.push((name.to_ascii_lowercase(), text.to_owned()));
    }
    let claims = match node.get("claims") {
        None => None,
        Some(value) if matches!(value.value, NodeValue::Object(_)) => {
            let at = at.map_or(now, UnixTime::from_secs);
            Some(completed(value, policy, at).to_json())
        }
        Some(_) => return Err(wrong("claims", "a table of claims")),
    };
    if node.get("token_file").is_some() {
        if claims.is_some() {
            return Err(wrong("token_file", "allowed beside claims"));
        }
        let name = required("token_file")?;
        let token = fs::read_to_string(folder.join(&name))
            .map_err(|error| wrong("token_file", &format!("a readable file: {error}")))?;
        headers.push((
            "authorization".to_owned(),
            format!("Bearer {}", token.trim()),
        ));
    }
    let url = required("url")?;
    let method = match node.get("method") {
        None => "GET".to_owned(),
        Some(_) => required("method")?,
    };
    Ok(Expectation {
        name: match node.get("name") {
            None => format!("test {}", index.saturating_add(1)),
            Some(_) => required("name")?,
        },
        line: position(text, node.span.start).0,
        request: AskedRequest {
            method,
            url,
            headers,
            claims,
        },
        at,
        decision: required("expect")?,
        status: whole("status")?,
    })
}

/// The claims of a test, with those that every token has: a test names only the ones that matter.
fn completed(claims: &Node, policy: &Policy, now: UnixTime) -> Node {
    let mut all = claims.clone();
    let issuer = claims.get("iss").and_then(Node::as_text);
    let trusted = match issuer {
        Some(issuer) => policy.issuer(issuer),
        None => policy.issuers.first(),
    };
    let mut add = |name: &str, value: NodeValue| {
        if claims.get(name).is_none() {
            all.set(name, Node::new(value));
        }
    };
    if let Some(trusted) = trusted {
        add("iss", NodeValue::Text(trusted.issuer.clone()));
        let audience = trusted.audience.first().cloned().unwrap_or_default();
        add("aud", NodeValue::Text(audience));
    }
    let lifetime = trusted.map_or(LIFETIME_SECS, |trusted| {
        trusted.max_lifetime.as_secs().min(LIFETIME_SECS)
    });
    let now = now.as_secs();
    for (name, text) in [("sub", "test"), ("jti", "test"), ("client_id", "test")] {
        add(name, NodeValue::Text(text.to_owned()));
    }
    add("iat", NodeValue::Number(now.to_string()));
    add(
        "exp",
        NodeValue::Number(now.saturating_add(lifetime).to_string()),
    );
    all
}
