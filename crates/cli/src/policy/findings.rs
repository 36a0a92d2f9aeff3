//! Findings about a policy file: the errors of the edge's parser with their places, several at once.
//!
//! The parser of the edge stops at the first error and has no places. So each error is mapped to its
//! place, the element with the error is replaced by a valid one, and the parser runs again.

use core::ops::Range;
use std::path::Path;

use portcullis_core::policy::{Policy, PolicyError};
use serde_json::{Value, json};

use super::node::{Node, NodeValue};
use super::schema::{members_at, nearest};

/// The maximum number of errors that one check lists.
const MAX_FINDINGS: usize = 50;

/// A public key of RFC 8037 §A.2, which completes a replaced issuer.
pub(crate) const EXAMPLE_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// The issuer identifier while `--issuer` is missing.
const NO_ISSUER: &str = "https://issuer.invalid";

/// Whether a finding refuses the policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// One finding, with its place in the text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// A stable name of the rule.
    pub(crate) code: &'static str,
    /// The bytes of the text.
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) advice: Option<String>,
}

impl Finding {
    pub(crate) const fn error(code: &'static str, span: Range<usize>, message: String) -> Self {
        Self {
            severity: Severity::Error,
            code,
            span,
            message,
            advice: None,
        }
    }

    pub(crate) const fn syntax(span: Range<usize>, message: String) -> Self {
        Self::error("syntax", span, message)
    }

    #[must_use]
    pub(crate) fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// As compilers print it: file, line, column, message and advice.
    pub(crate) fn line(&self, file: &Path, text: &str) -> String {
        let (line, column) = position(text, self.span.start);
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let advice = self.advice.as_deref();
        let advice = advice
            .map(|advice| format!("\n  help: {advice}"))
            .unwrap_or_default();
        let (file, code, message) = (file.display(), self.code, &self.message);
        format!("{file}:{line}:{column}: {word}[{code}]: {message}{advice}")
    }

    pub(crate) fn json(&self, text: &str) -> Value {
        let (line, column) = position(text, self.span.start);
        json!({
            "error": self.is_error(), "code": self.code, "line": line, "column": column,
            "message": self.message, "advice": self.advice,
        })
    }
}

/// Line and column of the byte at `offset`, both from 1; a column counts characters.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut line = 1_usize;
    let mut column = 1_usize;
    for (at, letter) in text.char_indices() {
        if at >= offset {
            break;
        }
        if letter == '\n' {
            line = line.saturating_add(1);
            column = 1;
        } else {
            column = column.saturating_add(1);
        }
    }
    (line, column)
}

/// The byte at `line` and `column`, both from 1; a column counts bytes here, as `serde_json` does.
pub(crate) fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let before = text.split_inclusive('\n').take(line.saturating_sub(1));
    let start: usize = before.map(str::len).sum();
    let mut offset = start
        .saturating_add(column.saturating_sub(1))
        .min(text.len());
    while !text.is_char_boundary(offset) {
        offset = offset.saturating_sub(1);
    }
    offset
}

/// The judgement of the edge's parser.
#[derive(Debug)]
pub(crate) struct Judgement {
    /// The policy, if the parser accepts the file as it is.
    pub(crate) policy: Option<Policy>,
    /// The policy without the elements with errors, for further checks.
    pub(crate) repaired: Option<(Node, Policy)>,
    pub(crate) findings: Vec<Finding>,
}

/// Lets the parser of the edge judge `root`, until it finds no further error.
pub(crate) fn judge(root: &Node, issuer: Option<&str>) -> Judgement {
    let mut node = root.clone();
    let mut findings: Vec<Finding> = Vec::new();
    for _ in 0..MAX_FINDINGS {
        let error = match Policy::parse(&node.to_json(), issuer) {
            Ok(policy) => {
                return Judgement {
                    policy: findings.is_empty().then(|| policy.clone()),
                    repaired: Some((node, policy)),
                    findings,
                };
            }
            Err(error) => error,
        };
        let at = Blamed::of(&error, &node, issuer);
        let finding = at.finding(&error, root);
        if findings.contains(&finding) || !at.repair(&mut node) {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
            break;
        }
        findings.push(finding);
    }
    Judgement {
        policy: None,
        repaired: None,
        findings,
    }
}

/// The place of an error of the parser.
#[derive(Debug)]
struct Blamed {
    /// Such as `routes[3].path`.
    place: String,
    /// The part to replace before the next run.
    part: Part,
    advice: Option<String>,
}

#[derive(Debug)]
enum Part {
    Member(String),
    Issuer(usize),
    Route(usize),
    /// No issuer at all.
    Issuers,
    Routes,
    Whole,
}

