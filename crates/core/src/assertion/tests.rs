use proptest::prelude::*;

use super::verification::{
    AssertionClaims, DEFAULT_LEEWAY, MAX_ASSERTION_BYTES, MAX_LEEWAY, ProofError, ReceivedRequest,
    parse,
};
use super::*;
use crate::token::jws::Jws;
use crate::token::scope::{Roles, Scopes};

const NOON: u64 = 1_800_000_000;
const ORIGIN: &str = "https://origin.example";
const TARGET: &str = "/a/%E2%82%AC?b=\\c&d";

fn identity() -> Identity {
    Identity {
        subject: "user\"1".to_owned(),
        issuer: "https://login.example".to_owned(),
        scope: Some("a b".to_owned()),
        session: Some("s".to_owned()),
        roles: vec!["editor".to_owned(), "chief \"x\"".to_owned()],
    }
}

/// The claims of the token of `identity`.
fn token_claims(identity: &Identity) -> Claims {
    let payload = r#"{"iss":"i","sub":"s","aud":"a","iat":1,"exp":2,"jti":"j","client_id":"c"}"#;
    let claims = Claims::parse(payload.as_bytes()).expect("claims");
    Claims {
        subject: identity.subject.clone(),
        issuer: identity.issuer.clone(),
        scopes: Scopes::parse(identity.scope.as_deref().unwrap_or_default()).expect("scopes"),
        session_id: identity.session.clone(),
        roles: Roles::new(identity.roles.clone()),
        ..claims
    }
}

fn draft<'r>(id: &'r Id, caller: Option<&'r Claims>) -> AssertionDraft<'r> {
    AssertionDraft {
        audience: ORIGIN,
        issued_at: UnixTime::from_secs(NOON),
        request_id: id,
        method: "POST",
        target: TARGET,
        host: "api.example:8443",
        caller,
    }
}

const fn received(now: u64) -> ReceivedRequest<'static> {
    ReceivedRequest {
        audience: ORIGIN,
        method: "POST",
        target: TARGET,
        hosts: None,
        now: UnixTime::from_secs(now),
        leeway: DEFAULT_LEEWAY,
    }
}

fn claims(identity: Option<Identity>) -> AssertionClaims {
    let caller = identity.as_ref().map(token_claims);
    let id = Id::from_random([7; 16]);
    let token = draft(&id, caller.as_ref())
        .signing_input(Algorithm::Hs256, None)
        .with_signature(&[1]);
    AssertionClaims::parse(&parse(token.expose()).expect("a JWS").payload).expect("claims")
}

#[test]
fn the_edge_states_origin_method_target_host_and_identity() {
    let id = Id::from_random([7; 16]);
    let token = draft(&id, Some(&token_claims(&identity())))
        .signing_input(Algorithm::Es256, Some("k\"1"))
        .with_signature(&[1]);
    let jws = parse(token.expose()).expect("a JWS");
    assert_eq!(jws.header.algorithm, Algorithm::Es256);
    assert_eq!(jws.header.key_id.as_deref(), Some("k\"1"));
    let text = String::from_utf8(jws.payload.clone()).expect("UTF-8");
    assert_eq!(
        text,
        format!(
            r#"{{"iat":1800000000,"exp":1800000060,"aud":"https://origin.example","jti":"{id}","htm":"POST","htp":"/a/%E2%82%AC?b=\\c&d","host":"api.example:8443","sub":"user\"1","token_iss":"https://login.example","scope":"a b","sid":"s","roles":["editor","chief \"x\""]}}"#
        )
    );
    let claims = AssertionClaims::parse(&jws.payload).expect("claims");
    assert_eq!(claims.request_id, id.to_string());
    assert_eq!(claims.identity, Some(identity()));
    assert_eq!(claims.check(&received(NOON)), Ok(()));
}

#[test]
fn an_anonymous_assertion_has_no_identity_and_a_shared_secret_no_kid() {
    let id = Id::from_random([7; 16]);
    let token = draft(&id, None)
        .signing_input(Algorithm::Hs256, None)
        .with_signature(&[1]);
    let jws = Jws::parse(token.expose()).expect("a JWS");
    assert_eq!(jws.header.key_id, None);
    assert_eq!(
        AssertionClaims::parse(&jws.payload)
            .expect("claims")
            .identity,
        None
    );
}

#[test]
fn replay_of_an_assertion_fails_from_the_second_of_exp_plus_leeway() {
    let claims = claims(None);
    for (now, expected) in [
        (NOON - 6, Err(ProofError::IssuedInFuture)),
        (NOON - 5, Ok(())),
        (NOON + 64, Ok(())),
        (NOON + 65, Err(ProofError::Expired)),
    ] {
        assert_eq!(claims.check(&received(now)), expected, "{now}");
    }
    let wide = |now| ReceivedRequest {
        leeway: Duration::from_secs(3_600),
        ..received(now)
    };
    assert_eq!(MAX_LEEWAY, Duration::from_secs(60));
    assert_eq!(claims.check(&wide(NOON + 119)), Ok(()));
    assert_eq!(claims.check(&wide(NOON + 120)), Err(ProofError::Expired));
    assert_eq!(
        claims.check(&wide(NOON - 61)),
        Err(ProofError::IssuedInFuture)
    );
}

