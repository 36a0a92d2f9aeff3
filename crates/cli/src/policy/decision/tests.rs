use portcullis_core::policy::Policy;

use super::*;

const NOON: UnixTime = UnixTime::from_secs(1_700_000_000);

const POLICY: &str = r#"{
    "issuers": [{"issuer": "https://us", "audience": "api", "algorithms": ["ES256"],
                 "keys": "document", "profile": "at+jwt"}],
    "cors": {"origins": "https://app.example"},
    "routes": [{"path": "/open/*", "access": "open"},
               {"path": "/Admin/*", "access": "token", "scopes": ["admin"]},
               {"path": "/pay", "methods": ["POST"], "access": "token", "revocation": "lookup"},
               {"path": "/chat", "access": "token", "upgrade": true},
               {"path": "/*", "access": "token"}]
}"#;

fn asked(method: &str, url: &str) -> AskedRequest {
    AskedRequest {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        claims: None,
    }
}

fn with_claims(method: &str, url: &str, more: &str) -> AskedRequest {
    let claims = format!(
        r#"{{"iss": "https://us", "aud": "api", "sub": "u", "jti": "j", "client_id": "c",
            "iat": 1700000000, "exp": 1700000060{more}}}"#
    );
    AskedRequest {
        claims: Some(claims),
        ..asked(method, url)
    }
}

fn decided(request: &AskedRequest) -> Decision {
    let gate = Gate::new(Policy::parse(POLICY, None).expect("a policy"));
    decide(&gate, request, None, NOON)
}

fn word(request: &AskedRequest) -> (&'static str, Option<u16>) {
    let decision = decided(request);
    (decision.word(), decision.status())
}

