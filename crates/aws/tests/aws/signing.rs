//! Signatures against AWS's own test suite, and against botocore's for the requests of this crate.

use core::time::Duration;
use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use portcullis_aws::client::{Client, Config};
use portcullis_aws::credentials::Credentials;
use portcullis_aws::dependency::Dependency;
use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_aws::endpoint::Region;
use portcullis_aws::secrets_manager::{SecretsManager, Version};
use portcullis_aws::sign::{CredentialScope, sign};
use portcullis_aws::transport::{Transport, TransportError};
use portcullis_core::audit::{AuditKind, KeyAct};
use portcullis_core::breaker::BreakerState;
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::revocation::{Revocation, RevocationTarget, TokenIds};
use portcullis_core::secret::Secret;
use portcullis_core::time::UnixTime;
use portcullis_service::signing::secret::Stage;
use portcullis_service::store::{
    AccountStore as _, AuditStore as _, KeyChangeStore as _, KeyStore as _, RevocationStore as _,
    SessionStore as _,
};
use serde_json::{Value, json};

use crate::engine::{NOON, ada, event, id, rehashed, session, welcome};

const SUITE: &str = include_str!("../../../../tests/vectors/aws/sigv4.json");
const BOTOCORE: &str = include_str!("../../../../tests/vectors/aws/botocore.json");

/// The excluded cases of the suite: this crate never sends such requests.
const LEFT_OUT: &[(&str, &str)] = &[
    (
        "-unnormalized",
        "only S3 signs paths unnormalized; this crate signs only /",
    ),
    (
        "post-sts-header-after",
        "a session token outside the signature: not used by our services",
    ),
    (
        "get-header-value-multiline",
        "line folding was removed from HTTP (RFC 9112 §5.2)",
    ),
    (
        "get-space-normalized",
        "a space in a request target is invalid (RFC 9112 §3.2)",
    ),
];

#[test]
fn signing_matches_the_aws_test_suite_except_for_justified_exclusions() {
    let suite: Vec<Value> = serde_json::from_str(SUITE).unwrap();
    let mut met = 0;
    for vector in &suite {
        let name = text(vector, "name");
        if LEFT_OUT
            .iter()
            .any(|(left_out, _reason)| name.ends_with(left_out))
        {
            continue;
        }
        let uri = format!("http://example.amazonaws.com{}", text(vector, "target"));
        let mut request = Request::new(Bytes::from(text(vector, "body").to_owned()));
        *request.method_mut() = Method::from_bytes(text(vector, "method").as_bytes()).unwrap();
        *request.uri_mut() = Uri::try_from(uri).unwrap();
        for header in vector["headers"].as_array().unwrap() {
            let field = HeaderName::try_from(header[0].as_str().unwrap()).unwrap();
            let value = HeaderValue::try_from(header[1].as_str().unwrap()).unwrap();
            request.headers_mut().append(field, value);
        }
        assert_eq!(
            authorization(request, vector),
            text(vector, "authorization"),
            "{name}"
        );
        met += 1;
    }
    assert_eq!((suite.len(), met), (38, 28));
}

#[tokio::test]
async fn botocore_creates_the_same_signatures_for_our_requests() {
    let requests = our_requests().await;
    let described: Vec<Value> = requests.iter().map(describe).collect();
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("requests.json");
    std::fs::write(kept, Value::from(described.clone()).to_string()).unwrap();

    let vectors: Vec<Value> = serde_json::from_str(BOTOCORE).unwrap();
    assert_eq!(
        vectors.len(),
        2 * requests.len(),
        "run sign_with_botocore.py"
    );
    for (place, vector) in vectors.iter().enumerate() {
        let (request, described) = (&requests[place / 2], &described[place / 2]);
        let target = text(vector, "x-amz-target");
        for member in ["uri", "content-type", "x-amz-target"] {
            assert_eq!(
                described[member], vector[member],
                "run sign_with_botocore.py: {target}"
            );
        }
        // The order of members does not change a request's meaning, but its signature.
        let (ours, signed) = (read(text(described, "body")), read(text(vector, "body")));
        assert_eq!(ours, signed, "run sign_with_botocore.py: {target}");
        let mut request = request.clone();
        *request.body_mut() = text(vector, "body").to_owned().into();
        for added in [
            "authorization",
            "x-amz-date",
            "x-amz-security-token",
            "accept-encoding",
        ] {
            request.headers_mut().remove(added);
        }
        assert_eq!(
            authorization(request, vector),
            text(vector, "authorization"),
            "{target}"
        );
    }
}

