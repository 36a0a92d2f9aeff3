//! Tokens through the whole gate. The signature counts as checked: an adapter does that, tested
//! elsewhere with the standards' vectors.

use proptest::prelude::*;

use super::*;
use crate::base64url;
use crate::keys::document::KeyDocument;
use crate::keys::jwk::VerifyingKey;
use crate::revocation::{Pack, Revocation, RevocationTarget, Revocations};
use crate::token::algorithm::Algorithm;
use crate::token::signature::SignatureVerdict;

const NOON: UnixTime = at(10_000);
const POLICY: &str = r#"{
    "issuers": [{"issuer": "https://us", "audience": "api", "algorithms": ["EdDSA"],
                 "keys": "document", "profile": "at+jwt", "max_age": 400}],
    "routes": [{"path": "/open", "access": "open"}, {"path": "/*", "access": "token"},
               {"path": "/admin/*", "access": "token", "scopes": ["admin", "write"]},
               {"path": "/stale/*", "access": "token", "serve_stale": 3600},
               {"path": "/sure/*", "access": "token", "revocation": "lookup"}]
}"#;
const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"KID"}"#;
const CLAIMS: &str = r#"{"iss":"https://us","sub":"alice","aud":"api","iat":9900,"exp":10100,"jti":"t1","client_id":"web","sid":"s1","scope":"write"}"#;

const fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}
fn gate() -> Gate {
    Gate::new(Policy::parse(POLICY, None).expect("good"))
}
fn key() -> VerifyingKey {
    let jwk = br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let key = VerifyingKey::parse(jwk).expect("RFC 8037");
    VerifyingKey::new(key.material().clone(), Algorithm::EdDsa).expect("fits")
}
fn document(ends_at: Option<u64>) -> KeyDocument {
    let json = KeyDocument::default().with(key(), at(0)).to_json();
    let end = ends_at.map_or(String::new(), |end| format!(r#","ends_at":{end}"#));
    let json = json.replace(r#""sign_from":0"#, &format!(r#""sign_from":0{end}"#));
    KeyDocument::parse(json.as_bytes()).expect("our own")
}
fn snapshot(revoked: Option<RevocationTarget>) -> Snapshot {
    let revoked = revoked.map(|target| Revocation {
        target,
        until: at(99_999),
    });
    Snapshot::new(
        gate().policy(),
        &document(None),
        Revocations::from_iter(revoked),
        NOON,
    )
}
fn token(header: &str, claims: &str) -> String {
    let encode = |text: &str| base64url::encode(text.as_bytes());
    let header = header.replace("KID", &key().thumbprint());
    format!("{}.{}.AAAA", encode(&header), encode(claims))
}
fn inspect(header: &str, claims: &str, now: UnixTime) -> Result<Verified<Claims>, Denial> {
    let (gate, snapshot) = (gate(), snapshot(None));
    gate.verifier()
        .inspect(&token(header, claims), snapshot.keys(), now)?
        .accept(SignatureVerdict::Valid)
}
fn decide(path: &str, claims: &str, snapshot: &Snapshot, now: UnixTime) -> Option<Denial> {
    let gate = gate();
    let caller = gate
        .verifier()
        .inspect(&token(HEADER, claims), snapshot.keys(), NOON)
        .and_then(|inspected| inspected.accept(SignatureVerdict::Valid))
        .expect("good at noon");
    let path = CanonicalPath::parse(path).expect("canonical");
    let requirement = gate.requirement("GET", &path).expect("covered");
    gate.decide(&requirement, Some(&caller), snapshot, now)
        .err()
}
fn claims(from: &str, to: &str) -> String {
    let bent = CLAIMS.replace(from, to);
    assert_ne!(bent, CLAIMS);
    bent
}

#[test]
fn a_token_passes_until_the_second_it_expires() {
    let fresh = |now| snapshot(None).with_revocations(Revocations::default(), now);
    assert_eq!(decide("/x", CLAIMS, &fresh(at(10_099)), at(10_099)), None);
    assert_eq!(
        decide("/x", CLAIMS, &fresh(at(10_100)), at(10_100)),
        Some(Denial::Expired)
    );
    assert_eq!(inspect(HEADER, CLAIMS, at(10_099)).err(), None);
    assert_eq!(
        inspect(HEADER, CLAIMS, at(10_100)).err(),
        Some(Denial::Expired)
    );
}

#[test]
fn each_time_claim_is_checked_on_both_sides_of_its_limit() {
    for (from, good, bad, denial) in [
        (
            "\"iat\":9900",
            "\"iat\":10002",
            "\"iat\":10003",
            Denial::IssuedInFuture,
        ),
        (
            "\"iat\":9900",
            "\"iat\":9900,\"nbf\":10002",
            "\"iat\":9900,\"nbf\":10003",
            Denial::NotYetValid,
        ),
        ("10100", "10500", "10501", Denial::LifetimeTooLong),
        (
            "\"iat\":9900",
            "\"iat\":9600",
            "\"iat\":9599",
            Denial::TooOld,
        ),
    ] {
        assert_eq!(
            inspect(HEADER, &claims(from, good), NOON).err(),
            None,
            "{good}"
        );
        assert_eq!(
            inspect(HEADER, &claims(from, bad), NOON).err(),
            Some(denial),
            "{bad}"
        );
    }
}

#[test]
fn the_header_needs_the_access_token_type_and_a_known_kid() {
    for (from, to, denial) in [
        ("at+jwt", "Application/AT+JWT", None),
        ("at+jwt", "JWT", Some(Denial::WrongType)),
        ("at+jwt", "at+jwt ", Some(Denial::WrongType)),
        (r#""typ":"at+jwt","#, "", Some(Denial::WrongType)),
        (r#","kid":"KID""#, "", Some(Denial::MissingKeyId)),
        ("KID", "other", Some(Denial::UnknownKey)),
        ("EdDSA", "ES256", Some(Denial::AlgorithmNotAllowed)),
        ("EdDSA", "HS256", Some(Denial::AlgorithmNotAllowed)),
        ("EdDSA", "none", Some(Denial::UnsupportedAlgorithm)),
    ] {
        assert_eq!(
            inspect(&HEADER.replace(from, to), CLAIMS, NOON).err(),
            denial,
            "{to}"
        );
    }
}

#[test]
fn issuer_and_audience_must_match_exactly() {
    for (from, to, denial) in [
        ("https://us", "https://us/", Denial::UnknownIssuer),
        ("https://us", "HTTPS://us", Denial::UnknownIssuer),
        ("\"api\"", "\"api2\"", Denial::WrongAudience),
        ("\"api\"", "[\"x\",\"Api\"]", Denial::WrongAudience),
    ] {
        assert_eq!(
            inspect(HEADER, &claims(from, to), NOON).err(),
            Some(denial),
            "{to}"
        );
    }
    assert!(inspect(HEADER, &claims("\"api\"", "[\"x\",\"api\"]"), NOON).is_ok());
}

#[test]
fn only_a_valid_signature_yields_verified_claims() {
    let (gate, snapshot) = (gate(), snapshot(None));
    let token = token(HEADER, CLAIMS);
    let inspected = gate
        .verifier()
        .inspect(&token, snapshot.keys(), NOON)
        .expect("good");
    assert_eq!(
        inspected.check().expect("allowed").algorithm(),
        Algorithm::EdDsa
    );
    assert_eq!(
        inspected.accept(SignatureVerdict::Invalid),
        Err(Denial::BadSignature)
    );
}

#[test]
fn a_revoked_token_is_rejected_despite_its_valid_signature() {
    let key_id = key().thumbprint();
    for target in [
        RevocationTarget::Token("t1".into()),
        RevocationTarget::Session("s1".into()),
        RevocationTarget::Key(key_id),
        RevocationTarget::Subject {
            issuer: "https://us".into(),
            subject: "alice".into(),
            generation: 1,
        },
    ] {
        let snapshot = snapshot(Some(target.clone()));
        assert_eq!(
            decide("/x", CLAIMS, &snapshot, NOON),
            Some(Denial::Revoked),
            "{target:?}"
        );
        assert_eq!(decide("/open", CLAIMS, &snapshot, NOON), None);
    }
    assert_eq!(
        decide(
            "/x",
            CLAIMS,
            &snapshot(Some(RevocationTarget::Token("t2".into()))),
            NOON
        ),
        None
    );
}

#[test]
fn a_route_requires_all_its_scopes() {
    let snapshot = snapshot(None);
    assert_eq!(
        decide("/admin", CLAIMS, &snapshot, NOON),
        Some(Denial::InsufficientScope)
    );
    let both = claims("\"write\"", "\"admin write\"");
    assert_eq!(decide("/admin", &both, &snapshot, NOON), None);
    let alike = claims("\"write\"", "\"administrator write\"");
    assert_eq!(
        decide("/admin/x", &alike, &snapshot, NOON),
        Some(Denial::InsufficientScope)
    );
}

#[test]
fn a_stale_snapshot_is_rejected_unless_the_route_serves_stale() {
    let snapshot = snapshot(None);
    assert_eq!(decide("/x", CLAIMS, &snapshot, at(10_030)), None);
    assert_eq!(
        decide("/x", CLAIMS, &snapshot, at(10_031)),
        Some(Denial::StaleSnapshot)
    );
    assert_eq!(decide("/stale/x", CLAIMS, &snapshot, at(10_031)), None);
}

#[test]
fn a_revoked_token_stays_revoked_under_a_stale_snapshot() {
    let snapshot = snapshot(Some(RevocationTarget::Token("t1".to_owned())));
    for path in ["/x", "/stale/x", "/sure/x"] {
        let denial = decide(path, CLAIMS, &snapshot, at(10_031));
        assert_eq!(denial, Some(Denial::Revoked), "{path}");
    }
}

#[test]
fn a_route_with_lookup_is_never_decided_by_the_feed() {
    let snapshot = snapshot(None);
    assert_eq!(
        decide("/sure/x", CLAIMS, &snapshot, NOON),
        Some(Denial::RevocationUnknown)
    );
    let looked_up = snapshot.for_one(Revocations::default(), NOON);
    assert_eq!(decide("/sure/x", CLAIMS, &looked_up, NOON), None);
    // The result of a lookup ages like everything else.
    assert_eq!(
        decide("/sure/x", CLAIMS, &looked_up, at(10_031)),
        Some(Denial::StaleSnapshot)
    );
}

#[test]
fn an_unresolved_possible_revocation_is_rejected() {
    let target = RevocationTarget::Token("t1".to_owned());
    let revoked = [Revocation {
        target,
        until: at(20_000),
    }];
    let mut sifted = Revocations::default();
    sifted.load(Pack::of(&revoked, NOON));
    let doubtful = snapshot(None).with_revocations(sifted, NOON);
    for path in ["/x", "/sure/x"] {
        let denial = decide(path, CLAIMS, &doubtful, NOON);
        assert_eq!(denial, Some(Denial::RevocationUnknown));
    }
    let revoked = doubtful.for_one(Revocations::from_iter(revoked), NOON);
    assert_eq!(decide("/x", CLAIMS, &revoked, NOON), Some(Denial::Revoked));
    let cleared = doubtful.for_one(Revocations::default(), NOON);
    assert_eq!(decide("/x", CLAIMS, &cleared, NOON), None);
}

#[test]
fn a_key_verifies_until_the_second_it_expires() {
    let ending = Snapshot::new(
        gate().policy(),
        &document(Some(10_010)),
        Revocations::default(),
        NOON,
    );
    assert_eq!(decide("/x", CLAIMS, &ending, at(10_009)), None);
    assert_eq!(
        decide("/x", CLAIMS, &ending, at(10_010)),
        Some(Denial::UnknownKey)
    );
}

#[test]
fn a_guarded_route_rejects_anonymous_callers_and_an_unknown_route_is_denied() {
    let (gate, snapshot) = (gate(), snapshot(None));
    let path = CanonicalPath::parse("/x").expect("canonical");
    let requirement = gate.requirement("GET", &path).expect("covered");
    assert_eq!(
        gate.decide(&requirement, None, &snapshot, NOON),
        Err(Denial::MissingToken)
    );
    let narrow = POLICY.replace(r#"{"path": "/*", "access": "token"},"#, "");
    let narrow = Gate::new(Policy::parse(&narrow, None).expect("good"));
    assert_eq!(
        narrow.requirement("GET", &path).err(),
        Some((Denial::UnknownRoute, None))
    );
}

proptest! {
    #[test]
    fn any_claims_parse_or_are_rejected(claims in "\\PC{0,300}", header in "\\PC{0,100}") {
        let _ = inspect(&header, &claims, NOON);
        let _ = inspect(HEADER, &claims, NOON);
    }

    #[test]
    fn no_token_is_accepted_outside_its_lifetime(now in 0_u64..20_000) {
        let passes = inspect(HEADER, CLAIMS, at(now)).is_ok();
        prop_assert_eq!(passes, (9_898..10_100).contains(&now));
    }
}

#[test]
fn an_open_response_is_checked_in_every_soft_bound_and_when_its_token_expires() {
    let caller = inspect(HEADER, CLAIMS, NOON).expect("good at noon");
    let wait = |now| gate().next_check(&caller, at(now)).as_secs();
    // The soft bound is 10 s, and the token expires at 10 100.
    assert_eq!(wait(10_000), 10);
    assert_eq!(wait(10_089), 10);
    assert_eq!(wait(10_090), 10);
    assert_eq!(wait(10_091), 9);
    assert_eq!(wait(10_099), 1);
    assert_eq!(wait(10_100), 0);
    assert_eq!(wait(10_101), 0);
    let lenient = POLICY.replace(r#""profile""#, r#""leeway": 60, "profile""#);
    let gate = Gate::new(Policy::parse(&lenient, None).expect("good"));
    assert_eq!(gate.next_check(&caller, at(10_100)).as_secs(), 10);
    assert_eq!(gate.next_check(&caller, at(10_159)).as_secs(), 1);
}