#[test]
fn a_decision_is_that_of_the_edge() {
    let admin = r#", "scope": "admin""#;
    for (request, expected) in [
        (asked("GET", "/open/a"), ("allow", None)),
        (asked("GET", "/OPEN/a"), ("missing_token", Some(401))),
        (asked("GET", "/a/../b"), ("bad_path", Some(400))),
        (asked("GET", "/a%2Fb"), ("bad_path", Some(400))),
        (asked("GET", "/pay"), ("method_not_allowed", Some(405))),
        (asked("TRACE", "/open/a"), ("method_not_allowed", Some(405))),
        (
            asked("GET", "https://x.example"),
            ("missing_token", Some(401)),
        ),
        (
            asked("GET", "https://x.example/open?a=/b#c"),
            ("allow", None),
        ),
        (asked("GET", KEYS_PATH), ("unknown_route", Some(404))),
        (with_claims("GET", "/a", ""), ("allow", None)),
        (with_claims("POST", "/pay", ""), ("allow", None)),
        (
            with_claims("GET", "/Admin/a", ""),
            ("insufficient_scope", Some(403)),
        ),
        (
            with_claims("GET", "/admin/a", ""),
            ("insufficient_scope", Some(403)),
        ),
        (with_claims("GET", "/admin/a", admin), ("allow", None)),
        (
            with_claims("GET", "/a", r#", "nbf": 1700000100"#),
            ("not_yet_valid", Some(401)),
        ),
    ] {
        assert_eq!(word(&request), expected, "{request:?}");
    }
    let altered = |from: &str, to: &str| {
        let mut request = with_claims("GET", "/a", "");
        request.claims = request.claims.map(|claims| claims.replacen(from, to, 1));
        word(&request).0
    };
    assert_eq!(altered("1700000060", "1700000000"), "expired");
    assert_eq!(altered("1700000060", "1700000601"), "lifetime_too_long");
    assert_eq!(altered("1700000060", "1700000600"), "allow");
    assert_eq!(altered("https://us", "https://them"), "unknown_issuer");
    assert_eq!(altered(r#""api""#, r#""other""#), "wrong_audience");
    assert_eq!(altered(r#""sub": "u", "#, ""), "missing_sub");
}

#[test]
fn the_decision_lists_the_routes_of_the_path_and_of_its_twins() {
    let patterns = |url: &str| {
        let decision = decided(&asked("GET", url));
        let routes = decision.routes.iter();
        routes
            .map(|route| route.pattern.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(patterns("/open/a"), ["/open/*"]);
    assert_eq!(patterns("/ADMIN/a"), ["/*", "/Admin/*"]);
    assert_eq!(patterns("/pay"), [""; 0]);
}

#[test]
fn an_unsigned_token_is_refused_once_a_key_is_given() {
    let claims = with_claims("GET", "/a", "").claims.expect("claims");
    let mut request = asked("GET", "/a");
    let token = format!("Bearer {}", assumed_token(&claims));
    request.headers.push(("authorization".to_owned(), token));
    // The policy lists ES256 alone.
    let decision = decided(&request);
    assert_eq!(decision.word(), "algorithm_not_allowed");
    let gate = Gate::new(Policy::parse(&POLICY.replace("ES256", "EdDSA"), None).expect("a policy"));
    let decision = decide(&gate, &request, None, NOON);
    assert_eq!(
        (decision.word(), decision.token),
        ("allow", TokenStep::SignatureNotChecked)
    );
    let set = format!(
        r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"{ASSUMED_KEY}","x":"{EXAMPLE_KEY}"}}]}}"#
    );
    let keys = Keys::Set(JwkSet::parse(set.as_bytes()).expect("keys"));
    let decision = decide(&gate, &request, Some(&keys), NOON);
    assert_eq!(decision.word(), "bad_signature");
    assert_eq!(decision.token, TokenStep::Refused(Denial::BadSignature));
}

#[test]
fn a_forwarded_request_has_the_identity_and_none_of_the_client_s_own_claims_about_it() {
    let mut request = with_claims("GET", "https://x.example/a", r#", "sid": "s""#);
    for (name, value) in [
        ("x-auth-subject", "root"),
        ("x_auth_subject", "root"),
        ("x-portcullis-edge-secret", "guess"),
        ("accept", "text/html"),
        ("cookie", "__Host-portcullis-refresh=secret; a=b"),
    ] {
        request.headers.push((name.to_owned(), value.to_owned()));
    }
    let Outcome::Forwarded { headers, dropped } = decided(&request).outcome else {
        panic!("forwarded");
    };
    let of = |name: &str| -> Vec<&str> {
        let own = headers.iter().filter(|(own, _)| own == name);
        own.map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(of("x-auth-subject"), ["u"]);
    assert_eq!(of("x-auth-session"), ["s"]);
    assert_eq!(of("x-forwarded-host"), ["x.example"]);
    assert_eq!(of("accept"), ["text/html"]);
    assert_eq!(of("cookie"), ["a=b"]);
    assert_eq!(of("authorization"), [""; 0]);
    for name in [
        "x-auth-subject",
        "x_auth_subject",
        "x-portcullis-edge-secret",
        "authorization",
    ] {
        assert!(dropped.contains(&name.to_owned()), "{name}");
    }
}

#[test]
fn a_preflight_and_a_websocket_are_decided_as_at_the_edge() {
    let mut preflight = asked("OPTIONS", "/pay");
    for (name, value) in [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
    ] {
        preflight.headers.push((name.to_owned(), value.to_owned()));
    }
    assert_eq!(word(&preflight), ("allow", Some(204)));
    preflight.headers.pop();
    assert_eq!(word(&preflight), ("method_not_allowed", Some(405)));
    let upgrade = |url: &str, origin: &str| {
        let mut request = with_claims("GET", url, "");
        for (name, value) in [
            ("upgrade", "websocket"),
            ("sec-websocket-key", "k"),
            ("origin", origin),
        ] {
            request.headers.push((name.to_owned(), value.to_owned()));
        }
        word(&request).0
    };
    assert_eq!(upgrade("/chat", "https://app.example"), "allow");
    assert_eq!(upgrade("/chat", "https://evil.example"), "foreign_origin");
    assert_eq!(upgrade("/a", "https://app.example"), "upgrade_not_allowed");
}
