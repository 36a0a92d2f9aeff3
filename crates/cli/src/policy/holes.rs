//! Routes that are valid and still do not do what they seem to: `docs/policy.md` has the rules.

use std::collections::BTreeSet;

use portcullis_core::path::CanonicalPath;
use portcullis_core::path::fold::{Folds, fold};
use portcullis_core::policy::Policy;

use super::findings::Finding;
use super::node::Node;

/// No request has the route: a twin of each of its paths refuses each of its methods.
pub(crate) const DEAD_ROUTE: &str = "dead-route";
/// A path is open for a method that changes something, and guarded for others.
pub(crate) const OPEN_METHOD: &str = "open-method";
/// Two spellings of one path differ in access.
pub(crate) const TWIN_ACCESS: &str = "twin-access";

/// The methods that may be open beside guarded ones: they only read (RFC 9110 §9.2.1), and `OPTIONS`
/// is a preflight.
const READING: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// The methods that stand for a route without a list.
const USUAL: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A segment that no pattern has.
const OTHER_SEGMENT: &str = "policy-check-any-segment";

/// A route as it stands in the text.
struct Written<'n> {
    at: usize,
    path: &'n str,
    is_open: bool,
    methods: Vec<&'n str>,
    exact: bool,
}

impl Written<'_> {
    fn place(&self, member: &str) -> String {
        format!("routes[{}].{member}", self.at)
    }

    /// The path of the pattern, and whether it is a subtree.
    fn pattern(&self) -> (&str, bool) {
        match self.path.strip_suffix("/*") {
            Some(path) => (path, true),
            None => (self.path, false),
        }
    }

    fn shown(&self) -> String {
        let access = if self.is_open { "open" } else { "token" };
        match self.methods.as_slice() {
            [] => format!("{} ({access})", self.path),
            methods => format!("{} {} ({access})", methods.join(" "), self.path),
        }
    }
}

/// The findings about a policy that the parser of the edge accepts; `root` is its text.
pub(crate) fn find(root: &Node, policy: &Policy) -> Vec<Finding> {
    let routes = written(root);
    let mut findings = open_methods(root, &routes);
    findings.extend(twins(root, &routes));
    findings.extend(dead_routes(root, &routes, policy));
    findings.sort_by_key(|finding| finding.span.start);
    findings
}

fn written(root: &Node) -> Vec<Written<'_>> {
    let routes = root.get("routes").map(Node::elements).unwrap_or_default();
    let of = |(at, route): (usize, &'_ Node)| -> Option<(usize, bool)> {
        let access = route.get("access")?.as_text()?;
        Some((at, access == "open"))
    };
    let mut found = Vec::new();
    for (at, route) in routes.iter().enumerate() {
        let path = route.get("path").and_then(Node::as_text);
        if let (Some(path), Some((at, is_open))) = (path, of((at, route))) {
            found.push(Written {
                at,
                path,
                is_open,
                methods: route.texts("methods"),
                exact: route.get("exact").is_some_and(Node::is_true),
            });
        }
    }
    found
}

