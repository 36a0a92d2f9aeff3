//! Twins: spellings of a path that an origin may serve with the handler of another route.

use core::time::Duration;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// One route of a test: its pattern and the members that differ from the usual ones.
fn route(pattern: &str) -> Route {
    let requirement = Requirement {
        // A scope of its own, so that a test sees which routes were reached.
        scopes: vec![pattern.to_owned()],
        ..Requirement::new(Access::Token)
    };
    let parsed = RoutePattern::parse(pattern).expect("a pattern");
    Route::new(parsed, requirement)
}

fn open(pattern: &str) -> Route {
    let mut route = route(pattern);
    route.requirement.access = Access::Open;
    route.requirement.scopes.clear();
    route
}

fn methods(pattern: &str, methods: &[&str]) -> Route {
    let mut route = route(pattern);
    route.requirement.methods = methods.iter().map(|one| (*one).to_owned()).collect();
    route
}

fn routes(all: impl IntoIterator<Item = Route>, suffixes: &[&str]) -> Routes {
    let suffixes = suffixes.iter().map(|one| (*one).to_owned()).collect();
    let mut routes = Routes::with_format_suffixes(suffixes);
    for route in all {
        assert!(routes.insert(route));
    }
    routes
}

/// The routes that must allow a request, by their scopes; none for an open route.
fn reached(routes: &Routes, method: &str, path: &str) -> Result<Vec<String>, Denial> {
    let path = CanonicalPath::parse_target(path)?;
    let found = routes.find(method, &path).map_err(|(denial, _)| denial)?;
    assert_eq!(found.access == Access::Open, found.scopes.is_empty());
    let mut scopes = found.scopes.clone();
    scopes.sort_unstable();
    Ok(scopes)
}

fn get(routes: &Routes, path: &str) -> Vec<String> {
    reached(routes, "GET", path).expect("allowed")
}

#[test]
fn a_twin_of_a_guarded_path_needs_its_scope_too() {
    let routes = routes([route("/admin/*"), route("/pay"), route("/*")], &[".json"]);
    for twin in [
        "/ADMIN/x",
        "/Admin",
        "/admin./x",
        "/admin%20/x",
        "/admin%C2%A0",
        "/%2561dmin/x",
        "/%2541dmin",
        "/ADM%C4%B0N/x",
        "/adm%C4%B1n/x",
        "/admin.json",
        "/ADMIN.JSON/",
        "/%20/admin",
        "/.../admin/x",
    ] {
        assert_eq!(get(&routes, twin), ["/*", "/admin/*"], "{twin}");
    }
    for twin in [
        "/pay/",
        "/PAY",
        "/pay.",
        "/pay%20",
        "/pay.json",
        "/Pay.%20/",
        "/p%2541y%2520",
    ] {
        assert_eq!(get(&routes, twin), ["/*", "/pay"], "{twin}");
    }
    for (own, route) in [
        ("/admin/x", "/admin/*"),
        ("/admin/", "/admin/*"),
        ("/admin/Logo.png", "/admin/*"),
        ("/pay", "/pay"),
        ("/payment", "/*"),
        ("/pay/x", "/*"),
        ("/Payment.%20", "/*"),
    ] {
        assert_eq!(get(&routes, own), [route], "{own}");
    }
}

#[test]
fn an_escaped_reserved_character_is_a_twin_of_the_plain_one() {
    let guarded = [
        "/public/users:export",
        "/public/@admin/*",
        "/public/a+b",
        "/public/f(1)",
    ];
    let all = guarded
        .map(route)
        .into_iter()
        .chain([open("/public/*"), route("/*")]);
    let routes = routes(all, &[]);
    for (twin, guard) in [
        ("/public/users%3Aexport", "/public/users:export"),
        ("/public/users%3aexport", "/public/users:export"),
        ("/public/users%253Aexport", "/public/users:export"),
        ("/public/USERS%3Aexport/", "/public/users:export"),
        ("/public/%40admin/x", "/public/@admin/*"),
        ("/public/a%2Bb", "/public/a+b"),
        ("/public/f%281%29", "/public/f(1)"),
        ("/public/f%281)", "/public/f(1)"),
    ] {
        assert_eq!(get(&routes, twin), [guard], "{twin}");
    }
    for open in [
        "/public/users%3Fexport",
        "/public/a%2Bc",
        "/public/100%25",
        "/public/%C3%A9:",
    ] {
        assert_eq!(get(&routes, open), [""; 0], "{open}");
    }
    // Also where the policy has the escaped form.
    let routes = self::routes([route("/x%3Ay"), route("/*")], &[]);
    assert_eq!(get(&routes, "/x:y"), ["/*", "/x%3Ay"]);
}

