//! Network faults during writes, and the state they must leave behind.

use core::error::Error;

use portcullis_aws::client::Client;
use portcullis_aws::error::CallError;
use portcullis_core::audit::{AuditKind, KeyAct};
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_core::password::PasswordHash;
use portcullis_core::revocation::{Revocation, RevocationTarget, TokenIds};
use portcullis_service::store::{
    AccountStore as _, AuditStore as _, KeyChangeStore as _, KeyStore as _, RevocationStore as _,
    SessionStore as _, StoreError, WriteOutcome,
};
use tokio::net::TcpListener;

use crate::engine::{
    Engine, NOON, ada, audit_trail, client_of, event, id, rehashed, row, session, store, welcome,
};
use crate::wire::{Fault, Wire};

const THROTTLED: Fault = Fault::Answer(
    400,
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}"#,
);
const CONTENDED: Fault = Fault::Answer(
    400,
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "CancellationReasons":[{"Code":"None"},{"Code":"TransactionConflict"}]}"#,
);
const FAILED: Fault = Fault::Answer(500, r#"{"__type":"x#InternalServerError"}"#);
const BALANCER: Fault = Fault::Answer(503, "<html>Service Unavailable</html>");
const ELSEWHERE: Fault = Fault::Answer(200, "<html>Please log in to the network</html>");

/// Every fault that a retry fixes.
fn curable() -> Vec<Fault> {
    vec![
        Fault::Refuse,
        Fault::LoseAnswer,
        Fault::CutAnswer,
        Fault::SpoilAnswer,
        THROTTLED,
        CONTENDED,
        FAILED,
        BALANCER,
        ELSEWHERE,
    ]
}

fn revoked() -> [Revocation; 1] {
    [Revocation {
        target: RevocationTarget::Token("t1".to_owned()),
        until: NOON.plus(core::time::Duration::from_secs(600)),
    }]
}

fn document() -> KeyDocument {
    let jwk = br#"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"k1",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    KeyDocument::default().with(VerifyingKey::parse(jwk).unwrap(), NOON)
}

/// Every write of the ports in sequence, each through `faults`.
async fn write_everything(client: &Client<Wire>, faults: &[Fault]) -> Result<(), StoreError> {
    let order = || client.transport().order(faults.iter().cloned());
    let done = |written| assert_eq!(written, WriteOutcome::Applied, "{faults:?}");
    let stronger = PasswordHash::parse("$argon2id$v=19$m=65536,t=3,p=1$c2FsdA$bmV3").unwrap();
    let store = store(client);
    order();
    done(
        store
            .register(
                &ada(),
                &welcome(&ada()),
                &event(AuditKind::Registered, "r1"),
            )
            .await?,
    );
    order();
    let renewed = event(AuditKind::PasswordRehashed, "r2");
    done(
        store
            .change_account(&ada(), &rehashed(&stronger), &renewed)
            .await?,
    );
    order();
    done(
        store
            .open_session(&session("s1"), &event(AuditKind::LoggedIn, "r3"))
            .await?,
    );
    order();
    let published = event(AuditKind::KeysChanged(KeyAct::Publish), "r4");
    done(store.change_keys(&document(), None, &published).await?);
    order();
    store.announce(&revoked(), NOON, &id("r5")).await?;
    order();
    let line = event(AuditKind::LoggedOut, "r6");
    store.record(&line).await?;
    order();
    let ended = event(AuditKind::LoggedOut, "r7");
    store
        .end_session(&id("s1"), &revoked(), NOON, None, &ended)
        .await?;
    client.transport().order([]);
    Ok(())
}

/// Every write exists exactly once.
async fn call_each_operation(client: &Client<Wire>, faults: &[Fault]) {
    let account = store(client).account(&ada().email).await.unwrap().unwrap();
    assert_eq!(account.version, 2, "{faults:?}");
    assert_eq!(store(client).key_document().await.unwrap().version(), 1);
    let gone = row(client, "Portcullis", "SID#s1", "SESSION").await;
    assert!(gone.is_null(), "{faults:?}");
    // One of `announce`, one of `end_session`.
    let feed = store(client).feed(NOON, NOON).await.unwrap();
    assert_eq!(feed.len(), 2, "{faults:?}");
    assert_eq!(audit_trail(client).await.len(), 6, "{faults:?}");
}

#[tokio::test]
async fn one_fault_of_any_kind_neither_loses_nor_duplicates_a_write() {
    for fault in curable() {
        let engine = Engine::start().await;
        let client = engine.client();
        let faults = [fault];
        write_everything(&client, &faults).await.unwrap();
        call_each_operation(&client, &faults).await;
    }
}

#[tokio::test]
async fn two_faults_in_a_row_neither_lose_nor_duplicate_a_write() {
    for fault in curable() {
        for faults in [
            [Fault::LoseAnswer, fault.clone()],
            [fault, Fault::CutAnswer],
        ] {
            let engine = Engine::start().await;
            let client = engine.client();
            write_everything(&client, &faults).await.unwrap();
            call_each_operation(&client, &faults).await;
        }
    }
}

#[tokio::test]
async fn a_retry_recognises_its_own_rows_after_the_server_forgot_the_token() {
    let engine = Engine::start().await;
    let client = engine.client();
    let lost = [Fault::LoseAnswer, Fault::ForgetToken];
    let order = || client.transport().order(lost.clone());
    let store = store(&client);
    let stronger = PasswordHash::parse("$argon2id$v=19$m=65536,t=3,p=1$c2FsdA$bmV3").unwrap();
    order();
    let registered = event(AuditKind::Registered, "r1");
    let end = store
        .register(&ada(), &welcome(&ada()), &registered)
        .await
        .unwrap();
    assert_eq!(end, WriteOutcome::Applied);
    assert_eq!(client.transport().sent().len(), 2);
    order();
    let renewed = event(AuditKind::PasswordRehashed, "r2");
    let end = store
        .change_account(&ada(), &rehashed(&stronger), &renewed)
        .await
        .unwrap();
    assert_eq!(end, WriteOutcome::Applied);
    assert_eq!(client.transport().sent().len(), 2);
    order();
    let logged_in = event(AuditKind::LoggedIn, "r3");
    let end = store
        .open_session(&session("s1"), &logged_in)
        .await
        .unwrap();
    assert_eq!(end, WriteOutcome::Applied);
    assert_eq!(client.transport().sent().len(), 2);
    client.transport().order([]);
    assert_eq!(audit_trail(&client).await.len(), 3);
}

#[tokio::test]
async fn a_permanent_fault_is_an_error_that_names_the_operation_and_no_personal_data() {
    for fault in curable() {
        let engine = Engine::start().await;
        let client = engine.client();
        client
            .transport()
            .order([fault.clone(), fault.clone(), fault.clone()]);
        let registered = event(AuditKind::Registered, "r1");
        let error = store(&client)
            .register(&ada(), &welcome(&ada()), &registered)
            .await
            .unwrap_err();
        assert_eq!(client.transport().sent().len(), 3, "{fault:?}");
        let text = chain(&error);
        assert!(
            text.starts_with("registering an account failed in the store: "),
            "{text}"
        );
        for private in [
            "ada",
            "example.com",
            "argon2",
            "swordfish",
            "AKID",
            "192.0.2",
        ] {
            assert!(!text.contains(private), "{text}");
        }
    }
}

/// The text for a log: the error, all its sources, and its debug form.
fn chain(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    format!("{text} {error:?}")
}

#[tokio::test]
async fn an_error_that_a_retry_cannot_fix_is_not_retried() {
    for code in [
        r#"{"__type":"x#ValidationException"}"#,
        r#"{"__type":"x#ResourceNotFoundException"}"#,
        r#"{"__type":"x#AccessDeniedException"}"#,
        r#"{"__type":"x#ExpiredTokenException"}"#,
        r#"{"__type":"x#UnrecognizedClientException"}"#,
        r#"{"__type":"x#ItemCollectionSizeLimitExceededException"}"#,
        r#"{"__type":"x#IdempotentParameterMismatchException"}"#,
    ] {
        let engine = Engine::start().await;
        let client = engine.client();
        client.transport().order([Fault::Answer(400, code)]);
        let registered = event(AuditKind::Registered, "r1");
        assert!(
            store(&client)
                .register(&ada(), &welcome(&ada()), &registered)
                .await
                .is_err()
        );
        assert_eq!(client.transport().sent().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_error_and_nothing_is_sent_after_it() {
    let engine = Engine::start().await;
    let client = engine.client();
    client.transport().order([Fault::Answer(307, "{}")]);
    assert!(store(&client).account(&ada().email).await.is_err());
    assert_eq!(client.transport().sent(), ["GetItem"]);
}

#[tokio::test]
async fn a_partial_revocation_lookup_is_an_error_and_never_an_absence() {
    let engine = Engine::start().await;
    let client = engine.client();
    let unread = Fault::Answer(
        200,
        r#"{"Responses":{"TokenBlacklist":[]},"UnprocessedKeys":{"TokenBlacklist":{"Keys":[
            {"PK":{"S":"TOKEN#t1"},"SK":{"S":"REVOKED"}}],"ConsistentRead":true}}}"#,
    );
    let token = TokenIds {
        issuer: "https://id.example",
        subject: "u-ada",
        token_id: "t1",
        session_id: None,
        generation: None,
        key_id: "k1",
    };
    let ended = event(AuditKind::LoggedOut, "r1");
    store(&client)
        .end_session(&id("s9"), &revoked(), NOON, None, &ended)
        .await
        .unwrap();
    client
        .transport()
        .order([unread.clone(), unread.clone(), unread.clone()]);
    assert!(store(&client).revocations_of(token).await.is_err());
    client.transport().order([unread]);
    let known = store(&client).revocations_of(token).await.unwrap();
    assert!(known.contains(token));
}

#[tokio::test]
async fn an_unreadable_feed_minute_fails_the_whole_poll() {
    let engine = Engine::start().await;
    let client = engine.client();
    let to = NOON.plus(core::time::Duration::from_secs(60));
    client
        .transport()
        .order([Fault::Pass, THROTTLED, THROTTLED]);
    assert!(store(&client).feed(NOON, to).await.is_ok());
    client
        .transport()
        .order([Fault::Pass, THROTTLED, THROTTLED, THROTTLED]);
    assert!(store(&client).feed(NOON, to).await.is_err());
}

#[tokio::test]
async fn an_unreachable_database_is_an_error_until_it_is_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = client_of(address);
    let error = store(&client).account(&ada().email).await.unwrap_err();
    let source = error.source().unwrap().downcast_ref::<CallError>().unwrap();
    assert!(!source.may_have_executed());
    assert_eq!(client.transport().sent().len(), 3);
}