impl Blamed {
    fn of(error: &PolicyError, root: &Node, issuer: Option<&str>) -> Self {
        match error {
            PolicyError::NotJson => Self::whole(),
            PolicyError::Malformed(place, "known") => {
                let (container, name) = place.rsplit_once('.').unwrap_or(("", place));
                let names = members_at(container);
                let near = nearest(name, names.iter().map(String::as_str));
                let known = || format!("known here: {}", names.join(", "));
                Self {
                    place: place.clone(),
                    part: Part::Member(place.clone()),
                    advice: Some(near.map_or_else(known, |near| format!("did you mean `{near}`?"))),
                }
            }
            PolicyError::Malformed(place, _) => Self {
                place: place.clone(),
                part: part_of(place),
                advice: None,
            },
            PolicyError::Issuers | PolicyError::TwoDocuments | PolicyError::NoOwnIssuer => {
                Self::issuer(error, root, issuer, "issuer")
            }
            PolicyError::Issuer(_) => Self::issuer(error, root, issuer, "algorithms"),
            PolicyError::Profile(_) => Self::issuer(error, root, issuer, "profile"),
            PolicyError::Keys(_, _) => Self::issuer(error, root, issuer, "keys"),
            PolicyError::SharedSecret(_) => Self::issuer(error, root, issuer, "algorithms"),
            PolicyError::Range(name @ ("leeway" | "max_lifetime")) => {
                Self::issuer(error, root, issuer, name)
            }
            PolicyError::Range(name @ ("revocations" | "keys")) => Self::top(name),
            PolicyError::Range("serve_stale") => Self::route(error, root, issuer, "serve_stale"),
            PolicyError::Range(_) => Self::cors(error, root, issuer, "max_age"),
            PolicyError::Headers | PolicyError::ClaimHeaders => Self::top("headers"),
            PolicyError::Resource(named) => Self::resource(named, error, root, issuer),
            PolicyError::Identity(_) => Self::route(error, root, issuer, "identity"),
            PolicyError::Cors => Self::cors(error, root, issuer, "origins"),
            PolicyError::Upgrade(_) => Self::route(error, root, issuer, "upgrade"),
            PolicyError::Route(_)
            | PolicyError::Unreachable(_)
            | PolicyError::RouteParameter(_) => Self::route(error, root, issuer, "path"),
            PolicyError::Requirement(_) => Self::route(error, root, issuer, "access"),
        }
    }

    const fn whole() -> Self {
        Self {
            place: String::new(),
            part: Part::Whole,
            advice: None,
        }
    }

    fn top(name: &str) -> Self {
        Self {
            place: name.to_owned(),
            part: Part::Member(name.to_owned()),
            advice: None,
        }
    }

    fn issuer(error: &PolicyError, root: &Node, issuer: Option<&str>, member: &str) -> Self {
        let missing = Self {
            place: "issuers".to_owned(),
            part: Part::Issuers,
            advice: None,
        };
        let Some(at) = first_failing(error, root, "issuers", issuer) else {
            return missing;
        };
        let advice = (*error == PolicyError::NoOwnIssuer)
            .then(|| "give the issuer of the host: --issuer URL".to_owned());
        Self {
            place: format!("issuers[{at}].{member}"),
            part: Part::Issuer(at),
            advice,
        }
    }

    fn route(error: &PolicyError, root: &Node, issuer: Option<&str>, member: &str) -> Self {
        let Some(at) = first_failing(error, root, "routes", issuer) else {
            return Self::whole();
        };
        let routes = root.get("routes").map(Node::elements).unwrap_or_default();
        let route = routes.get(at);
        let text = |name| route.and_then(|route| route.get(name)?.as_text());
        let mut member = member;
        let mut advice = None;
        if matches!(error, PolicyError::Requirement(_)) {
            (member, advice) = match (text("access"), text("revocation")) {
                (Some("open"), Some(_)) => (
                    "revocation",
                    Some("remove it, or set access to \"token\"".to_owned()),
                ),
                (Some("token"), Some(mode)) if mode != "feed" && mode != "lookup" => {
                    ("revocation", quoted(nearest(mode, ["feed", "lookup"])))
                }
                (Some("open"), _) => (
                    "scopes",
                    Some("set access to \"token\", or remove the scopes".to_owned()),
                ),
                (Some("token"), _) => ("scopes", None),
                (given, _) => (
                    "access",
                    quoted(given.and_then(|given| nearest(given, ["open", "token"]))),
                ),
            };
        }
        if matches!(error, PolicyError::Route(_)) {
            let same = |other: &&Node| {
                let path = other.get("path").and_then(Node::as_text);
                path.is_some() && path == text("path")
            };
            let earlier = routes.get(..at).unwrap_or_default();
            let first = earlier.iter().position(|other| same(&other));
            advice =
                first.map(|first| format!("routes[{first}] has the same path and a method of it"));
        }
        Self {
            place: format!("routes[{at}].{member}"),
            part: Part::Route(at),
            advice,
        }
    }

    fn resource(named: &str, error: &PolicyError, root: &Node, issuer: Option<&str>) -> Self {
        let top = root.get("resource").and_then(Node::as_text);
        if top == Some(named) {
            return Self::top("resource");
        }
        Self::route(error, root, issuer, "resource")
    }