#[test]
fn a_lifetime_of_more_than_sixty_seconds_is_rejected() {
    for (exp, expected) in [(60, Ok(())), (61, Err(ProofError::LifetimeTooLong))] {
        let payload = format!(
            r#"{{"iat":{NOON},"exp":{},"aud":"{ORIGIN}","jti":"j","htm":"POST","htp":{},"host":"h"}}"#,
            NOON + exp,
            Json::quote(TARGET),
        );
        let claims = AssertionClaims::parse(payload.as_bytes()).expect("claims");
        assert_eq!(claims.check(&received(NOON)), expected, "{exp}");
    }
}

#[test]
fn replay_at_another_origin_method_target_or_host_fails() {
    let claims = claims(Some(identity()));
    let good = received(NOON);
    for (request, expected) in [
        (
            ReceivedRequest {
                audience: "https://origin.example:8443",
                ..good
            },
            ProofError::WrongAudience,
        ),
        (
            ReceivedRequest {
                method: "post",
                ..good
            },
            ProofError::WrongMethod,
        ),
        (
            ReceivedRequest {
                target: "/a/%e2%82%ac?b=\\c&d",
                ..good
            },
            ProofError::WrongTarget,
        ),
        (
            ReceivedRequest {
                target: "/a/%E2%82%AC",
                ..good
            },
            ProofError::WrongTarget,
        ),
    ] {
        assert_eq!(claims.check(&request), Err(expected), "{request:?}");
    }
    let own = ["a.example".to_owned(), "api.example:8443".to_owned()];
    assert_eq!(
        claims.check(&ReceivedRequest {
            hosts: Some(&own),
            ..good
        }),
        Ok(())
    );
    let [other, _] = own;
    for hosts in [&[][..], &[other]] {
        let request = ReceivedRequest {
            hosts: Some(hosts),
            ..good
        };
        assert_eq!(claims.check(&request), Err(ProofError::WrongHost));
    }
}