#[test]
fn a_pattern_that_a_fold_changes_itself_has_twins_with_one_more_of_it() {
    for (pattern, twin) in [
        ("/v.json", "/v.json.json"),
        ("/V.json", "/v.JSON.json"),
        ("/v.json", "/v.json%20.json"),
        ("/v.json", "/v%252Ejson.json"),
        ("/t%2525", "/t%252525"),
        ("/T%2525", "/t%252525/"),
        ("/a%2541/*", "/a%252541/x"),
    ] {
        let routes = routes([open("/*"), route(pattern)], &[".json"]);
        assert_eq!(get(&routes, twin), [pattern], "{twin}");
    }
}

#[test]
fn no_route_gets_the_reserved_path_of_the_assertion_keys_or_a_twin_of_it() {
    let routes = routes([open("/*"), open("/.well-known/*")], &[".json"]);
    for twin in [
        "/.well-known/portcullis-assertion-keys",
        "/.well-known/portcullis%2Dassertion%2dkeys",
        "/.well-known/Portcullis-Assertion-Keys",
        "/.well-known/portcullis-assertion-keys/",
        "/.well-known/portcullis-assertion-keys.json",
        "/.well-known/portcullis-assertion-keys%20",
        "/.well-known/portcullis-assertion-%256Beys",
        "/.WELL-KNOWN/portcullis-a%C5%BFsertion-keys.",
    ] {
        let unknown = Err(Denial::UnknownRoute);
        assert_eq!(reached(&routes, "GET", twin), unknown, "{twin}");
    }
    for other in [
        "/.well-known/portcullis-assertion-keys/x",
        "/.well-known/portcullis-assertion-keys-x",
        "/portcullis-assertion-keys",
    ] {
        assert!(reached(&routes, "GET", other).is_ok(), "{other}");
    }
}

#[test]
fn a_partly_folded_twin_counts_as_well() {
    let routes = routes([route("/admin/*"), open("/admin/health"), route("/*")], &[]);
    // An origin that ignores case and keeps the slash runs the handler of `/admin/*`.
    assert_eq!(get(&routes, "/ADMIN/health/"), ["/*", "/admin/*"]);
    assert_eq!(get(&routes, "/admin/HEALTH"), ["/admin/*"]);
    assert_eq!(get(&routes, "/admin/health"), [""; 0]);
}

#[test]
fn an_open_subtree_stays_open_for_names_in_upper_case() {
    let routes = routes([open("/public/*"), route("/*")], &[]);
    for path in [
        "/public/Logo.PNG",
        "/public/",
        "/public/a%20b%20",
        "/public/100%25",
    ] {
        assert_eq!(get(&routes, path), [""; 0], "{path}");
    }
    assert_eq!(get(&routes, "/PUBLIC/x"), ["/*"]);
}

#[test]
fn a_pattern_in_upper_case_or_with_a_slash_has_twins_too() {
    let routes = routes([route("/Pay"), route("/list/"), route("/*")], &[]);
    for (path, expected) in [
        ("/pay", &["/*", "/Pay"][..]),
        ("/Pay", &["/Pay"]),
        ("/list", &["/*", "/list/"]),
        ("/list/", &["/list/"]),
        ("/LIST", &["/*", "/list/"]),
        ("/other", &["/*"]),
    ] {
        assert_eq!(get(&routes, path), expected, "{path}");
    }
}

#[test]
fn two_routes_with_the_same_folded_path_must_both_allow_a_twin() {
    let routes = routes([route("/Pay"), open("/pay")], &[]);
    for path in ["/pay", "/Pay"] {
        assert_eq!(get(&routes, path), ["/Pay"], "{path}");
    }
    assert_eq!(reached(&routes, "GET", "/PAY"), Err(Denial::UnknownRoute));
}

#[test]
fn an_exact_route_has_no_twins() {
    let exact = |pattern| {
        let mut route = route(pattern);
        route.exact = true;
        route
    };
    let both = routes([exact("/Users/*"), exact("/users/*"), route("/*")], &[]);
    assert_eq!(get(&both, "/Users/X"), ["/Users/*"]);
    assert_eq!(get(&both, "/users/x."), ["/users/*"]);
    // The route of the request decides: `/*` is not exact.
    assert_eq!(get(&both, "/USERS/x"), ["/*", "/Users/*", "/users/*"]);
    assert_eq!(get(&both, "/Users/%252e%252e"), ["/Users/*"]);
}