fn authorization(mut request: Request<Bytes>, vector: &Value) -> String {
    let secret = Secret::new(text(vector, "secret_access_key").to_owned());
    let mut key = Credentials::new(text(vector, "access_key_id"), secret);
    if let Some(token) = vector["session_token"].as_str() {
        key = key.with_session_token(Secret::new(token.to_owned()));
    }
    let scope = CredentialScope {
        service: text(vector, "service"),
        region: text(vector, "region"),
    };
    let now = UnixTime::from_secs(vector["now"].as_u64().unwrap());
    sign(&mut request, scope, &key, now).unwrap();
    request.headers()["authorization"]
        .to_str()
        .unwrap()
        .to_owned()
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap()
}

fn read(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn describe(request: &Request<Bytes>) -> Value {
    let header = |name: &str| request.headers()[name].to_str().unwrap();
    json!({
        "uri": request.uri().to_string(),
        "content-type": header("content-type"),
        "x-amz-target": header("x-amz-target"),
        "body": core::str::from_utf8(request.body()).unwrap(),
    })
}

/// Returns the same response to every request, and records the requests.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Request<Bytes>>>);

impl Transport for Recorder {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.0.lock().unwrap().push(request);
        let answer = r#"{"Items":[],"Responses":{},"VersionId":"v1","SecretString":"x"}"#;
        Ok(Response::new(Bytes::from_static(answer.as_bytes())))
    }

    async fn sleep(&self, _span: Duration) {}

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn on_breaker_change(&self, _way: Dependency, _standing: BreakerState) {}
}

/// One request of every kind that the store and Secrets Manager send.
async fn our_requests() -> Vec<Request<Bytes>> {
    let key = Credentials::new("AKIDEXAMPLE", Secret::new("swordfish".to_owned()));
    let config = Config::of(Region::parse("eu-central-1").unwrap()).unwrap();
    let client = Client::new(Recorder::default(), key, config, 7);
    let store = DynamoStore::at(&client, NOON);
    let token = TokenIds {
        issuer: "https://id.example",
        subject: "Zoë",
        token_id: "t1",
        session_id: Some("s1"),
        generation: Some(0),
        key_id: "k1",
    };
    let revoked = [
        RevocationTarget::Token("t1".to_owned()),
        RevocationTarget::Subject {
            issuer: "https://id.example".to_owned(),
            subject: "Zoë".to_owned(),
            generation: 1,
        },
    ]
    .map(|target| Revocation {
        target,
        until: NOON,
    });
    let of = |kind| event(kind, "r1");
    let _ = store.account(&ada().email).await.unwrap();
    let _ = store
        .register(&ada(), &welcome(&ada()), &of(AuditKind::Registered))
        .await
        .unwrap();
    let renewed = of(AuditKind::PasswordRehashed);
    let _ = store
        .change_account(&ada(), &rehashed(&ada().password), &renewed)
        .await
        .unwrap();
    let _ = store
        .open_session(&session("s1"), &of(AuditKind::LoggedIn))
        .await
        .unwrap();
    let ended = of(AuditKind::LoggedOut);
    store
        .end_session(&id("s1"), &revoked, NOON, None, &ended)
        .await
        .unwrap();
    let _ = store.revocations_of(token).await.unwrap();
    let _ = store.feed(NOON, NOON).await.unwrap();
    let _ = store.key_document().await.unwrap();
    let published = of(AuditKind::KeysChanged(KeyAct::Publish));
    let _ = store
        .change_keys(&KeyDocument::default(), None, &published)
        .await
        .unwrap();
    store.record(&ended).await.unwrap();
    let secrets = SecretsManager::at(&client, NOON);
    let _ = secrets
        .value("signing", Version::Stage(Stage::Current))
        .await
        .unwrap();
    let _ = secrets.describe("signing").await.unwrap();
    let value = Secret::new("hunter2".to_owned());
    secrets
        .put("signing", "v2", &value, Stage::Pending)
        .await
        .unwrap();
    secrets
        .move_stage("signing", Stage::Current, Some("v1"), "v2")
        .await
        .unwrap();
    client.transport().0.lock().unwrap().clone()
}