#[test]
fn an_assertion_without_a_claim_or_with_half_an_identity_is_malformed() {
    let payload = |without: &str| {
        let members = [
            ("iat", "1"),
            ("exp", "2"),
            ("aud", r#""a""#),
            ("jti", r#""j""#),
            ("htm", r#""m""#),
            ("htp", r#""t""#),
            ("host", r#""h""#),
            ("sub", r#""s""#),
            ("token_iss", r#""i""#),
        ];
        let kept = members.iter().filter(|(name, _)| *name != without);
        let kept: Vec<_> = kept
            .map(|(name, value)| format!(r#""{name}":{value}"#))
            .collect();
        format!("{{{}}}", kept.join(","))
    };
    assert!(AssertionClaims::parse(payload("none").as_bytes()).is_ok());
    for name in [
        "iat",
        "exp",
        "aud",
        "jti",
        "htm",
        "htp",
        "host",
        "sub",
        "token_iss",
    ] {
        let parsed = AssertionClaims::parse(payload(name).as_bytes());
        assert_eq!(parsed, Err(ProofError::MalformedClaims), "{name}");
    }
    for (from, to) in [
        (r#""iat":1"#, r#""iat":"1""#),
        (r#""iat":1"#, r#""iat":1.5"#),
        (r#""aud":"a""#, r#""aud":["a"]"#),
        (r#""sub":"s""#, r#""sub":null"#),
        (r#""iat":1"#, r#""iat":1,"iat":1"#),
    ] {
        let parsed = AssertionClaims::parse(payload("none").replace(from, to).as_bytes());
        assert_eq!(parsed, Err(ProofError::MalformedClaims), "{to}");
    }
}

#[test]
fn cross_jwt_confusion_fails_by_the_type() {
    let token = |header: &str| {
        let input = SigningInput::new(header, "{}");
        input.with_signature(&[1])
    };
    for (header, expected) in [
        (r#"{"alg":"HS256","typ":"portcullis-assertion+jwt"}"#, None),
        (
            r#"{"alg":"HS256","typ":"at+jwt"}"#,
            Some(ProofError::WrongType),
        ),
        (
            r#"{"alg":"HS256","typ":"Portcullis-Assertion+JWT"}"#,
            Some(ProofError::WrongType),
        ),
        (r#"{"alg":"HS256"}"#, Some(ProofError::WrongType)),
        (
            r#"{"alg":"none","typ":"portcullis-assertion+jwt"}"#,
            Some(ProofError::Malformed),
        ),
        (
            r#"{"alg":"HS256","typ":"portcullis-assertion+jwt","crit":[]}"#,
            Some(ProofError::Malformed),
        ),
    ] {
        assert_eq!(parse(token(header).expose()).err(), expected, "{header}");
    }
    let id = Id::from_random([7; 16]);
    let long = |length: usize| {
        let target = "a".repeat(length);
        let draft = AssertionDraft {
            target: &target,
            ..draft(&id, None)
        };
        let token = draft
            .signing_input(Algorithm::Hs256, None)
            .with_signature(&[1; 32]);
        (token.expose().len(), parse(token.expose()).map(|_| ()))
    };
    let mut seen = [false; 2];
    for length in 24_000..24_500 {
        let (bytes, parsed) = long(length);
        let fits = bytes <= MAX_ASSERTION_BYTES;
        assert_eq!(parsed.is_ok(), fits, "{bytes}");
        seen[usize::from(fits)] = true;
    }
    assert_eq!(seen, [true; 2], "both sides of the bound");
}

#[test]
fn an_edge_secret_has_32_visible_ascii_characters() {
    let secret = "!~".repeat(16);
    assert!(is_edge_secret(&secret));
    for bad in [
        secret.trim_start_matches('!'),
        "",
        &format!("{secret} "),
        &format!("{secret}\u{e9}"),
        &format!("{secret}\n"),
    ] {
        assert!(!is_edge_secret(bad), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn any_text_survives_the_claims(method in "\\PC{1,8}", target in "[\\PC--#]*", host in "\\PC+", subject in "\\PC+") {
        let id = Id::from_random([7; 16]);
        let identity = Identity { subject, scope: None, ..identity() };
        let caller = token_claims(&identity);
        let draft = AssertionDraft { method: &method, target: &target, host: &host, ..draft(&id, Some(&caller)) };
        let token = draft.signing_input(Algorithm::EdDsa, Some("k")).with_signature(&[1]);
        let claims = AssertionClaims::parse(&parse(token.expose()).expect("a JWS").payload).expect("claims");
        let request = ReceivedRequest { method: &method, target: &target, ..received(NOON) };
        prop_assert_eq!(claims.check(&request), Ok(()));
        prop_assert_eq!((claims.host, claims.identity), (host, Some(identity)));
    }
}

/// The claims of an accepted assertion, with the members `changes` in place of their own.
fn changed(changes: &[(&str, &str)]) -> String {
    let target = Json::quote(TARGET);
    let (iat, exp) = (NOON.to_string(), (NOON + 60).to_string());
    let origin = Json::quote(ORIGIN);
    let usual = [
        ("iat", &*iat),
        ("exp", &*exp),
        ("aud", &*origin),
        ("jti", r#""j""#),
        ("htm", r#""POST""#),
        ("htp", &*target),
        ("host", r#""h""#),
        ("sub", r#""ada""#),
        ("token_iss", r#""i""#),
    ];
    let members = usual.map(|(name, value)| {
        let change = changes.iter().find(|(changed, _)| *changed == name);
        format!(r#""{name}":{}"#, change.map_or(value, |(_, value)| value))
    });
    format!("{{{}}}", members.join(","))
}

#[test]
fn an_identity_or_a_required_claim_that_is_empty_is_refused() {
    assert!(AssertionClaims::parse(changed(&[]).as_bytes()).is_ok());
    for name in ["jti", "host", "sub", "token_iss"] {
        let payload = changed(&[(name, r#""""#)]);
        let found = AssertionClaims::parse(payload.as_bytes());
        assert_eq!(found, Err(ProofError::MalformedClaims), "{name}");
    }
}

#[test]
fn exp_is_after_iat() {
    for (exp, is_valid) in [
        (NOON + 1, true),
        (NOON, false),
        (NOON - 1, false),
        (0, false),
    ] {
        let payload = changed(&[("exp", &exp.to_string())]);
        let found = AssertionClaims::parse(payload.as_bytes());
        assert_eq!(found.is_ok(), is_valid, "{exp}: {found:?}");
    }
}

#[test]
fn a_fragment_in_the_request_target_is_refused() {
    for target in ["/a#b", "/#", "#", "/a?b#c"] {
        let payload = changed(&[("htp", &Json::quote(target))]);
        let claims = AssertionClaims::parse(payload.as_bytes()).expect("claims");
        for target in [target, "/a", TARGET] {
            let request = ReceivedRequest {
                target,
                ..received(NOON)
            };
            assert_eq!(claims.check(&request), Err(ProofError::WrongTarget));
        }
    }
    let request = ReceivedRequest {
        target: &format!("{TARGET}#x"),
        ..received(NOON)
    };
    let claims = AssertionClaims::parse(changed(&[]).as_bytes()).expect("claims");
    assert_eq!(claims.check(&request), Err(ProofError::WrongTarget));
}
