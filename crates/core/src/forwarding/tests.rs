use proptest::prelude::*;

use super::*;

/// The variable that a CGI origin reads, with every separator as `_`.
fn cgi_variable(name: &str) -> String {
    let unified = |char: char| {
        if char.is_ascii_alphanumeric() {
            char.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(unified).collect();
    format!("HTTP_{name}")
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn header_smuggling_of_an_identity_header_fails_in_every_spelling() {
    let rules = HeaderRules::default();
    for name in [
        "x-auth-subject",
        "X-Auth-Subject",
        "x_auth_subject",
        "X-AUTH_Issuer",
        "x!auth!subject",
        "x.auth.scope",
        "x-auth~session",
        "x|auth'subject",
        "x_request-id",
        "x.request.id",
        // The prefix is reserved.
        "x-auth-roles",
        "x.auth.token",
        "x-auth-",
    ] {
        assert!(rules.drops(name), "{name}");
    }
    for name in [
        "x-auth",
        "xauth-subject",
        "x--auth-subject",
        "x-authority",
        "authorization",
        "cookie",
        "",
    ] {
        assert!(!rules.drops(name), "{name}");
    }
}

#[test]
fn spoofed_forwarding_headers_are_dropped_in_every_spelling() {
    let rules = HeaderRules::default();
    for name in [
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Prefix",
        "X-Forwarded-Server",
        "X-Forwarded-Port",
        "X-Forwarded-Scheme",
        "X-Forwarded-User",
        "Forwarded",
        "X-Original-URL",
        "X-Original-Host",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X-Host",
        "X-Real-IP",
        "True-Client-IP",
        "Proxy",
        "X-Middleware-Subrequest",
    ] {
        for spelled in [
            name.to_owned(),
            name.replace('-', "_"),
            name.replace('-', "."),
            name.replace('-', "!").to_lowercase(),
        ] {
            assert!(rules.drops(&spelled), "{spelled}");
        }
    }
    for name in ["host", "x-hostname", "x-client-version", "x-http", "via"] {
        assert!(!rules.drops(name), "{name}");
    }
}

#[test]
fn request_smuggling_by_a_respelled_framing_or_platform_header_fails() {
    let rules = HeaderRules::default();
    for name in [
        "cf-connecting-ip",
        "cf-ray",
        "Content-Length",
        "transfer-encoding",
    ] {
        assert!(!rules.drops(name), "{name}");
        assert!(rules.drops(&name.replace('-', "_")), "{name}");
        assert!(rules.drops(&name.replace('-', ".")), "{name}");
    }
}

#[test]
fn spoofing_of_the_proof_of_the_edge_fails_in_every_spelling() {
    let rules = HeaderRules::new("acme-", texts(&["x-portculli"]), vec![]).expect("rules");
    for rules in [rules, HeaderRules::default()] {
        for name in [
            EDGE_SECRET_HEADER,
            ASSERTION_HEADER,
            "x-portcullis-",
            "x-portcullis-anything",
        ] {
            for separator in ["-", "_", ".", "!", "~"] {
                let spelled = name.replace('-', separator);
                assert!(rules.drops(&spelled), "{spelled}");
                assert!(rules.drops(&spelled.to_ascii_uppercase()), "{spelled}");
            }
        }
        for name in ["x-portcullis", "x-portculli", "xportcullis-assertion"] {
            assert!(!rules.drops(name), "{name}");
        }
    }
}

#[test]
fn no_policy_passes_or_uses_a_name_under_the_reserved_prefix() {
    for name in [EDGE_SECRET_HEADER, ASSERTION_HEADER, "x-portcullis-"] {
        assert_eq!(HeaderRules::new("x-auth-", texts(&[name]), vec![]), None);
    }
    for prefix in ["x-portcullis-", "x-portcullis-user-"] {
        assert_eq!(HeaderRules::new(prefix, vec![], vec![]), None, "{prefix}");
    }
    for prefix in ["x-portcullis2-", "portcullis-"] {
        assert!(
            HeaderRules::new(prefix, vec![], vec![]).is_some(),
            "{prefix}"
        );
    }
}

#[test]
fn the_policy_passes_and_drops_further_headers() {
    let rules = HeaderRules::new(
        "x-auth-",
        texts(&["x-auth-token", "x-real-ip"]),
        texts(&["x-my-tenant"]),
    )
    .expect("rules");
    for passed in ["X-Auth-Token", "x-auth-token", "x-real-ip", "x-tenant"] {
        assert!(!rules.drops(passed), "{passed}");
    }
    for dropped in [
        "x_auth_token",
        "x-auth-tokens",
        "X_My.Tenant",
        "x-auth-subject",
    ] {
        assert!(rules.drops(dropped), "{dropped}");
    }
}

#[test]
fn another_prefix_reserves_its_names_and_those_of_the_default_prefix() {
    let rules = HeaderRules::new("acme-user-", vec![], vec![]).expect("rules");
    assert_eq!(rules.identity_prefix(), "acme-user-");
    for dropped in ["acme-user-subject", "ACME_USER.x", "x-auth-subject"] {
        assert!(rules.drops(dropped), "{dropped}");
    }
    assert!(!rules.drops("x-auth-token"));
}

#[test]
fn a_policy_cannot_pass_a_header_that_the_edge_sets() {
    for name in [
        "x-auth-subject",
        "x-request-id",
        "x-forwarded-for",
        "forwarded",
        "acme-scope",
        "X-Mine",
        "x_mine",
        "",
    ] {
        assert_eq!(
            HeaderRules::new("acme-", texts(&[name]), vec![]),
            None,
            "{name}"
        );
    }
    for prefix in ["", "-", "x-auth", "X-Auth-", "x_auth_"] {
        assert_eq!(HeaderRules::new(prefix, vec![], vec![]), None, "{prefix}");
    }
    assert_eq!(HeaderRules::new("acme-", vec![], texts(&["A"])), None);
    for name in [
        "host",
        "authorization",
        "content-length",
        "content-type",
        "transfer-encoding",
    ] {
        let rules = HeaderRules::new("acme-", vec![], texts(&[name]));
        assert_eq!(rules, None, "{name}");
    }
}

#[test]
fn identity_headers_share_no_prefix_with_headers_of_http_or_of_a_proxy() {
    for prefix in [
        "x-",
        "cf-",
        "cf-access-",
        "content-",
        "sec-",
        "sec-fetch-",
        "accept-",
        "x-forwarded-",
        "x-forwarded-user-",
        "x-request-",
        "x-real-",
        "x-amzn-",
        "x-amzn-oidc-",
        "remote-",
        "proxy-",
    ] {
        assert_eq!(HeaderRules::new(prefix, vec![], vec![]), None, "{prefix}");
    }
    for prefix in ["x-user-", "x-acme-", "acme-", "x-auth-", "x-auth-request-"] {
        let rules = HeaderRules::new(prefix, vec![], vec![]);
        assert!(rules.is_some(), "{prefix}");
    }
}

#[test]
fn spoofed_identity_and_client_headers_of_other_platforms_are_dropped() {
    let rules = HeaderRules::default();
    for name in [
        "x-ms-client-principal",
        "X-MS-Client-Principal-Id",
        "x-ms-token-aad-id-token",
        "x-goog-iap-jwt-assertion",
        "x-goog-authenticated-user-email",
        "x-amzn-oidc-identity",
        "x-amzn-oidc-data",
        "x-amzn-mtls-clientcert",
        "x-envoy-original-path",
        "x-envoy-external-address",
        "x-ssl-client-verify",
        "ssl-client-s-dn",
        "client-cert",
        "client-cert-chain",
        "x-client-cert",
        "x-arr-clientcert",
        "x-scheme",
        "x-url-scheme",
        "front-end-https",
        "remote-user",
        "remote-groups",
        "cloudfront-viewer-address",
        "x-azure-clientip",
        "x-appengine-user-email",
        "fly-client-ip",
        "x-vercel-forwarded-for",
        "x-nf-client-connection-ip",
        "x-consumer-username",
        "x-authenticated-userid",
        "x-accel-mapping",
        "x-sendfile-type",
        "tailscale-user-login",
        "cf-access-jwt-assertion",
        "cf-access-authenticated-user-email",
        "x-apigateway-api-userinfo",
        "oidc-claim-sub",
        "shib-user",
        "sm-user",
        "iv-user",
        "x-pomerium-jwt-assertion",
    ] {
        for separator in ["-", "_", "."] {
            let spelled = name.replace('-', separator);
            assert!(rules.drops(&spelled), "{spelled}");
        }
    }
    for name in [
        "x-amzn-trace-id",
        "traceparent",
        "x-b3-traceid",
        "x-ms-version",
        "x-goog-api-key",
    ] {
        assert!(!rules.drops(name), "{name}");
    }
}

#[test]
fn forwarding_headers_come_from_the_connection() {
    let mut rules = HeaderRules::default();
    let client = Some("2001:db8::1");
    let connection = Connection::of_url("https://api.example:8443/a?b=//c", client);
    assert_eq!(
        rules.forwarding_headers(&connection),
        [
            ("x-forwarded-host", "api.example:8443".to_owned()),
            ("x-forwarded-proto", "https".to_owned()),
            ("x-forwarded-for", "2001:db8::1".to_owned()),
            ("x-portcullis-client-ip", "2001:db8::1".to_owned()),
        ]
    );
    rules.forwarded = true;
    let forwarded = |url, client: &str| {
        let connection = Connection::of_url(url, Some(client));
        rules
            .forwarding_headers(&connection)
            .pop()
            .expect("Forwarded")
            .1
    };
    assert_eq!(
        forwarded("https://api.example:8443/", "2001:db8::1"),
        r#"for="[2001:db8::1]";host="api.example:8443";proto="https""#
    );
    assert_eq!(
        forwarded("http://a.example?x", "192.0.2.7"),
        r#"for="192.0.2.7";host="a.example";proto="http""#
    );
    assert_eq!(
        forwarded("http://a.example", "no address"),
        r#"for="unknown";host="a.example";proto="http""#
    );
}

#[test]
fn an_origin_gets_the_token_only_where_the_policy_says_so() {
    let mut rules = HeaderRules::default();
    assert!(!rules.forwards_authorization(true) && !rules.forwards_authorization(false));
    rules.strip_token = false;
    assert!(rules.forwards_authorization(true) && !rules.forwards_authorization(false));
    rules.open_authorization = true;
    rules.strip_token = true;
    assert!(!rules.forwards_authorization(true) && rules.forwards_authorization(false));
}

proptest! {
    #[test]
    fn no_passed_header_becomes_a_cgi_variable_of_the_edge(
        name in "[xX][-_.!~|']([aA][uU][tT][hH]|forwarded|request)[-_.!~|'](subject|Scope|issuer|SESSION|for|host|proto|id)",
    ) {
        let rules = HeaderRules::default();
        let ours = SET_BY_THE_EDGE
            .iter()
            .map(|name| (*name).to_owned())
            .chain(IDENTITY_SUFFIXES.iter().map(|suffix| format!("x-auth-{suffix}")));
        for ours in ours {
            prop_assert!(rules.drops(&name) || cgi_variable(&name) != cgi_variable(&ours));
        }
    }

    #[test]
    fn the_decision_on_a_header_does_not_depend_on_its_separators(
        name in "[a-z]{1,3}([-_.!][a-z]{1,9}){0,3}",
        separator in "[-_.!~]",
    ) {
        let rules = HeaderRules::default();
        let hyphens = comparable(&name);
        // A respelled header may be dropped where the usual spelling passes, never the reverse.
        if rules.drops(&hyphens) {
            prop_assert!(rules.drops(&name));
            prop_assert!(rules.drops(&hyphens.replace('-', &separator)));
        }
    }
}
