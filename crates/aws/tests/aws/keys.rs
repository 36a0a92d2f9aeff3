//! The key document: replaced version by version, and never read if it is malformed.

use core::error::Error as _;

use portcullis_aws::client::{ApiCall, Client};
use portcullis_aws::operation::Operation;
use portcullis_core::audit::{AuditKind, KeyAct};
use portcullis_core::keys::document::{KeyDocument, KeyDocumentError};
use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_service::store::{KeyChangeStore as _, KeyStore as _, StoreError, WriteOutcome};
use serde_json::json;

use crate::engine::{Engine, NOON, event, row, store, wire};
use crate::wire::Wire;

/// The public keys of RFC 8037 §A.2 and RFC 8032 §7.1 (TEST 2), the second under another `kid`.
fn key(name: &str, x: &str) -> VerifyingKey {
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": name, "x": x});
    VerifyingKey::parse(jwk.to_string().as_bytes()).unwrap()
}

fn first() -> KeyDocument {
    let key = key("k1", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    KeyDocument::default().with(key, NOON)
}

fn second() -> KeyDocument {
    first().with(
        key("k2", "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"),
        NOON,
    )
}

async fn publish(
    client: &Client<Wire>,
    document: &KeyDocument,
    request_id: &str,
) -> Result<WriteOutcome, StoreError> {
    let line = event(AuditKind::KeysChanged(KeyAct::Publish), request_id);
    store(client).change_keys(document, None, &line).await
}

#[tokio::test]
async fn the_key_document_is_empty_before_the_first_write_and_then_reads_back() {
    let engine = Engine::start().await;
    let client = engine.client();
    assert_eq!(store(&client).key_document().await.unwrap().version(), 0);
    for (document, request_id) in [(first(), "r1"), (second(), "r2")] {
        let written = publish(&client, &document, request_id).await;
        assert_eq!(written.unwrap(), WriteOutcome::Applied);
        let read = store(&client).key_document().await.unwrap();
        assert_eq!(read.to_json(), document.to_json());
    }
    let written = row(&client, "TokenBlacklist", "KEYS", "JWKS").await;
    assert_eq!(written["version"], json!({"N": "2"}));
}

#[tokio::test]
async fn only_the_next_version_replaces_a_key_document() {
    let engine = Engine::start().await;
    let client = engine.client();
    // A second version needs a first.
    let skipped = publish(&client, &second(), "r0").await;
    assert_eq!(skipped.unwrap(), WriteOutcome::Conflict);
    let _ = publish(&client, &first(), "r1").await.unwrap();
    let again = publish(&client, &first(), "r2").await;
    assert_eq!(again.unwrap(), WriteOutcome::Conflict);
    let empty = publish(&client, &KeyDocument::default(), "r3").await;
    assert_eq!(empty.unwrap(), WriteOutcome::Conflict);
    assert_eq!(store(&client).key_document().await.unwrap().version(), 1);
}

#[tokio::test]
async fn a_retried_request_recognises_its_own_key_document() {
    let engine = Engine::start().await;
    let client = engine.client();
    for _ in 0..2 {
        let written = publish(&client, &first(), "r1").await;
        assert_eq!(written.unwrap(), WriteOutcome::Applied);
    }
}

#[tokio::test]
async fn of_two_hosts_that_publish_a_key_document_together_one_succeeds() {
    let engine = Engine::start().await;
    let (one, other) = (engine.client(), engine.client());
    let document = first();
    let (a, b) = tokio::join!(
        publish(&one, &document, "r1"),
        publish(&other, &document, "r2"),
    );
    let mut ends = [a.unwrap(), b.unwrap()];
    ends.sort_by_key(|end| *end == WriteOutcome::Conflict);
    assert_eq!(ends, [WriteOutcome::Applied, WriteOutcome::Conflict]);
}

async fn put(client: &Client<Wire>, version: &str, document: &str) {
    let call = ApiCall::new(Operation::PutItem)
        .with("TableName", "TokenBlacklist")
        .with(
            "Item",
            wire(&json!({"PK": {"S": "KEYS"}, "SK": {"S": "JWKS"},
                "version": {"N": version}, "document": {"S": document}})),
        );
    client.call(&call, NOON).await.unwrap();
}

#[tokio::test]
async fn a_malformed_key_document_is_an_error() {
    let engine = Engine::start().await;
    let client = engine.client();
    let json = first().to_json();
    for (version, document) in [("1", "{"), ("1", "{}"), ("2", json.as_str())] {
        put(&client, version, document).await;
        let error = store(&client).key_document().await.unwrap_err();
        let source = error.source().unwrap().downcast_ref::<KeyDocumentError>();
        assert!(source.is_some(), "{document}");
    }
    put(&client, "1", &json).await;
    assert!(store(&client).key_document().await.is_ok());
}