#[test]
fn an_encoded_slash_needs_a_route_that_allows_it_and_the_decoded_route_too() {
    let mut npm = route("/npm/*");
    npm.encoded_slash = true;
    let routes = routes([npm, route("/npm/private/*"), route("/*")], &[]);
    assert_eq!(get(&routes, "/npm/@scope%2Fname"), ["/npm/*"]);
    assert_eq!(
        get(&routes, "/npm/private%2Fx"),
        ["/npm/*", "/npm/private/*"]
    );
    assert_eq!(
        get(&routes, "/npm/private%252Fx"),
        ["/npm/*", "/npm/private/*"]
    );
    for path in [
        "/npm/a%2F..%2F..%2Fadmin",
        "/npm/%2F",
        "/npm/a%2F%2Fb",
        "/other%2Fx",
        "/npm%2Fx",
        "/npm/a%2F",
        "/npm/a%252F..%252Fb",
    ] {
        assert_eq!(
            reached(&routes, "GET", path),
            Err(Denial::BadPath),
            "{path}"
        );
    }
}

#[test]
fn a_method_never_falls_through_to_a_broader_path() {
    let routes = routes(
        [
            methods("/pay", &["GET"]),
            methods("/items/*", &["GET", "POST"]),
            methods("/items/*", &["DELETE"]),
            route("/*"),
        ],
        &[],
    );
    assert_eq!(get(&routes, "/pay"), ["/pay"]);
    for (method, path) in [
        ("POST", "/pay"),
        ("PUT", "/items/1"),
        ("get", "/pay"),
        ("POST", "/PAY"),
        ("POST", "/pay/"),
    ] {
        assert_eq!(
            reached(&routes, method, path),
            Err(Denial::MethodNotAllowed),
            "{method} {path}"
        );
    }
    let path = CanonicalPath::parse("/items/1").expect("canonical");
    let (denial, requirement) = routes.find("PUT", &path).expect_err("not listed");
    assert_eq!(denial, Denial::MethodNotAllowed);
    let mut allowed = requirement.expect("the methods").methods.clone();
    allowed.sort_unstable();
    assert_eq!(allowed, ["DELETE", "GET", "HEAD", "POST"]);
}

#[test]
fn a_head_request_needs_the_requirement_of_get() {
    let mut head = methods("/a", &["HEAD"]);
    head.requirement.scopes = vec!["head".to_owned()];
    let routes = routes(
        [
            methods("/a", &["GET"]),
            head,
            methods("/b", &["GET"]),
            methods("/c", &["HEAD"]),
        ],
        &[],
    );
    assert_eq!(
        reached(&routes, "HEAD", "/a").expect("allowed"),
        ["/a", "head"]
    );
    assert_eq!(reached(&routes, "GET", "/a").expect("allowed"), ["/a"]);
    assert_eq!(reached(&routes, "HEAD", "/b").expect("allowed"), ["/b"]);
    assert_eq!(reached(&routes, "GET", "/c"), Err(Denial::MethodNotAllowed));
}

#[test]
fn the_strictest_requirement_of_all_twins_counts() {
    let stale = |pattern, bound: Option<u64>, revocation| {
        let mut route = route(pattern);
        route.requirement.serve_stale = bound.map(Duration::from_secs);
        route.requirement.revocation = revocation;
        route
    };
    let feed = RevocationMode::Feed;
    let found = |one: Option<u64>, two: Option<u64>, revocation| {
        let routes = routes([stale("/a", one, revocation), stale("/*", two, feed)], &[]);
        let path = CanonicalPath::parse("/A").expect("canonical");
        let found = routes.find("GET", &path).expect("covered").into_owned();
        (
            found.serve_stale.map(|bound| bound.as_secs()),
            found.revocation,
        )
    };
    assert_eq!(found(Some(60), Some(90), feed), (Some(60), feed));
    assert_eq!(found(Some(90), Some(60), feed), (Some(60), feed));
    assert_eq!(found(None, Some(60), feed), (None, feed));
    assert_eq!(found(Some(60), None, feed), (None, feed));
    let lookup = RevocationMode::Lookup;
    assert_eq!(found(Some(60), Some(90), lookup), (Some(60), lookup));
    // An open route adds nothing.
    let open = routes([open("/a"), stale("/*", Some(90), lookup)], &[]);
    let path = CanonicalPath::parse("/A").expect("canonical");
    let found = open.find("GET", &path).expect("covered");
    assert_eq!(
        (found.serve_stale, found.revocation),
        (Some(Duration::from_secs(90)), lookup)
    );
}

