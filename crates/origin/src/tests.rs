//! The layer in a real axum server: only a request with the proof of the edge passes.

mod vectors;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::{EdgeIdentity, EdgeProof, FetchError, KeySource, ProofError, SettingError};
use axum::extract::Request;
use axum::routing::any;
use axum::{Router, body::Body};
use http::{HeaderMap, Response, StatusCode};
use portcullis_core::assertion::AssertionDraft;
use portcullis_core::base64url;
use portcullis_core::id::Id;
use portcullis_core::time::UnixTime;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_core::token::claims::Claims;
use portcullis_jwt::SigningKey;
use portcullis_service::ports::Signer as _;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower_layer::Layer as _;
use tower_service::Service as _;

const NOON: u64 = 1_800_000_000;
const ORIGIN: &str = "https://origin.example";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NEXT: &str = "fedcba9876543210fedcba9876543210";

const fn noon() -> UnixTime {
    UnixTime::from_secs(NOON)
}

fn caller() -> Claims {
    let payload = r#"{"iss":"https://login.example","sub":"user","aud":"a","iat":1,"exp":2,"jti":"j","client_id":"c","scope":"a b","sid":"s","roles":["editor"]}"#;
    Claims::parse(payload.as_bytes()).expect("claims")
}

/// An assertion of the edge about a request, under `secret`.
struct Edge<'e> {
    method: &'e str,
    target: &'e str,
    issued_at: u64,
    caller: Option<&'e Claims>,
}

impl Edge<'_> {
    fn draft<'d>(&'d self, id: &'d Id) -> AssertionDraft<'d> {
        AssertionDraft {
            audience: ORIGIN,
            issued_at: UnixTime::from_secs(self.issued_at),
            request_id: id,
            method: self.method,
            target: self.target,
            host: "api.example",
            caller: self.caller,
        }
    }

    fn with_secret(&self, secret: &str) -> String {
        let id = Id::from_random([7; 16]);
        let input = self.draft(&id).signing_input(Algorithm::Hs256, None);
        let tag = portcullis_jwt::hmac::tag(secret.as_bytes(), input.as_bytes()).expect("a tag");
        input.with_signature(&tag).expose().clone()
    }

    fn with_key(&self, key: &SigningKey) -> String {
        let id = Id::from_random([7; 16]);
        let input = self
            .draft(&id)
            .signing_input(key.algorithm(), key.key().id());
        let signature = key.sign(input.as_bytes()).expect("signs");
        input.with_signature(&signature).expose().clone()
    }
}

const fn get(target: &str) -> Edge<'_> {
    Edge {
        method: "GET",
        target,
        issued_at: NOON,
        caller: None,
    }
}

/// What a handler sees.
async fn report(identity: EdgeIdentity, headers: HeaderMap) -> String {
    let names: Vec<_> = headers
        .keys()
        .map(|name| name.as_str().to_owned())
        .collect();
    format!("{identity:?} {}", names.join(","))
}

/// The response of the layer alone, and the reasons that it reported.
async fn ask(
    proof: &EdgeProof,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, String, Vec<ProofError>) {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let reported = Arc::clone(&reasons);
    let proof = proof
        .clone()
        .with_clock(noon)
        .on_rejection(move |reason| reported.lock().expect("not poisoned").push(reason));
    let mut app = proof.layer(Router::new().fallback(any(report)));
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).expect("a request");
    let Ok(response): Result<Response<Body>, _> = app.call(request).await;
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 100_000)
        .await
        .expect("a body");
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let reasons = reasons.lock().expect("not poisoned").clone();
    (status, text, reasons)
}

