//! Policies in JSON: defaults, and every rule that makes one invalid.

use super::*;
use crate::path::CanonicalPath;
use crate::route::{Access, AnyOf, RevocationMode};

const DEMO: &str = r#"{
    "issuers": [{"issuer": "$PORTCULLIS_ISSUER", "audience": "https://api.example",
                 "algorithms": ["EdDSA"], "keys": "document", "profile": "at+jwt"}],
    "routes": [{"path": "/public/*", "access": "open"},
               {"path": "/admin/*", "access": "token", "scopes": ["admin"]},
               {"path": "/*", "access": "token"}]
}"#;

fn parse(json: &str) -> Result<Policy, PolicyError> {
    Policy::parse(json, Some("https://us"))
}

#[test]
fn the_demo_policy_parses_with_its_defaults() {
    let policy = parse(DEMO).expect("the demo policy");
    let us = policy.issuer("https://us").expect("our own");
    assert_eq!(
        (us.leeway, us.max_lifetime, us.max_age),
        (Duration::ZERO, Duration::from_secs(600), None)
    );
    assert_eq!(policy.revocation_reach(), Duration::from_secs(600));
    let secs = |s: Staleness| (s.poll.as_secs(), s.soft.as_secs(), s.hard.as_secs());
    assert_eq!(secs(policy.revocations), (5, 10, 30));
    let admin = CanonicalPath::parse("/admin/x").expect("canonical");
    assert_eq!(
        policy.routes.find("GET", &admin).expect("covered").scopes,
        ["admin"]
    );
    assert!(policy.headers.strip_token && policy.document_issuer().is_some());
    assert_eq!(
        Policy::parse(DEMO, None).err(),
        Some(PolicyError::NoOwnIssuer)
    );
}