/// An origin that ignores some differences between paths: a model apart from `path::fold`.
#[derive(Clone, Copy, Debug)]
struct Origin {
    ignores_case: bool,
    ignores_slash: bool,
    trims: bool,
    decodes_twice: bool,
    decodes_slashes: bool,
    serves_json: bool,
    /// Whether its patterns are decoded once and have no format suffix to remove.
    has_literal_patterns: bool,
}

impl Origin {
    /// The segments of a pattern that its router compares.
    fn pattern_segments(mut self, path: &str, is_subtree: bool) -> Vec<String> {
        if self.has_literal_patterns {
            self.decodes_twice = false;
            self.serves_json = false;
        }
        self.segments(path, is_subtree)
    }

    /// The segments of a path that its router compares.
    fn segments(self, path: &str, is_subtree: bool) -> Vec<String> {
        let decode =
            |text: &str| percent_decoded(text, if self.decodes_slashes { "" } else { "/" });
        let mut text = decode(path);
        if self.decodes_twice {
            text = decode(&text);
        }
        let mut segments: Vec<String> = text.split('/').skip(1).map(str::to_owned).collect();
        if self.ignores_slash && segments.len() > 1 && segments.last().is_some_and(String::is_empty)
        {
            segments.pop();
        }
        if self.serves_json && !is_subtree {
            let trims = self.trims;
            if let Some(last) = segments.last_mut() {
                let end = if trims {
                    last.trim_end_matches(['.', ' '])
                } else {
                    last.as_str()
                };
                let lower = end.to_ascii_lowercase();
                if let Some(short) = lower.strip_suffix(".json") {
                    *last = end.get(..short.len()).expect("ASCII").to_owned();
                }
            }
        }
        if self.trims {
            let trim = |one: &String| one.trim_end_matches(['.', ' ']).to_owned();
            segments = segments.iter().map(trim).collect();
        }
        if self.ignores_case {
            let lower = |one: &String| {
                one.replace('\u{17f}', "s")
                    .replace('\u{212a}', "k")
                    .to_ascii_lowercase()
            };
            segments = segments.iter().map(lower).collect();
        }
        segments
    }

    /// The patterns that its router prefers for `path`.
    fn serves<'p>(self, patterns: &[&'p str], path: &str) -> Vec<&'p str> {
        let asked = self.segments(path, false);
        let rank = |pattern: &str| {
            let (text, subtree) = pattern
                .strip_suffix("/*")
                .map_or((pattern, false), |text| (text, true));
            let own = if text.is_empty() {
                vec![]
            } else {
                self.pattern_segments(text, subtree)
            };
            let covers = if subtree {
                asked.starts_with(&own)
            } else {
                asked == own
            };
            covers.then_some((!subtree, own.len()))
        };
        let best = patterns.iter().filter_map(|pattern| rank(pattern)).max();
        let is_best = |pattern: &&&str| best.is_some() && rank(pattern) == best;
        patterns.iter().filter(is_best).copied().collect()
    }
}