async fn reason(
    proof: &EdgeProof,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Option<ProofError> {
    let (status, text, reasons) = ask(proof, method, target, headers).await;
    assert_eq!(status.is_success(), reasons.is_empty(), "{text}");
    assert_eq!(status == StatusCode::FORBIDDEN, !reasons.is_empty());
    reasons.first().copied()
}

const ASSERTION: &str = "x-portcullis-assertion";

#[tokio::test]
async fn a_real_server_accepts_the_edge_and_rejects_everyone_else() {
    let proof = EdgeProof::shared_key(ORIGIN, [SECRET])
        .expect("settings")
        .with_clock(noon);
    let app = Router::new().fallback(any(report)).layer(proof);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let exchange = async |lines: &str| {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        let text = format!("{lines}Host: origin.example\r\nConnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).await.expect("writes");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("reads");
        answer
    };
    for target in ["/", "/a/%7E%2f?", "/a?b=%20+&&c[]='", "/a?b?c=\\d"] {
        let assertion = get(target).with_secret(SECRET);
        let accepted = exchange(&format!(
            "GET {target} HTTP/1.1\r\n{ASSERTION}: {assertion}\r\n"
        ))
        .await;
        assert!(accepted.starts_with("HTTP/1.1 200"), "{target} {accepted}");
    }
    let rejected = exchange("GET / HTTP/1.1\r\n").await;
    assert!(rejected.starts_with("HTTP/1.1 403"), "{rejected}");
    assert!(
        rejected.contains("content-type: application/problem+json"),
        "{rejected}"
    );
    assert!(rejected.contains("cache-control: no-store"), "{rejected}");
    assert!(rejected.contains(r#""code":"no_edge_proof""#), "{rejected}");
    server.abort();
}

#[tokio::test]
async fn the_identity_comes_from_the_assertion_and_unproved_headers_are_removed() {
    let proof = EdgeProof::shared_key(ORIGIN, [SECRET]).expect("settings");
    let claims = caller();
    let edge = Edge {
        caller: Some(&claims),
        ..get("/")
    };
    let assertion = edge.with_secret(SECRET);
    let headers = [
        (ASSERTION, assertion.as_str()),
        ("x-auth-subject", "intruder"),
        ("x_auth_issuer", "intruder"),
        ("x.portcullis.other", "intruder"),
        ("x-other", "stays"),
    ];
    let (status, text, _) = ask(&proof, "GET", "/", &headers).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let identity = EdgeIdentity {
        subject: Some("user".to_owned()),
        issuer: Some("https://login.example".to_owned()),
        scopes: vec!["a".to_owned(), "b".to_owned()],
        roles: vec!["editor".to_owned()],
        session: Some("s".to_owned()),
        request_id: Id::from_random([7; 16]).to_string(),
        host: "api.example".to_owned(),
    };
    assert_eq!(text, format!("{identity:?} x-other"));
}

#[tokio::test]
async fn replay_on_another_method_target_host_or_time_fails() {
    use ProofError::{Expired, IssuedInFuture, WrongHost, WrongMethod, WrongTarget};
    let proof = EdgeProof::shared_key(ORIGIN, [SECRET]).expect("settings");
    let own = proof.clone().with_hosts(["API.example"]);
    let other = proof.clone().with_hosts(["www.example"]);
    let assertion = get("/a?b").with_secret(SECRET);
    let headers = [(ASSERTION, assertion.as_str())];
    for (proof, method, target, expected) in [
        (&proof, "GET", "/a?b", None),
        (&own, "GET", "/a?b", None),
        (&other, "GET", "/a?b", Some(WrongHost)),
        (&proof, "POST", "/a?b", Some(WrongMethod)),
        (&proof, "GET", "/a", Some(WrongTarget)),
        (&proof, "GET", "/a?b&", Some(WrongTarget)),
        (&proof, "GET", "/A?b", Some(WrongTarget)),
    ] {
        assert_eq!(
            reason(proof, method, target, &headers).await,
            expected,
            "{method} {target}"
        );
    }
    let wide = proof
        .clone()
        .with_leeway(Duration::from_secs(60))
        .expect("the maximum");
    for (proof, issued_at, expected) in [
        (&proof, NOON - 64, None),
        (&proof, NOON - 65, Some(Expired)),
        (&proof, NOON + 5, None),
        (&proof, NOON + 6, Some(IssuedInFuture)),
        (&wide, NOON - 119, None),
        (&wide, NOON - 120, Some(Expired)),
    ] {
        let assertion = Edge {
            issued_at,
            ..get("/")
        }
        .with_secret(SECRET);
        let found = reason(proof, "GET", "/", &[(ASSERTION, &assertion)]).await;
        assert_eq!(found, expected, "{issued_at}");
    }
    let elsewhere =
        EdgeProof::shared_key("https://origin.example:8443", [SECRET]).expect("settings");
    let found = reason(&elsewhere, "GET", "/a?b", &headers).await;
    assert_eq!(found, Some(ProofError::WrongAudience));
}

#[tokio::test]
async fn a_request_needs_exactly_one_proof_of_the_configured_kind() {
    let assertion = get("/").with_secret(SECRET);
    let one = (ASSERTION, assertion.as_str());
    let secret = ("x-portcullis-edge-secret", SECRET);
    let by_assertion = EdgeProof::shared_key(ORIGIN, [NEXT, SECRET]).expect("settings");
    let by_secret = EdgeProof::secret([NEXT, SECRET]).expect("settings");
    let missing = Some(ProofError::NotOneHeader);
    for (proof, headers, expected) in [
        (&by_assertion, &[one][..], None),
        (&by_assertion, &[one, one], missing),
        (&by_assertion, &[secret], missing),
        (&by_assertion, &[], missing),
        (&by_secret, &[secret], None),
        (&by_secret, &[secret, secret], missing),
        (&by_secret, &[one], missing),
        (&by_secret, &[("x_portcullis_edge_secret", SECRET)], missing),
        (
            &by_secret,
            &[(secret.0, "0123456789abcdef0123456789abcdeg")],
            Some(ProofError::WrongSecret),
        ),
        (
            &by_secret,
            &[(secret.0, "0123456789abcdef")],
            Some(ProofError::WrongSecret),
        ),
        (&by_secret, &[(secret.0, "")], Some(ProofError::WrongSecret)),
    ] {
        assert_eq!(
            reason(proof, "GET", "/", headers).await,
            expected,
            "{headers:?}"
        );
    }
    let single = EdgeProof::shared_key(ORIGIN, [NEXT]).expect("settings");
    assert_eq!(
        reason(&single, "GET", "/", &[one]).await,
        Some(ProofError::BadSignature)
    );
}

#[tokio::test]
async fn with_the_secret_the_identity_is_that_of_the_headers_of_the_edge() {
    let proof = EdgeProof::secret([SECRET])
        .expect("settings")
        .with_hosts(["api.example"]);
    let headers = [
        ("x-portcullis-edge-secret", SECRET),
        ("x-auth-subject", "user"),
        ("x-auth-issuer", "https://login.example"),
        ("x-auth-scope", "a b"),
        ("x-request-id", "r"),
        ("x-forwarded-host", "api.example"),
    ];
    let (status, text, _) = ask(&proof, "GET", "/", &headers).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(
        text.contains(r#"subject: Some("user")"#) && text.contains(r#"scopes: ["a", "b"]"#),
        "{text}"
    );
    assert!(
        text.contains("x-auth-subject") && !text.contains("x-portcullis"),
        "{text}"
    );
    let twice = [&headers[..], &[("x-auth-subject", "admin")]].concat();
    assert_eq!(
        reason(&proof, "GET", "/", &twice).await,
        Some(ProofError::NotOneHeader)
    );
    assert_eq!(
        reason(&proof, "GET", "/", &headers[..2]).await,
        Some(ProofError::MalformedClaims)
    );
    assert_eq!(
        reason(&proof, "GET", "/", &headers[..3]).await,
        Some(ProofError::WrongHost)
    );
}

#[tokio::test]
async fn algorithm_confusion_between_a_public_key_and_a_secret_fails() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let key = SigningKey::generate(algorithm).expect("made");
        let jwk = key.key().to_jwk().expect("public");
        let proof = EdgeProof::keys(ORIGIN, &format!(r#"{{"keys":[{jwk}]}}"#)).expect("settings");
        let good = get("/").with_key(&key);
        assert_eq!(
            reason(&proof, "GET", "/", &[(ASSERTION, &good)]).await,
            None
        );
        let other = get("/").with_key(&SigningKey::generate(algorithm).expect("made"));
        let found = reason(&proof, "GET", "/", &[(ASSERTION, &other)]).await;
        assert_eq!(found, Some(ProofError::UnknownKey));
        // An HMAC whose key is the text of the public key.
        let id = Id::from_random([7; 16]);
        let edge = get("/");
        let input = edge
            .draft(&id)
            .signing_input(Algorithm::Hs256, key.key().id());
        let tag = portcullis_jwt::hmac::tag(jwk.as_bytes(), input.as_bytes()).expect("a tag");
        let forged = input.with_signature(&tag).expose().clone();
        let found = reason(&proof, "GET", "/", &[(ASSERTION, &forged)]).await;
        assert_eq!(found, Some(ProofError::WrongAlgorithm));
        let secret = EdgeProof::shared_key(ORIGIN, [SECRET]).expect("settings");
        let found = reason(&secret, "GET", "/", &[(ASSERTION, &good)]).await;
        assert_eq!(found, Some(ProofError::WrongAlgorithm));
        let kidless = get("/").with_secret(SECRET);
        let found = reason(&proof, "GET", "/", &[(ASSERTION, &kidless)]).await;
        assert_eq!(found, Some(ProofError::UnknownKey));
    }
}

/// A source that counts its calls.
struct Counted {
    calls: Arc<AtomicUsize>,
    text: Arc<Mutex<Option<String>>>,
}

impl KeySource for Counted {
    fn fetch(
        &self,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<String, FetchError>> + Send + '_>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let text = self.text.lock().expect("not poisoned").clone();
        Box::pin(async move { text.ok_or_else(|| "unavailable".into()) })
    }
}

#[tokio::test]
async fn an_unknown_kid_causes_one_fetch_until_the_cool_down_ends() {
    static NOW: AtomicU64 = AtomicU64::new(NOON);
    fn clock() -> UnixTime {
        UnixTime::from_secs(NOW.load(Ordering::SeqCst))
    }
    let key = SigningKey::generate(Algorithm::EdDsa).expect("made");
    let (calls, text) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
    let source = Counted {
        calls: Arc::clone(&calls),
        text: Arc::clone(&text),
    };
    let proof = EdgeProof::published_keys(ORIGIN, source).with_clock(clock);
    let mut app = proof.layer(Router::new().fallback(any(report)));
    let set = format!(r#"{{"keys":[{}]}}"#, key.key().to_jwk().expect("public"));
    let shared = r#"{"keys":[{"kty":"oct","kid":"KID","alg":"HS256","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#
        .replace("KID", key.key().id().expect("a kid"));
    for (second, published, signer, accepted, fetches) in [
        (0, None, &key, false, 1),
        (9, Some(&set), &key, false, 1),
        (10, Some(&set), &key, true, 2),
        (19, Some(&set), &key, true, 2),
        (309, None, &key, true, 2),
        // Due, but unavailable: the known key stays valid for an hour after its fetch.
        (310, None, &key, true, 3),
        (319, None, &key, true, 3),
        (3_609, None, &key, true, 4),
        (3_620, None, &key, false, 5),
        (3_630, Some(&set), &key, true, 6),
        // A published shared secret is never a key.
        (4_000, Some(&shared), &key, false, 7),
    ] {
        NOW.store(NOON + second, Ordering::SeqCst);
        *text.lock().expect("not poisoned") = published.cloned();
        let edge = Edge {
            issued_at: NOON + second,
            ..get("/")
        };
        let request = Request::builder()
            .uri("/")
            .header(ASSERTION, edge.with_key(signer));
        let Ok(response): Result<Response<Body>, _> = app
            .call(request.body(Body::empty()).expect("a request"))
            .await;
        assert_eq!(response.status().is_success(), accepted, "{second}");
        assert_eq!(calls.load(Ordering::SeqCst), fetches, "{second}");
    }
}

#[tokio::test]
async fn the_extractor_rejects_every_request_without_the_layer() {
    let mut app = Router::new().fallback(any(report));
    let request = Request::builder()
        .uri("/")
        .body(Body::empty())
        .expect("a request");
    let Ok(response) = app.call(request).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[test]
fn invalid_settings_are_rejected_and_never_printed() {
    let short = SECRET.trim_start_matches('0');
    for secrets in [
        &[][..],
        &[short],
        &[SECRET, short],
        &[SECRET, NEXT, SECRET],
        &["a b c d e f g h i j k l m n o p q"],
    ] {
        let error = Some(SettingError::Secrets);
        assert_eq!(
            EdgeProof::secret(secrets.iter().copied()).err(),
            error,
            "{secrets:?}"
        );
        assert_eq!(
            EdgeProof::shared_key(ORIGIN, secrets.iter().copied()).err(),
            error
        );
    }
    let oct = r#"{"keys":[{"kty":"oct","kid":"a","alg":"HS256","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#;
    for keys in ["", "{}", r#"{"keys":[]}"#, oct] {
        assert_eq!(
            EdgeProof::keys(ORIGIN, keys).err(),
            Some(SettingError::Keys),
            "{keys}"
        );
    }
    let proof = EdgeProof::secret([SECRET]).expect("settings");
    assert!(!format!("{proof:?}").contains(SECRET));
    let beyond = proof.clone().with_leeway(Duration::from_secs(61));
    assert_eq!(beyond.err(), Some(SettingError::Leeway));
    assert_eq!(
        proof.with_identity_prefix("x-portcullis-").err(),
        Some(SettingError::Prefix)
    );
}

/// `token` with one change: a flipped bit of the decoded text of a part, or a cut end.
fn altered(token: &str, part: usize, place: usize, bit: u8) -> String {
    let mut parts: Vec<Vec<u8>> = token
        .split('.')
        .map(|part| base64url::decode(part).expect("canonical"))
        .collect();
    let bytes = &mut parts[part];
    let place = place.checked_rem(bytes.len()).expect("not empty");
    bytes[place] ^= 1 << bit;
    let parts: Vec<_> = parts.iter().map(|part| base64url::encode(part)).collect();
    parts.join(".")
}

proptest! {
    #[test]
    fn forgery_by_any_altered_bit_of_an_assertion_fails(part in 0_usize..3, place: usize, bit in 0_u8..8) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let claims = caller();
        let token = Edge { caller: Some(&claims), ..get("/a?b") }.with_secret(SECRET);
        let forged = altered(&token, part, place, bit);
        let proof = EdgeProof::shared_key(ORIGIN, [SECRET]).expect("settings");
        let headers = [(ASSERTION, forged.as_str())];
        prop_assert!(runtime.block_on(reason(&proof, "GET", "/a?b", &headers)).is_some());
        let headers = [(ASSERTION, token.as_str())];
        prop_assert_eq!(runtime.block_on(reason(&proof, "GET", "/a?b", &headers)), None);
    }

    #[test]
    fn no_text_in_place_of_an_assertion_panics_or_passes(text in "[ -~]{0,300}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let proof = EdgeProof::shared_key(ORIGIN, [SECRET]).expect("settings");
        let found = runtime.block_on(reason(&proof, "GET", "/", &[(ASSERTION, &text)]));
        prop_assert!(found.is_some());
    }
}
