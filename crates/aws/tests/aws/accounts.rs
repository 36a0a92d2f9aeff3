//! Accounts: created once, read back, and changed only on the version that was read.

use portcullis_core::audit::AuditKind;
use portcullis_core::email::EmailAddress;
use portcullis_core::password::PasswordHash;
use portcullis_service::store::{Account, AccountStore as _, AuditStore as _, WriteOutcome};
use serde_json::{Value, json};

use crate::engine::{Engine, ada, audit_trail, event, id, rehashed, row, store, welcome};

#[tokio::test]
async fn registration_writes_five_rows_and_the_account_is_found_under_any_spelling() {
    let engine = Engine::start().await;
    let client = engine.client();
    let registered = event(AuditKind::Registered, "r1");
    let before = client.consumed();
    let written = store(&client)
        .register(&ada(), &welcome(&ada()), &registered)
        .await
        .unwrap();
    assert_eq!(written, WriteOutcome::Applied);
    // A transaction costs two units for each row, and each row is below 1 KB.
    assert_eq!(client.consumed().since(before).write_halves, 5 * 2 * 2);

    let typed = EmailAddress::parse("ADA@example.COM").unwrap();
    let read = store(&client).account(&typed).await.unwrap().unwrap();
    assert_eq!(format!("{read:?}"), format!("{:?}", ada()));
    assert_eq!(read.password.as_phc(), ada().password.as_phc());

    let user = row(&client, "Portcullis", "USER#ada@example.com", "PROFILE").await;
    assert_eq!(user["request_id"], json!({"S": "r1"}));
    let by_id = row(&client, "Portcullis", "ID#u-ada", "USER").await;
    assert_eq!(by_id["email"], json!({"S": "ada@example.com"}));
    let domain = row(
        &client,
        "Portcullis",
        "EMAIL#example.com",
        "USER#ada@example.com",
    )
    .await;
    assert_eq!(domain["created_at"], json!({"N": "1795435200"}));
    assert_eq!(
        audit_trail(&client).await,
        [("register".to_owned(), "success".to_owned())]
    );
}

#[tokio::test]
async fn an_unknown_address_has_no_account() {
    let engine = Engine::start().await;
    let client = engine.client();
    let missing = store(&client).account(&ada().email).await.unwrap();
    assert!(missing.is_none());
}

#[tokio::test]
async fn registering_a_taken_address_writes_nothing_of_the_second_account() {
    let engine = Engine::start().await;
    let client = engine.client();
    let second = Account {
        user_id: id("u-eve"),
        ..ada()
    };
    let kind = AuditKind::Registered;
    let first = store(&client)
        .register(&ada(), &welcome(&ada()), &event(kind, "r1"))
        .await;
    assert_eq!(first.unwrap(), WriteOutcome::Applied);
    let again = store(&client)
        .register(&second, &welcome(&second), &event(kind, "r2"))
        .await;
    assert_eq!(again.unwrap(), WriteOutcome::Conflict);
    // Not even with the request id of the first account.
    let borrowed = store(&client)
        .register(&second, &welcome(&second), &event(kind, "r1"))
        .await;
    assert_eq!(borrowed.unwrap(), WriteOutcome::Conflict);

    assert_eq!(
        row(&client, "Portcullis", "ID#u-eve", "USER").await,
        Value::Null
    );
    assert_eq!(audit_trail(&client).await.len(), 1);
    let kept = store(&client).account(&ada().email).await.unwrap().unwrap();
    assert_eq!(kept.user_id, id("u-ada"));
}

#[tokio::test]
async fn of_two_concurrent_registrations_of_an_address_one_succeeds() {
    let engine = Engine::start().await;
    let (one, other) = (engine.client(), engine.client());
    let second = Account {
        user_id: id("u-eve"),
        ..ada()
    };
    let (first, again) = (
        event(AuditKind::Registered, "r1"),
        event(AuditKind::Registered, "r2"),
    );
    let (account, here, there) = (ada(), store(&one), store(&other));
    let mails = [welcome(&account), welcome(&second)];
    let (a, b) = tokio::join!(
        here.register(&account, &mails[0], &first),
        there.register(&second, &mails[1], &again)
    );
    let mut ends = [a.unwrap(), b.unwrap()];
    ends.sort_by_key(|end| *end == WriteOutcome::Conflict);
    assert_eq!(ends, [WriteOutcome::Applied, WriteOutcome::Conflict]);
    assert_eq!(audit_trail(&one).await.len(), 1);
}

#[tokio::test]
async fn a_password_rehash_applies_only_to_the_version_that_was_read() {
    let engine = Engine::start().await;
    let client = engine.client();
    let registered = event(AuditKind::Registered, "r1");
    let _ = store(&client)
        .register(&ada(), &welcome(&ada()), &registered)
        .await
        .unwrap();
    let stronger = PasswordHash::parse("$argon2id$v=19$m=65536,t=3,p=1$c2FsdA$bmV3").unwrap();
    let kind = AuditKind::PasswordRehashed;
    let renewed = store(&client)
        .change_account(&ada(), &rehashed(&stronger), &event(kind, "r2"))
        .await;
    assert_eq!(renewed.unwrap(), WriteOutcome::Applied);
    let read = store(&client).account(&ada().email).await.unwrap().unwrap();
    assert_eq!(
        (read.version, read.password.as_phc()),
        (2, stronger.as_phc())
    );

    let stale = store(&client)
        .change_account(&ada(), &rehashed(&ada().password), &event(kind, "r3"))
        .await;
    assert_eq!(stale.unwrap(), WriteOutcome::Conflict);
    let read = store(&client).account(&ada().email).await.unwrap().unwrap();
    assert_eq!(
        (read.version, read.password.as_phc()),
        (2, stronger.as_phc())
    );
    assert_eq!(audit_trail(&client).await.len(), 2);
}

#[tokio::test]
async fn a_password_rehash_does_not_recreate_an_erased_account() {
    let engine = Engine::start().await;
    let client = engine.client();
    let renewed = event(AuditKind::PasswordRehashed, "r2");
    let end = store(&client)
        .change_account(&ada(), &rehashed(&ada().password), &renewed)
        .await;
    assert_eq!(end.unwrap(), WriteOutcome::Conflict);
    assert!(
        store(&client)
            .account(&ada().email)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn an_audit_entry_recorded_twice_is_stored_once() {
    let engine = Engine::start().await;
    let client = engine.client();
    let line = event(AuditKind::LoggedOut, "r1");
    store(&client).record(&line).await.unwrap();
    store(&client).record(&line).await.unwrap();
    assert_eq!(
        audit_trail(&client).await,
        [("logout".to_owned(), "success".to_owned())]
    );
}