/// SECURITY: a method never falls through to a broader path, so only the routes of one path can
/// differ. An origin with a method override (`_method=DELETE` in a form) makes a guarded method out
/// of an open `POST`.
fn open_methods(root: &Node, routes: &[Written<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for open in routes.iter().filter(|route| route.is_open) {
        let changing: Vec<_> = open
            .methods
            .iter()
            .copied()
            .filter(|method| !READING.contains(method))
            .collect();
        let guarded = routes
            .iter()
            .find(|other| !other.is_open && other.path == open.path);
        let (Some(guarded), false) = (guarded, changing.is_empty()) else {
            continue;
        };
        let message = format!(
            "routes[{}]: {} is open for {}, and {} needs a token for {}",
            open.at,
            open.path,
            changing.join(" and "),
            format_args!("routes[{}]", guarded.at),
            guarded.methods.join(" and "),
        );
        let span = root.locate(&open.place("methods"));
        findings.push(Finding::error(OPEN_METHOD, span, message).with_advice(format!(
            "only GET, HEAD and OPTIONS may be open beside guarded methods; if an origin without \
             method override needs this, say --accept {OPEN_METHOD}={}",
            open.path
        )));
    }
    findings
}

fn twins(root: &Node, routes: &[Written<'_>]) -> Vec<Finding> {
    let suffixes: Vec<String> = root
        .texts("format_suffixes")
        .into_iter()
        .map(str::to_owned)
        .collect();
    let form = |route: &Written<'_>| {
        let (path, is_subtree) = route.pattern();
        // Only the end of a path has a suffix.
        let suffixes: &[String] = if is_subtree { &[] } else { &suffixes };
        let folded = fold(path, Folds::of(path, suffixes), suffixes).into_owned();
        (folded, is_subtree)
    };
    let forms: Vec<_> = routes.iter().map(form).collect();
    let mut findings = Vec::new();
    for (at, (route, own)) in routes.iter().zip(&forms).enumerate() {
        let earlier = routes.iter().zip(&forms).take(at);
        for (other, form) in earlier {
            let differ = route.path != other.path && route.is_open != other.is_open;
            if own == form && differ && !route.exact && !other.exact {
                let message = format!(
                    "routes[{}] and routes[{}] are twins with different access: {} and {}",
                    other.at,
                    route.at,
                    other.shown(),
                    route.shown(),
                );
                let span = root.locate(&route.place("path"));
                findings.push(Finding::error(TWIN_ACCESS, span, message).with_advice(format!(
                    "the edge asks for the token at both spellings; write one spelling, or `exact` \
                     if the origin distinguishes them, or say --accept {TWIN_ACCESS}={}",
                    route.path
                )));
            }
        }
    }
    findings
}

/// The most specific pattern wins and a pattern cannot occur twice for one method, so no route hides
/// another of a different form. Only twins can refuse every request of a route.
fn dead_routes(root: &Node, routes: &[Written<'_>], policy: &Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    for route in routes {
        let (path, is_subtree) = route.pattern();
        let mut samples: Vec<String> = vec![if path.is_empty() { "/" } else { path }.to_owned()];
        if is_subtree {
            samples.push(format!("{path}/{OTHER_SEGMENT}"));
        }
        let methods: BTreeSet<&str> = if route.methods.is_empty() {
            USUAL.into()
        } else {
            route.methods.iter().copied().collect()
        };
        let is_found = |method: &str| {
            samples.iter().any(|sample| {
                let parsed = CanonicalPath::parse_target(sample);
                parsed.is_ok_and(|parsed| {
                    let found = policy.routes.matching(method, &parsed);
                    found.is_ok_and(|found| {
                        found
                            .iter()
                            .any(|one| one.pattern.to_string() == route.path)
                    })
                })
            })
        };
        let dead: Vec<_> = methods
            .iter()
            .copied()
            .filter(|method| !is_found(method))
            .collect();
        // A route without a list does not promise a method of its own.
        if dead.is_empty() || route.methods.is_empty() && dead.len() < methods.len() {
            continue;
        }
        let message = format!(
            "routes[{}]: no request matches {} with {}: another spelling of the path does not allow it",
            route.at,
            route.path,
            dead.join(" or "),
        );
        let span = root.locate(&route.place("path"));
        findings.push(Finding::error(DEAD_ROUTE, span, message).with_advice(
            "list the method at every spelling of the path, or write one spelling only",
        ));
    }
    findings
}

/// Keeps the findings without an exception such as `twin-access=/Admin/*`.
pub(crate) fn without_accepted(
    findings: Vec<Finding>,
    accepted: &[String],
) -> (Vec<Finding>, Vec<String>) {
    let mut unused: Vec<String> = accepted.to_vec();
    let mut kept = Vec::new();
    for finding in findings {
        let advice = finding.advice.as_deref().unwrap_or_default();
        let named = |one: &String| {
            let flag = format!("--accept {one}");
            advice.ends_with(&flag) && one.starts_with(finding.code)
        };
        match accepted.iter().find(|one| named(one)) {
            Some(used) => unused.retain(|one| one != used),
            None => kept.push(finding),
        }
    }
    (kept, unused)
}

#[cfg(test)]
mod tests {
    use super::super::source::{Form, Source};
    use super::*;

    fn codes(routes: &str) -> Vec<&'static str> {
        codes_with("", routes)
    }

    fn codes_with(more: &str, routes: &str) -> Vec<&'static str> {
        let text = format!(
            r#"{{{more} "issuers": [{{"issuer": "https://us", "audience": "a", "algorithms": "EdDSA",
                "keys": "document", "profile": "at+jwt"}}], "routes": [{routes}]}}"#
        );
        let source = Source::parse(&text, Form::Json).expect("JSON");
        let policy = Policy::parse(&text, None).expect("a policy");
        let found = find(&source.root, &policy);
        found.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_changing_method_is_not_open_beside_guarded_methods_of_the_path() {
        let pair = |open: &str, guarded: &str| {
            codes(&format!(
                r#"{{"path": "/a", "methods": {open}, "access": "open"}},
                   {{"path": "/a", "methods": {guarded}, "access": "token"}}"#
            ))
        };
        for open in [
            r#"["POST"]"#,
            r#"["GET", "POST"]"#,
            r#""PROPFIND""#,
            r#""DELETE""#,
        ] {
            assert_eq!(pair(open, r#"["PUT"]"#), [OPEN_METHOD], "{open}");
        }
        assert_eq!(
            pair(r#"["GET", "HEAD", "OPTIONS"]"#, r#"["POST", "DELETE"]"#),
            [""; 0]
        );
        assert_eq!(pair(r#"["HEAD", "OPTIONS"]"#, r#"["GET"]"#), [""; 0]);
    }

    #[test]
    fn a_broader_open_route_opens_no_method_of_a_guarded_path() {
        let broad = r#"{"path": "/*", "access": "open"}"#;
        let guarded = r#"{"path": "/a/*", "methods": ["POST"], "access": "token"}"#;
        assert_eq!(codes(&format!("{broad}, {guarded}")), [""; 0]);
        let open = r#"{"path": "/a", "access": "open"}, {"path": "/b", "access": "token"}"#;
        assert_eq!(codes(open), [""; 0]);
        // Both are open, and both are guarded.
        for access in ["open", "token"] {
            let route = |method| {
                format!(r#"{{"path": "/a", "methods": "{method}", "access": "{access}"}}"#)
            };
            assert_eq!(
                codes(&format!("{}, {}", route("GET"), route("POST"))),
                [""; 0]
            );
        }
    }

    #[test]
    fn twins_with_different_access_are_found_unless_one_is_exact() {
        let pair = |one: &str, two: &str, more: &str| {
            codes_with(
                r#""format_suffixes": [".json"],"#,
                &format!(
                    r#"{{"path": "{one}", "access": "open"{more}}}, {{"path": "{two}", "access": "token"}}"#
                ),
            )
        };
        for (one, two) in [
            ("/Admin/*", "/admin/*"),
            ("/admin", "/admin/"),
            ("/admin.", "/admin"),
            ("/admin%20/*", "/admin/*"),
            ("/%2561dmin", "/admin"),
            ("/users%3Aexport", "/users:export"),
            ("/v.json", "/v"),
        ] {
            assert_eq!(pair(one, two, ""), [TWIN_ACCESS], "{one} {two}");
            assert_eq!(pair(two, one, ""), [TWIN_ACCESS], "{two} {one}");
            assert_eq!(pair(one, two, r#", "exact": true"#), [""; 0], "{one} {two}");
        }
        for (one, two) in [
            ("/admin", "/admin/*"),
            ("/a/*", "/b/*"),
            ("/v.xml", "/v"),
            ("/v.json/*", "/v/*"),
        ] {
            assert_eq!(pair(one, two, ""), [""; 0], "{one} {two}");
        }
        let same = r#"{"path": "/A", "access": "token"}, {"path": "/a", "access": "token"}"#;
        assert_eq!(codes(same), [""; 0]);
    }

    #[test]
    fn a_route_is_dead_if_a_twin_does_not_allow_its_method() {
        let routes = |one: &str, two: &str| {
            codes(&format!(
                r#"{{"path": "/Pay", "methods": {one}, "access": "token"}},
                   {{"path": "/pay", "methods": {two}, "access": "token"}}"#
            ))
        };
        assert_eq!(
            routes(r#"["GET"]"#, r#"["POST"]"#),
            [DEAD_ROUTE, DEAD_ROUTE]
        );
        assert_eq!(routes(r#"["GET", "POST"]"#, r#"["POST"]"#), [DEAD_ROUTE]);
        assert_eq!(routes(r#"["GET", "POST"]"#, r#"["POST", "GET"]"#), [""; 0]);
        let subtrees = r#"{"path": "/Pay/*", "methods": "GET", "access": "token"},
                          {"path": "/pay/*", "methods": "PUT", "access": "token"}"#;
        assert_eq!(codes(subtrees), [DEAD_ROUTE, DEAD_ROUTE]);
        let exact = r#"{"path": "/Pay", "methods": "GET", "access": "token", "exact": true},
                       {"path": "/pay", "methods": "PUT", "access": "token", "exact": true}"#;
        assert_eq!(codes(exact), [""; 0]);
        let pair = |methods: &str| {
            codes(&format!(
                r#"{{"path": "/Pay", "access": "token"}},
                   {{"path": "/pay", "methods": {methods}, "access": "token"}}"#
            ))
        };
        assert_eq!(pair(r#"["POST"]"#), [""; 0]);
        assert_eq!(pair(r#"["M-SEARCH"]"#), [DEAD_ROUTE]);
        // Neither the most specific route nor the broadest is dead.
        let nested = r#"{"path": "/*", "access": "token"}, {"path": "/a/*", "access": "token"},
                        {"path": "/a", "access": "token"}, {"path": "/", "access": "open"}"#;
        assert_eq!(codes(nested), [""; 0]);
    }

    #[test]
    fn an_exception_names_one_rule_and_one_path() {
        let finding = |path: &str| {
            Finding::error(OPEN_METHOD, 0..0, String::new())
                .with_advice(format!("say --accept {OPEN_METHOD}={path}"))
        };
        let all = || vec![finding("/a"), finding("/b")];
        let accept = |one: &str| without_accepted(all(), &[one.to_owned()]);
        assert_eq!(accept("open-method=/a"), (vec![finding("/b")], vec![]));
        for other in [
            "open-method=/",
            "open-method=/A",
            "twin-access=/a",
            "/a",
            "",
        ] {
            assert_eq!(accept(other), (all(), vec![other.to_owned()]), "{other}");
        }
    }
}