    fn cors(error: &PolicyError, root: &Node, issuer: Option<&str>, member: &str) -> Self {
        match first_failing(error, root, "routes", issuer) {
            Some(at) => Self {
                place: format!("routes[{at}].cors.{member}"),
                part: Part::Route(at),
                advice: None,
            },
            None => Self {
                place: format!("cors.{member}"),
                part: Part::Member("cors".to_owned()),
                advice: None,
            },
        }
    }

    fn finding(&self, error: &PolicyError, root: &Node) -> Finding {
        let code = if let PolicyError::Malformed(_, wanted) = error {
            match *wanted {
                "known" => "unknown_member",
                "there" => "missing_member",
                _ => "wrong_type",
            }
        } else if *error == PolicyError::NotJson {
            "syntax"
        } else {
            "invalid"
        };
        let shown = error.to_string();
        let message = if self.place.is_empty() || shown.contains(self.place.as_str()) {
            shown
        } else {
            format!("{}: {shown}", self.place)
        };
        Finding {
            advice: self.advice.clone(),
            ..Finding::error(code, root.locate(&self.place), message)
        }
    }

    /// Replaces the part by a valid one; `false` if that is impossible.
    fn repair(&self, node: &mut Node) -> bool {
        match &self.part {
            Part::Member(place) => node.remove(place),
            Part::Issuer(at) => {
                let issuers = node.elements_mut("issuers");
                let issuer = issuers.and_then(|issuers| issuers.get_mut(*at));
                issuer
                    .map(|issuer| *issuer = issuer_placeholder(*at))
                    .is_some()
            }
            Part::Route(at) => {
                let routes = node.elements_mut("routes");
                let route = routes.and_then(|routes| routes.get_mut(*at));
                let path = placeholder_path(*at);
                let valid = Node::of_texts(&[("path", &path), ("access", "token")]);
                route.map(|route| *route = valid).is_some()
            }
            Part::Issuers => {
                let issuers = vec![issuer_placeholder(0)];
                node.set("issuers", Node::new(NodeValue::Array(issuers)));
                !node.members().is_empty()
            }
            Part::Routes => {
                node.set("routes", Node::new(NodeValue::Array(Vec::new())));
                !node.members().is_empty()
            }
            Part::Whole => false,
        }
    }
}

fn quoted(name: Option<&str>) -> Option<String> {
    name.map(|name| format!("did you mean \"{name}\"?"))
}

/// The part of the policy around `place`.
fn part_of(place: &str) -> Part {
    let element = |list: &str| {
        let rest = place.strip_prefix(list)?.strip_prefix('[')?;
        rest.split(']').next()?.parse::<usize>().ok()
    };
    if let Some(at) = element("routes") {
        return Part::Route(at);
    }
    if let Some(at) = element("issuers") {
        return Part::Issuer(at);
    }
    match place.split('.').next().unwrap_or_default() {
        "" => Part::Whole,
        "issuers" => Part::Issuers,
        "routes" => Part::Routes,
        name => Part::Member(name.to_owned()),
    }
}

/// A path that no other route has.
fn placeholder_path(at: usize) -> String {
    format!("/policy-check-replaced-{at}")
}

fn issuer_placeholder(at: usize) -> Node {
    let key = Node::of_texts(&[
        ("kty", "OKP"),
        ("crv", "Ed25519"),
        ("kid", "replaced"),
        ("x", EXAMPLE_KEY),
    ]);
    let mut set = Node::of_texts(&[]);
    set.set("keys", Node::new(NodeValue::Array(vec![key])));
    let name = format!("{NO_ISSUER}/{at}");
    let mut issuer = Node::of_texts(&[
        ("issuer", &name),
        ("audience", "replaced"),
        ("algorithms", "EdDSA"),
        ("profile", "at+jwt"),
    ]);
    issuer.set("keys", set);
    issuer
}

/// The index of the first element of `list` with `error`. The parser reads elements in order, so a
/// policy with the elements up to that one has the same error, and one with fewer has not.
fn first_failing(
    error: &PolicyError,
    root: &Node,
    list: &str,
    issuer: Option<&str>,
) -> Option<usize> {
    let elements = root.get(list)?.elements();
    let fails = |count: usize| {
        let mut cut = root.clone();
        let first = elements.get(..count).unwrap_or_default();
        cut.set(list, Node::new(NodeValue::Array(first.to_vec())));
        Policy::parse(&cut.to_json(), issuer).err().as_ref() == Some(error)
    };
    // No element causes an error that is there without any: an empty list of issuers is one itself.
    if elements.is_empty() || list == "routes" && fails(0) {
        return None;
    }
    let counts: Vec<usize> = (1..=elements.len()).collect();
    let at = counts.partition_point(|count| !fails(*count));
    (at < elements.len()).then_some(at)
}