/// Decodes all escapes but those of the characters in `kept`.
fn percent_decoded(text: &str, kept: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend(before.bytes());
        let byte = after
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if !kept.contains(char::from(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend(rest.bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

const PATTERNS: [&str; 14] = [
    "/*",
    "/pay",
    "/Pay",
    "/pay/",
    "/pay/*",
    "/pay.json",
    "/desk/*",
    "/DESK",
    "/desk/pay",
    "/desk/pay/*",
    "/desk./*",
    "/desk/Pay.",
    "/pay/desk",
    "/%2570ay",
];

/// Patterns without a twin of their own, so that a path in folded form has only its own route.
const FOLDED_PATTERNS: [&str; 7] = [
    "/*",
    "/pay",
    "/pay/*",
    "/desk/*",
    "/desk/pay",
    "/desk/pay/*",
    "/pay/desk",
];

/// Spellings of a segment; the first one is folded.
const SEGMENTS: [[&str; 10]; 2] = [
    [
        "pay",
        "PAY",
        "pAy",
        "pay.",
        "pay%20",
        "pay.json",
        "p%2561y",
        "pay.JSON",
        "pay.json.json",
        "%252570ay",
    ],
    [
        "desk",
        "Desk",
        "DESK",
        "desk..",
        "des%E2%84%AA",
        "de%C5%BFk",
        "desk%2520",
        "des%256B",
        "Desk.%20",
        "%2564esk",
    ],
];

fn any_origin() -> impl Strategy<Value = Origin> {
    any::<[bool; 7]>().prop_map(
        |[
            ignores_case,
            ignores_slash,
            trims,
            decodes_twice,
            decodes_slashes,
            serves_json,
            has_literal_patterns,
        ]| Origin {
            ignores_case,
            ignores_slash,
            trims,
            decodes_twice,
            decodes_slashes,
            serves_json,
            has_literal_patterns,
        },
    )
}

fn any_patterns() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(PATTERNS.to_vec(), 1..=PATTERNS.len())
}

/// A path in folded form and a twin of it.
fn any_twins() -> impl Strategy<Value = (String, String)> {
    let segment = (0_usize..2, any::<Index>());
    let segments = proptest::collection::vec((segment, select(vec!["/", "%2F"])), 1..4);
    (segments, any::<bool>()).prop_map(|(segments, slash)| {
        let (mut path, mut twin) = (String::new(), String::new());
        for (at, ((kind, spelling), separator)) in segments.iter().enumerate() {
            let spellings = SEGMENTS.get(*kind).expect("a kind");
            path.push('/');
            path.push_str(spellings.first().expect("the folded form"));
            twin.push_str(if at == 0 { "/" } else { separator });
            // A suffix is ignored only at the end.
            let spelled = *spelling.get(spellings);
            let last = at.saturating_add(1) == segments.len();
            let has_suffix = spelled.to_ascii_lowercase().ends_with(".json");
            twin.push_str(if has_suffix && !last { "pay" } else { spelled });
        }
        if slash {
            twin.push('/');
        }
        (path, twin)
    })
}

fn all(patterns: &[&str]) -> Routes {
    let encoded = |pattern: &&str| {
        let mut route = route(pattern);
        route.encoded_slash = true;
        route
    };
    routes(patterns.iter().map(encoded), &[".json"])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_origin_serves_a_route_that_did_not_allow_the_request(
        patterns in any_patterns(),
        (_, path) in any_twins(),
        origin in any_origin(),
    ) {
        if let Ok(reached) = reached(&all(&patterns), "GET", &path) {
            for served in origin.serves(&patterns, &path) {
                prop_assert!(
                    reached.iter().any(|scope| scope == served),
                    "{path} is served by {served} and needs only {reached:?}"
                );
            }
        }
    }

    #[test]
    fn no_twin_of_a_path_is_allowed_when_the_path_is_denied(
        patterns in proptest::sample::subsequence(FOLDED_PATTERNS.to_vec(), 1..=FOLDED_PATTERNS.len()),
        (path, twin) in any_twins(),
    ) {
        // These are twins of a twin.
        prop_assume!(!twin.contains("%2525") && !twin.contains(".json.json"));
        let routes = all(&patterns);
        if let Ok(of_twin) = reached(&routes, "GET", &twin) {
            // All routes that the path needs, the twin needs too.
            let own = reached(&routes, "GET", &path).unwrap_or_default();
            for scope in own {
                prop_assert!(of_twin.contains(&scope), "{twin} needs only {of_twin:?}");
            }
        }
    }

    #[test]
    fn any_target_and_method_are_routed_or_rejected(
        patterns in any_patterns(),
        path in "/([a-zA-Z./]|%25|%2[0fF]|%[0-9a-fA-F]{2}){0,24}",
        method in "[A-Za-z]{0,5}",
    ) {
        let _ = reached(&all(&patterns), &method, &path);
    }
}

#[test]
fn cross_site_tracing_no_route_allows_a_method_that_reflects_the_headers() {
    let routes = routes([open("/open/*"), methods("/a", &["GET"])], &[]);
    for method in ["TRACE", "trace", "TRACK", "CONNECT"] {
        for path in ["/open/x", "/a", "/open/X/"] {
            let path = CanonicalPath::parse(path).expect("a path");
            let (denial, requirement) = routes.find(method, &path).expect_err(method);
            assert_eq!(denial, Denial::MethodNotAllowed, "{method}");
            assert!(!requirement.expect("its route").methods.is_empty());
        }
    }
    for method in ["GET", "PROPFIND", "TRACEX"] {
        let path = CanonicalPath::parse("/open/x").expect("a path");
        assert!(routes.find(method, &path).is_ok(), "{method}");
    }
}