#[test]
fn a_route_sets_its_revocation_check_or_defaults_to_the_feed() {
    let mode = |members: &str| {
        let admin = r#""path": "/admin/*", "access": "token", "scopes": ["admin"]"#;
        let policy = parse(&DEMO.replace(admin, &format!(r#""path": "/a", {members}"#)))?;
        let path = CanonicalPath::parse("/a").expect("canonical");
        Ok(policy
            .routes
            .find("GET", &path)
            .expect("covered")
            .revocation)
    };
    let wrong = Err(PolicyError::Requirement("/a".to_owned()));
    for (members, expected) in [
        (r#""access": "token""#, Ok(RevocationMode::Feed)),
        (r#""access": "open""#, Ok(RevocationMode::Feed)),
        (
            r#""access": "token", "revocation": "feed""#,
            Ok(RevocationMode::Feed),
        ),
        (
            r#""access": "token", "revocation": "lookup""#,
            Ok(RevocationMode::Lookup),
        ),
        (
            r#""access": "token", "revocation": "Lookup""#,
            wrong.clone(),
        ),
        (r#""access": "token", "revocation": """#, wrong.clone()),
        (r#""access": "open", "revocation": "feed""#, wrong.clone()),
        (r#""access": "open", "revocation": "lookup""#, wrong),
    ] {
        assert_eq!(mode(members), expected, "{members}");
    }
}

#[test]
fn alternatives_of_scopes_and_roles_are_valid_on_a_guarded_route_only() {
    let with = |members: &str| {
        let admin = r#""path": "/admin/*", "access": "token", "scopes": ["admin"]"#;
        let policy = parse(&DEMO.replace(admin, &format!(r#""path": "/a", {members}"#)))?;
        let path = CanonicalPath::parse("/a").expect("canonical");
        let found = policy.routes.find("GET", &path).expect("covered");
        Ok(found.any_of.clone())
    };
    let list = |names: &[&str]| names.iter().map(|one| (*one).to_owned()).collect();
    assert_eq!(with(r#""access": "token""#), Ok(vec![]));
    assert_eq!(
        with(r#""access": "token", "scopes_any": ["a", "b"], "roles": "chief editor""#),
        Ok(vec![
            AnyOf::Scopes(list(&["a", "b"])),
            AnyOf::Roles(list(&["chief editor"]))
        ])
    );
    let longest = "\u{e4}".repeat(128);
    for role in ["a", "a,b", "%", longest.as_str()] {
        let accepted = with(&format!(r#""access": "token", "roles": ["{role}"]"#));
        assert_eq!(accepted, Ok(vec![AnyOf::Roles(list(&[role]))]), "{role}");
    }
    let long = format!("{longest}a");
    for role in ["", "a\\n", "\\u0000", "\\u007f", "\\u0085", long.as_str()] {
        assert!(
            with(&format!(r#""access": "token", "roles": ["a", "{role}"]"#)).is_err(),
            "{role}"
        );
    }
    for members in [
        r#""roles": []"#,
        r#""roles": [1]"#,
        r#""roles": {}"#,
        r#""roles": null"#,
        r#""scopes_any": []"#,
        r#""scopes_any": ["a b"]"#,
        r#""scopes_any": [""]"#,
        r#""scopes_any": [["a"]]"#,
    ] {
        let rejected = with(&format!(r#""access": "token", {members}"#));
        assert!(rejected.is_err(), "{members}");
    }
    for members in [r#""roles": ["a"]"#, r#""scopes_any": ["a"]"#] {
        assert_eq!(
            with(&format!(r#""access": "open", {members}"#)).err(),
            Some(PolicyError::Requirement("/a".to_owned()))
        );
    }
}

#[test]
fn a_route_with_parameters_is_rejected_with_advice() {
    for path in [
        "/users/:id",
        "/users/{id}",
        "/users/{id}/*",
        "/users/<id>",
        "/users/[id]",
        "/users/(a|b)",
        "/files/{path:.*}",
        "/users/[0-9]+",
        "/users/x[a-z]",
        "/users/u[^x]",
        "/users/u[]",
        "/users/u[0",
        "/users/x+",
        "/users/x+/*",
        "/users$",
        "/users$/a",
        "/a?",
        "/^a",
    ] {
        let denied = parse(&DEMO.replacen("/public/*", path, 1)).err();
        let error = PolicyError::RouteParameter(path.to_owned());
        assert!(error.to_string().contains("/users/*"));
        assert_eq!(denied, Some(error), "{path}");
    }
    for path in [
        "/items[0]:x@y",
        "/a:b",
        "/Users(1)",
        "/~a",
        "/c++",
        "/$a",
        "/a+b",
    ] {
        assert!(
            parse(&DEMO.replacen("/public/*", path, 1)).is_ok(),
            "{path}"
        );
    }
}

#[test]
fn a_route_that_no_request_can_reach_is_rejected() {
    let with = |path: &str, members: &str| {
        let route = format!(r#""path": "{path}"{members}"#);
        parse(&DEMO.replacen(r#""path": "/public/*""#, &route, 1)).map(drop)
    };
    let keys = "/.well-known/portcullis-assertion-keys";
    for path in [
        "/a%252Fb",
        "/a%252fb/*",
        "/%252e%252e",
        "/a%2500",
        keys,
        "/.well-known/Portcullis-assertion-keys/",
    ] {
        let unreachable = Err(PolicyError::Unreachable(path.to_owned()));
        assert_eq!(with(path, ""), unreachable, "{path}");
    }
    for (path, members) in [
        ("/a%252Fb", r#", "exact": true"#),
        ("/a%252Fb", r#", "encoded_slash": true"#),
        ("/%252e%252e", r#", "exact": true"#),
        ("/.well-known/portcullis-assertion-keys/*", ""),
        ("/c/*", r#", "methods": ["GET"]"#),
    ] {
        assert_eq!(with(path, members), Ok(()), "{path} {members}");
    }
    let exact = Err(PolicyError::Unreachable(keys.to_owned()));
    assert_eq!(with(keys, r#", "exact": true"#), exact);
}

#[test]
fn fixed_keys_of_which_none_fits_an_algorithm_of_the_issuer_are_rejected() {
    let keys = |algorithms: &str, keys: &str| {
        let own = r#""algorithms": ["EdDSA"], "keys": "document""#;
        let fixed = format!(r#""algorithms": {algorithms}, "keys": {{"keys": [{keys}]}}"#);
        parse(&DEMO.replacen(own, &fixed, 1)).map(drop)
    };
    let okp = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}"#;
    let ec = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"b"}"#;
    let unfit = Err(PolicyError::Keys(
        "https://us".to_owned(),
        JwkError::WrongAlgorithm,
    ));
    assert_eq!(keys(r#""EdDSA""#, okp), Ok(()));
    assert_eq!(keys(r#""EdDSA""#, ec), unfit);
    assert_eq!(
        keys(r#"["RS256", "ES384"]"#, &format!("{okp}, {ec}")),
        unfit
    );
    assert_eq!(
        keys(r#"["RS256", "ES256"]"#, &format!("{okp}, {ec}")),
        Ok(())
    );
}

#[test]
fn a_resource_is_an_audience_and_has_metadata_at_a_reserved_path() {
    let with = |top: &str, admin: &str, public: &str| {
        let json = DEMO
            .replace(
                r#""https://api.example""#,
                r#"["https://api.example", "https://api.example/mcp"]"#,
            )
            .replacen(r#""routes""#, &format!(r#"{top} "routes""#), 1)
            .replacen(
                r#""scopes": ["admin"]"#,
                &format!(r#""scopes": ["admin"] {admin}"#),
                1,
            )
            .replacen(
                r#""access": "open""#,
                &format!(r#""access": "open" {public}"#),
                1,
            );
        parse(&json)
    };
    let own = r#", "resource": "https://api.example/mcp""#;
    let policy = with(r#""resource": "https://api.example","#, own, "").expect("a policy");
    let needs = |path: &str, audience: &[&str]| {
        let path = CanonicalPath::parse(path).expect("canonical");
        let found = policy.routes.find("GET", &path).expect("covered");
        let audience: Vec<_> = audience.iter().map(|name| (*name).to_owned()).collect();
        let resource = found.resource.clone();
        resource.is_none_or(|resource| resource.is_in(&audience))
    };
    let (api, mcp) = ("https://api.example", "https://api.example/mcp");
    assert!(needs("/x", &[api]) && !needs("/x", &[mcp]));
    assert!(needs("/admin/x", &[mcp]) && !needs("/admin/x", &[api]));
    assert!(needs("/public/x", &[]));
    // A twin needs both audiences.
    assert!(needs("/ADMIN/x", &[api, mcp]));
    assert!(!needs("/ADMIN/x", &[api]) && !needs("/ADMIN/x", &[mcp]));
    let well_known = "/.well-known/oauth-protected-resource";
    for (path, part) in [
        (
            well_known.to_owned(),
            r#""resource":"https://api.example","#,
        ),
        (
            format!("{well_known}/mcp"),
            r#""scopes_supported":["admin"]"#,
        ),
    ] {
        let document = policy.published_at(&path).expect("published");
        assert!(document.contains(part), "{document}");
        assert!(document.contains(r#""authorization_servers":["https://us"]"#));
        for spelled in [path.clone(), path.to_uppercase(), format!("{path}/")] {
            let spelled = CanonicalPath::parse(&spelled).expect("canonical");
            let denied = policy
                .routes
                .find("GET", &spelled)
                .map_err(|(denial, _)| denial);
            assert_eq!(denied.err(), Some(crate::denial::Denial::UnknownRoute));
        }
    }
    assert!(
        policy
            .published_at(&format!("{well_known}/other"))
            .is_none()
    );
    for (top, admin, public, blamed) in [
        (
            r#""resource": "https://other.example","#,
            "",
            "",
            "https://other.example",
        ),
        (
            r#""resource": "http://api.example","#,
            "",
            "",
            "http://api.example",
        ),
        (
            "",
            r#", "resource": "https://api.example/""#,
            "",
            "https://api.example/",
        ),
        ("", "", own, "https://api.example/mcp"),
    ] {
        let error = Some(PolicyError::Resource(blamed.to_owned()));
        assert_eq!(
            with(top, admin, public).err(),
            error,
            "{top}{admin}{public}"
        );
    }
    assert!(with("", r#", "resource": 7"#, "").is_err());
    let without = with(
        r#""resource": "https://api.example","#,
        r#", "resource": false"#,
        "",
    );
    assert_eq!(without.expect("a policy").published.len(), 1);
}

#[test]
fn a_route_lists_its_methods_and_a_path_may_have_a_route_for_each() {
    let twice = |one: &str, two: &str| {
        let route = |members| format!(r#"{{"path": "/a", "access": "token"{members}}}"#);
        let both = format!(r#""routes": [{}, {}, "#, route(one), route(two));
        parse(&DEMO.replacen(r#""routes": ["#, &both, 1)).map(drop)
    };
    let get = r#", "methods": ["GET"]"#;
    assert_eq!(twice(get, r#", "methods": ["POST", "M-SEARCH"]"#), Ok(()));
    let taken = Err(PolicyError::Route("/a".to_owned()));
    assert_eq!(twice(get, r#", "methods": ["POST", "GET"]"#), taken);
    assert_eq!(twice(get, ""), taken);
    assert_eq!(twice("", get), taken);
    let place = "routes[0].methods".to_owned();
    let wrong = Err(PolicyError::Malformed(
        place,
        "methods in upper case, without TRACE and CONNECT",
    ));
    for bad in [
        "[]",
        r#"["get"]"#,
        r#"[""]"#,
        r#"["A B"]"#,
        r#"["TRACE"]"#,
        r#"["GET", "CONNECT"]"#,
    ] {
        assert_eq!(
            twice(&format!(r#", "methods": {bad}"#), get),
            wrong,
            "{bad}"
        );
    }
}

#[test]
fn format_suffixes_and_the_switches_of_a_route_parse() {
    let with = |member: &str| {
        parse(&DEMO.replacen(r#""routes""#, &format!(r#"{member}, "routes""#), 1)).map(drop)
    };
    assert_eq!(with(r#""format_suffixes": [".json", ".7z"]"#), Ok(()));
    for bad in ["json", ".", "", ".JSON", ".tar.gz", "./"] {
        let place = "format_suffixes".to_owned();
        let error = PolicyError::Malformed(place, "suffixes such as .json");
        assert_eq!(with(&format!(r#""format_suffixes": "{bad}""#)), Err(error));
    }
    let switches = r#""access": "open", "exact": true, "encoded_slash": true"#;
    let policy = parse(&DEMO.replacen(r#""access": "open""#, switches, 1)).expect("a policy");
    let set = policy
        .routes
        .iter()
        .filter(|one| one.exact && one.encoded_slash);
    assert_eq!(set.count(), 1);
    let wrong = r#""access": "open", "exact": "yes""#;
    assert!(parse(&DEMO.replacen(r#""access": "open""#, wrong, 1)).is_err());
}

#[test]
fn cors_rules_parse_with_their_defaults_or_are_rejected() {
    let cors = |members: &str| {
        let json = DEMO.replacen(
            r#""routes""#,
            &format!(r#""cors": {{{members}}}, "routes""#),
            1,
        );
        let policy = parse(&json)?;
        let path = CanonicalPath::parse("/public/a").expect("canonical");
        let found = policy.routes.find("GET", &path).expect("covered");
        Ok(found.cors.clone().expect("the rules of the policy"))
    };
    let rules = cors(r#""origins": ["https://a.example", "http://localhost:3000"]"#);
    let rules = rules.expect("rules");
    assert!(rules.lists("https://a.example") && rules.lists("http://localhost:3000"));
    assert!(!rules.lists("https://b.example"));
    assert!(rules.methods.is_empty());
    assert_eq!(rules.headers, ["authorization", "content-type"]);
    assert_eq!(rules.max_age, Duration::from_secs(600));
    let shown = rules.response_headers(Some("https://a.example"));
    let credentials = ("access-control-allow-credentials", "true".to_owned());
    assert!(!shown.contains(&credentials));
    let rules = cors(
        r#""origins": "https://a.example", "methods": ["GET"], "headers": "x-b", "expose": "x-a",
           "credentials": true, "max_age": 86400"#,
    )
    .expect("rules");
    let shown = rules.response_headers(Some("https://a.example"));
    assert!(shown.contains(&credentials));
    assert!(rules.headers == ["x-b"] && rules.exposed.contains(&"x-a".to_owned()));
    assert!(cors(r#""origins": "*""#).is_ok());
    for bad in [
        r#""max_age": 5"#,
        r#""origins": []"#,
        r#""origins": "*", "credentials": true"#,
        r#""origins": ["*", "https://a.example"]"#,
        r#""origins": "null""#,
        r#""origins": "http://a.example""#,
        r#""origins": "https://a.example/""#,
        r#""origins": "https://*.example""#,
    ] {
        assert_eq!(cors(bad).err(), Some(PolicyError::Cors), "{bad}");
    }
    for bad in [
        r#""origins": "https://a.example", "methods": ["get"]"#,
        r#""origins": "https://a.example", "max_age": 86401"#,
        r#""origins": "https://a.example", "headers": "*""#,
        r#""origins": "https://a.example", "headers": "a b""#,
        r#""origins": "https://a.example", "headers": []"#,
        r#""origins": "https://a.example", "expose": "*""#,
        r#""origins": "https://a.example", "unknown": 1"#,
    ] {
        assert!(cors(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_route_has_its_own_cors_rules_or_none() {
    let route = |members: &str| {
        let access = r#""access": "open""#;
        let json = DEMO.replacen(access, &format!("{access}, {members}"), 1);
        let json = json.replacen(
            r#""routes""#,
            r#""cors": {"origins": "https://a.example"}, "routes""#,
            1,
        );
        let policy = parse(&json)?;
        let path = CanonicalPath::parse("/public/a").expect("canonical");
        let found = policy.routes.find("GET", &path).expect("covered");
        Ok::<_, PolicyError>(found.cors.clone())
    };
    assert_eq!(route(r#""cors": false"#), Ok(None));
    let own = route(r#""cors": {"origins": "https://b.example"}"#);
    assert!(own.is_ok_and(|own| own.is_some_and(|own| own.lists("https://b.example"))));
    assert!(route(r#""cors": true"#).is_err());
    assert!(route(r#""cors": "*""#).is_err());
}

#[test]
fn a_route_with_upgrade_is_checked_by_the_feed() {
    let route = |members: &str| {
        let access = r#""access": "open""#;
        parse(&DEMO.replacen(access, members, 1)).map(drop)
    };
    assert_eq!(route(r#""access": "open", "upgrade": true"#), Ok(()));
    assert_eq!(route(r#""access": "token", "upgrade": true"#), Ok(()));
    let lookup = r#""access": "token", "revocation": "lookup", "upgrade": true"#;
    let denied = Err(PolicyError::Upgrade("/public/*".to_owned()));
    assert_eq!(route(lookup), denied);
    assert!(route(r#""access": "token", "upgrade": "websocket""#).is_err());
}

#[test]
fn headers_of_claims_parse_or_are_rejected() {
    let claims = |claims: &str| {
        let member = format!(r#""headers": {{"claims": {claims}}}, "routes""#);
        parse(&DEMO.replacen(r#""routes""#, &member, 1)).map(|policy| policy.headers)
    };
    let rules = claims(r#"{"x-auth-plan": "plan", "x-auth-roles": "roles"}"#);
    assert_ne!(rules, Ok(HeaderRules::default()));
    assert_eq!(claims("{}"), Ok(HeaderRules::default()));
    for bad in [
        r#"{"X-Auth-Plan": "plan"}"#,
        r#"{"x-plan": "plan"}"#,
        r#"{"x-auth-subject": "plan"}"#,
        r#"{"x-auth-roles": "groups"}"#,
        r#"{"x-auth-plan": "sub"}"#,
        r#"{"x-auth-plan": "iss"}"#,
    ] {
        assert_eq!(claims(bad), Err(PolicyError::ClaimHeaders), "{bad}");
    }
    let place = "headers.claims.x-auth-plan".to_owned();
    assert_eq!(
        claims(r#"{"x-auth-plan": 1}"#),
        Err(PolicyError::Malformed(place, "a text"))
    );
    assert!(claims(r#"["plan"]"#).is_err());
    let spoofable = r#"{"claims": {"x-auth-plan": "plan"}, "pass": "x-auth-plan"}"#;
    let member = format!(r#""headers": {spoofable}, "routes""#);
    let parsed = parse(&DEMO.replacen(r#""routes""#, &member, 1)).map(drop);
    assert_eq!(parsed, Err(PolicyError::ClaimHeaders));
}

#[test]
fn an_open_route_may_forward_the_identity_of_a_token_if_present() {
    let access = |members: &str| {
        let json = DEMO.replacen(r#""access": "open""#, members, 1);
        let policy = parse(&json)?;
        let path = CanonicalPath::parse("/public/a").expect("canonical");
        let found = policy.routes.find("GET", &path).expect("covered");
        Ok(found.access)
    };
    let rejected = Err(PolicyError::Identity("/public/*".to_owned()));
    for (members, expected) in [
        (r#""access": "open""#, Ok(Access::Open)),
        (
            r#""access": "open", "identity": "if_present""#,
            Ok(Access::Optional),
        ),
        (
            r#""access": "open", "identity": "required""#,
            rejected.clone(),
        ),
        (r#""access": "open", "identity": "none""#, rejected.clone()),
        (r#""access": "token", "identity": "if_present""#, rejected),
    ] {
        assert_eq!(access(members), expected, "{members}");
    }
    let optional = r#""access": "open", "identity": "if_present""#;
    for more in [
        r#""scopes": ["a"]"#,
        r#""scopes_any": ["a"]"#,
        r#""roles": ["a"]"#,
        r#""revocation": "feed""#,
        r#""revocation": "lookup""#,
    ] {
        let denied = access(&format!("{optional}, {more}"));
        let wrong = PolicyError::Requirement("/public/*".to_owned());
        assert_eq!(denied, Err(wrong), "{more}");
    }
    assert!(access(r#""access": "open", "identity": true"#).is_err());
}

#[test]
fn the_rules_for_headers_parse_or_are_rejected() {
    let headers = |member: &str| {
        let json = DEMO.replacen(r#""routes""#, &format!(r#"{member}, "routes""#), 1);
        Ok(parse(&json)?.headers)
    };
    let rules = headers(
        r#""strip_token": false, "headers": {"identity_prefix": "x-me-", "pass": "X-Me-Too",
           "drop": ["X-Tenant"], "forwarded": true, "open_authorization": true}"#,
    )
    .expect("rules");
    assert_eq!(rules.identity_prefix(), "x-me-");
    assert!(!rules.drops("x-me-too") && rules.drops("x_tenant"));
    assert!(rules.forwarded && rules.open_authorization && !rules.strip_token);
    assert_eq!(headers(r#""headers": {}"#), Ok(HeaderRules::default()));
    for bad in [
        r#"{"identity_prefix": "x-auth"}"#,
        r#"{"pass": "x-auth-subject"}"#,
        r#"{"pass": ["x-forwarded-for"]}"#,
        r#"{"drop": ["x y"]}"#,
    ] {
        let parsed = headers(&format!(r#""headers": {bad}"#));
        assert_eq!(parsed, Err(PolicyError::Headers), "{bad}");
    }
    for bad in [r#"{"prefix": "x-"}"#, r#"{"forwarded": 1}"#, "true"] {
        assert!(headers(&format!(r#""headers": {bad}"#)).is_err(), "{bad}");
    }
}

#[test]
fn a_shared_secret_algorithm_without_its_key_is_rejected() {
    let key = "A".repeat(43);
    let hs = DEMO.replace("EdDSA", "HS256").replace(
        r#""document""#,
        &format!(r#"{{"keys":[{{"kty":"oct","kid":"k","k":"{key}"}}]}}"#),
    );
    assert!(parse(&hs).is_ok());
    let us = || "https://us".to_owned();
    let refused = |json: &str| parse(json).err();
    assert_eq!(
        refused(&DEMO.replace("EdDSA", "HS256")),
        Some(PolicyError::SharedSecret(us()))
    );
    let both = hs.replace(r#"["HS256"]"#, r#"["HS256","RS256"]"#);
    assert_eq!(refused(&both), Some(PolicyError::SharedSecret(us())));
    let short = hs.replace(&key, &"A".repeat(42));
    assert_eq!(
        refused(&short),
        Some(PolicyError::Keys(us(), JwkError::Malformed))
    );
}

#[test]
fn an_invalid_policy_is_rejected_with_the_place_of_the_error() {
    for (from, to) in [
        (r#""algorithms": ["EdDSA"]"#, r#""algorithms": []"#),
        (r#"["EdDSA"]"#, r#"["none"]"#),
        (r#""https://api.example""#, r#"[]"#),
        (r#""https://api.example""#, "\"\""),
        (r#""https://api.example""#, r#"["https://api.example", ""]"#),
        (r#""$PORTCULLIS_ISSUER""#, "\"\""),
        (r#""at+jwt""#, r#""lenient""#),
        (r#""profile""#, r#""leeway": 61, "profile""#),
        (r#""profile""#, r#""max_lifetime": 0, "profile""#),
        (r#""profile""#, r#""unknown": 1, "profile""#),
        (r#""/public/*""#, r#""/public*""#),
        (r#""/admin/*""#, r#""/*""#),
        (r#""access": "open""#, r#""access": "opne""#),
        (
            r#""access": "open""#,
            r#""access": "open", "scopes": ["a"]"#,
        ),
        (r#"["admin"]"#, r#"["ad min"]"#),
        (
            r#""routes""#,
            r#""revocations": {"poll": 5, "soft": 40, "hard": 30}, "routes""#,
        ),
        (r#""routes""#, r#""issuers": [], "routes""#),
        (r#""issuers""#, r#""issuer""#),
    ] {
        let bent = DEMO.replacen(from, to, 1);
        assert_ne!(bent, DEMO, "{from}");
        assert!(parse(&bent).is_err(), "{to}");
    }
    assert_eq!(
        parse(r#"{"issuers":[],"routes":[]}"#).err(),
        Some(PolicyError::Issuers)
    );
    let reported = |json: &str| parse(json).expect_err("bent").to_string();
    assert_eq!(
        reported(&DEMO.replace(r#""access": "open""#, r#""axess": "open""#)),
        "routes[0].access is not there"
    );
    assert_eq!(
        reported(&DEMO.replace(r#""profile""#, r#""leeway": "1", "profile""#)),
        "issuers[0].leeway is not whole seconds"
    );
    assert_eq!(
        reported(&DEMO.replace(r#""access": "open""#, r#""access": "open", "more": 1"#)),
        "routes[0].more is not known"
    );
}
