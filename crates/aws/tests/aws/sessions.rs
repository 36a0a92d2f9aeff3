//! Sessions: opened only on the version of the account that was read, and ended atomically.

use portcullis_core::audit::AuditKind;
use portcullis_core::revocation::{Revocation, RevocationTarget, TokenIds};
use portcullis_core::session::Session;
use portcullis_core::time::UnixTime;
use portcullis_service::store::{
    Account, AccountStatus, AccountStore as _, RevocationStore as _, SessionStore as _,
    WriteOutcome,
};
use serde_json::{Value, json};

use crate::engine::{
    Engine, NOON, ada, audit_trail, event, id, row, rows, session, store, welcome,
};

const ROW: &str = "SESSION#2026-11-23T12:00:00Z#s1";

fn revoked() -> [Revocation; 2] {
    let until = UnixTime::from_secs(NOON.as_secs() + 602);
    [
        RevocationTarget::Token("t1".to_owned()),
        RevocationTarget::Session("s1".to_owned()),
    ]
    .map(|target| Revocation { target, until })
}

#[tokio::test]
async fn a_session_is_stored_next_to_its_account_and_found_by_its_id() {
    let engine = Engine::start().await;
    let client = engine.client();
    let registered = event(AuditKind::Registered, "r1");
    let _ = store(&client)
        .register(&ada(), &welcome(&ada()), &registered)
        .await
        .unwrap();
    let before = client.consumed();
    let opened = store(&client)
        .open_session(&session("s1"), &event(AuditKind::LoggedIn, "r2"))
        .await;
    assert_eq!(opened.unwrap(), WriteOutcome::Applied);
    assert!(client.consumed().since(before).write_halves <= 12 * 2);

    let written = row(&client, "Portcullis", "USER#ada@example.com", ROW).await;
    assert_eq!(written["ttl"], json!({"N": "1796644800"}));
    assert_eq!(written["device"], json!({"S": "curl/8.0"}));
    let locator = row(&client, "Portcullis", "SID#s1", "SESSION").await;
    assert_eq!(locator["session_sk"], json!({"S": ROW}));
    assert_eq!(audit_trail(&client).await.len(), 2);
}

#[tokio::test]
async fn an_account_changed_since_the_read_gets_no_session() {
    let engine = Engine::start().await;
    let client = engine.client();
    let closed = Account {
        status: AccountStatus::Disabled,
        generation: 4,
        ..ada()
    };
    let registered = event(AuditKind::Registered, "r1");
    let logged_in = event(AuditKind::LoggedIn, "r2");
    // The account does not exist.
    let missing = store(&client)
        .open_session(&session("s1"), &logged_in)
        .await;
    assert_eq!(missing.unwrap(), WriteOutcome::Conflict);
    // The account is closed.
    let _ = store(&client)
        .register(&closed, &welcome(&closed), &registered)
        .await
        .unwrap();
    let current = Session {
        generation: 4,
        ..session("s1")
    };
    let refused = store(&client).open_session(&current, &logged_in).await;
    assert_eq!(refused.unwrap(), WriteOutcome::Conflict);
    assert_eq!(
        row(&client, "Portcullis", "SID#s1", "SESSION").await,
        Value::Null
    );
    assert_eq!(audit_trail(&client).await.len(), 1);
}

#[tokio::test]
async fn a_session_of_an_older_generation_is_not_opened() {
    let engine = Engine::start().await;
    let client = engine.client();
    let raised = Account {
        generation: 4,
        ..ada()
    };
    let registered = event(AuditKind::Registered, "r1");
    let _ = store(&client)
        .register(&raised, &welcome(&raised), &registered)
        .await
        .unwrap();
    for (generation, end) in [(3, WriteOutcome::Conflict), (4, WriteOutcome::Applied)] {
        let session = Session {
            generation,
            ..session("s1")
        };
        let logged_in = event(AuditKind::LoggedIn, &format!("r-{generation}"));
        let opened = store(&client).open_session(&session, &logged_in).await;
        assert_eq!(opened.unwrap(), end, "{generation}");
    }
}

#[tokio::test]
async fn a_duplicate_session_id_is_a_failure_and_no_login() {
    let engine = Engine::start().await;
    let client = engine.client();
    let registered = event(AuditKind::Registered, "r1");
    let _ = store(&client)
        .register(&ada(), &welcome(&ada()), &registered)
        .await
        .unwrap();
    let first = event(AuditKind::LoggedIn, "r2");
    let _ = store(&client)
        .open_session(&session("s1"), &first)
        .await
        .unwrap();
    let second = event(AuditKind::LoggedIn, "r3");
    assert!(
        store(&client)
            .open_session(&session("s1"), &second)
            .await
            .is_err()
    );
    assert_eq!(audit_trail(&client).await.len(), 2);
}

#[tokio::test]
async fn an_ended_session_is_deleted_revoked_and_published_in_one_transaction() {
    let engine = Engine::start().await;
    let client = engine.client();
    let registered = event(AuditKind::Registered, "r1");
    let _ = store(&client)
        .register(&ada(), &welcome(&ada()), &registered)
        .await
        .unwrap();
    let logged_in = event(AuditKind::LoggedIn, "r2");
    let _ = store(&client)
        .open_session(&session("s1"), &logged_in)
        .await
        .unwrap();
    client.transport().order([]);
    store(&client)
        .end_session(
            &id("s1"),
            &revoked(),
            NOON,
            None,
            &event(AuditKind::LoggedOut, "r3"),
        )
        .await
        .unwrap();
    assert_eq!(client.transport().sent(), ["GetItem", "TransactWriteItems"]);

    assert_eq!(
        row(&client, "Portcullis", "SID#s1", "SESSION").await,
        Value::Null
    );
    assert_eq!(
        row(&client, "Portcullis", "USER#ada@example.com", ROW).await,
        Value::Null
    );
    let token = row(&client, "TokenBlacklist", "TOKEN#t1", "REVOKED").await;
    assert_eq!(token["ttl"], json!({"N": "1795435802"}));
    assert_eq!(token["request_id"], json!({"S": "r3"}));
    let feed = rows(&client, "TokenBlacklist", "FEED#2026-11-23T12:00#0").await;
    assert_eq!(feed.len(), 2);
    assert_eq!(audit_trail(&client).await.len(), 3);
}

#[tokio::test]
async fn ending_a_deleted_session_still_revokes_it() {
    let engine = Engine::start().await;
    let client = engine.client();
    for request_id in ["r1", "r2"] {
        let logged_out = event(AuditKind::LoggedOut, request_id);
        store(&client)
            .end_session(&id("s1"), &revoked(), NOON, None, &logged_out)
            .await
            .unwrap();
    }
    let revocable = TokenIds {
        issuer: "https://id.example",
        subject: "u-ada",
        token_id: "t9",
        session_id: Some("s1"),
        generation: Some(0),
        key_id: "k1",
    };
    let known = store(&client).revocations_of(revocable).await.unwrap();
    assert!(known.contains(revocable));
    // A repeated revocation writes a new feed row.
    let feed = store(&client).feed(NOON, NOON).await.unwrap();
    assert_eq!(feed.len(), 4);
}
