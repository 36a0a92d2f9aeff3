//! Changes of an account: conditional on the version that was read, with the end of its sessions in
//! one transaction.

use portcullis_core::audit::AuditKind;
use portcullis_core::password::PasswordHash;
use portcullis_core::refresh::RefreshHead;
use portcullis_core::revocation::{Revocation, RevocationTarget, TokenIds};
use portcullis_core::time::UnixTime;
use portcullis_service::store::{
    Account, AccountChange, AccountStatus, AccountStore as _, KeptSession, RetainedSession,
    RevocationStore as _, SessionStore as _, SessionsEnd, TokensEnd, WriteOutcome,
};
use serde_json::json;

use crate::engine::{
    Engine, NOON, ada, audit_trail, event, id, row, rows, session, store, welcome,
};
use crate::wire::Fault;

const ISSUER: &str = "https://id.example";

/// Revokes every generation below `generation`.
fn below(generation: u64) -> Revocation {
    Revocation {
        target: RevocationTarget::Subject {
            issuer: ISSUER.to_owned(),
            subject: "u-ada".to_owned(),
            generation,
        },
        until: UnixTime::from_secs(NOON.as_secs() + 662),
    }
}

const fn token_of(generation: u64) -> TokenIds<'static> {
    TokenIds {
        issuer: ISSUER,
        subject: "u-ada",
        token_id: "t1",
        session_id: Some("s1"),
        generation: Some(generation),
        key_id: "k1",
    }
}

/// The head of `s1` after a password change.
fn replaced() -> RefreshHead {
    let head = session("s1").head;
    RefreshHead {
        generation: head.generation + 1,
        hash: [7; 32],
        sealed: None,
        ..head
    }
}

fn stronger() -> PasswordHash {
    PasswordHash::parse("$argon2id$v=19$m=65536,t=3,p=1$c2FsdA$bmV3").unwrap()
}

/// An engine in which Ada has two sessions.
async fn with_sessions() -> Engine {
    let engine = Engine::start().await;
    let client = engine.client();
    let registered = event(AuditKind::Registered, "r1");
    let _ = store(&client)
        .register(&ada(), &welcome(&ada()), &registered)
        .await
        .unwrap();
    for name in ["s1", "s2"] {
        let opened = store(&client)
            .open_session(&session(name), &event(AuditKind::LoggedIn, name))
            .await;
        assert_eq!(opened.unwrap(), WriteOutcome::Applied);
    }
    engine
}

#[tokio::test]
async fn each_attribute_of_an_account_changes_alone() {
    let engine = with_sessions().await;
    let client = engine.client();
    let (hash, moment) = (stronger(), UnixTime::from_secs(7));
    let nothing = AccountChange::default();
    let changes = [
        AccountChange {
            password: Some(&hash),
            ..nothing
        },
        AccountChange {
            verified_at: Some(moment),
            ..nothing
        },
        AccountChange {
            status: Some(AccountStatus::Disabled),
            ..nothing
        },
    ];
    let mut expected = ada();
    for (number, change) in changes.iter().enumerate() {
        let read = store(&client).account(&ada().email).await.unwrap().unwrap();
        let before = client.consumed();
        let line = event(AuditKind::PasswordRehashed, &format!("c{number}"));
        let end = store(&client).change_account(&read, change, &line).await;
        assert_eq!(end.unwrap(), WriteOutcome::Applied);
        assert_eq!(client.consumed().since(before).write_halves, 2 * 2 * 2);
        expected = Account {
            password: change.password.cloned().unwrap_or(expected.password),
            status: change.status.unwrap_or(expected.status),
            verified_at: change.verified_at.or(expected.verified_at),
            version: expected.version + 1,
            ..expected
        };
        let now = store(&client).account(&ada().email).await.unwrap().unwrap();
        assert_eq!(format!("{now:?}"), format!("{expected:?}"));
        assert_eq!(now.password.as_phc(), expected.password.as_phc());
    }
}

#[tokio::test]
async fn a_change_revokes_all_sessions_but_the_retained_one_in_one_transaction() {
    let engine = with_sessions().await;
    let client = engine.client();
    let (hash, revocation) = (stronger(), below(1));
    let kept = RetainedSession {
        id: id("s1"),
        opened_at: NOON,
    };
    let change = AccountChange {
        password: Some(&hash),
        sessions: Some(SessionsEnd {
            tokens: TokensEnd {
                revocation: &revocation,
                stamp: NOON,
            },
            kept: Some(KeptSession {
                session: &kept,
                read: &session("s1").head,
                next: &replaced(),
            }),
        }),
        ..AccountChange::default()
    };
    let before = client.consumed();
    let line = event(AuditKind::PasswordRehashed, "r2");
    let end = store(&client).change_account(&ada(), &change, &line).await;
    assert_eq!(end.unwrap(), WriteOutcome::Applied);
    // The account, the session, the revocation, its feed row and the audit row.
    assert_eq!(client.consumed().since(before).write_halves, 5 * 2 * 2);

    let account = store(&client).account(&ada().email).await.unwrap().unwrap();
    assert_eq!((account.generation, account.version), (1, 2));
    for (name, generation) in [("s1", "1"), ("s2", "0")] {
        let sort = format!("SESSION#2026-11-23T12:00:00Z#{name}");
        let session = row(&client, "Portcullis", "USER#ada@example.com", &sort).await;
        assert_eq!(session["generation"], json!({"N": generation}), "{name}");
    }
    // The retained session has its new refresh token, which no earlier one opens.
    let read = store(&client).session_of(&ada(), &kept).await;
    assert!(read.unwrap().unwrap().head == replaced());
    for (generation, revoked) in [(0, true), (1, false)] {
        let token = token_of(generation);
        let known = store(&client).revocations_of(token).await.unwrap();
        assert_eq!(known.contains(token), revoked, "{generation}");
    }
    let feed = rows(&client, "TokenBlacklist", "FEED#2026-11-23T12:00#0").await;
    assert_eq!(feed.len(), 1);
    assert_eq!(audit_trail(&client).await.len(), 4);

    // A second change of the same version changes nothing.
    let late = event(AuditKind::PasswordRehashed, "r3");
    let end = store(&client).change_account(&ada(), &change, &late).await;
    assert_eq!(end.unwrap(), WriteOutcome::Conflict);
    assert_eq!(audit_trail(&client).await.len(), 4);
}

#[tokio::test]
async fn a_session_whose_refresh_token_was_rotated_since_cannot_be_retained() {
    let engine = with_sessions().await;
    let client = engine.client();
    let revocation = below(1);
    let kept = RetainedSession {
        id: id("s1"),
        opened_at: NOON,
    };
    for read in [
        replaced(),
        RefreshHead {
            hash: [9; 32],
            ..session("s1").head
        },
    ] {
        let change = AccountChange {
            sessions: Some(SessionsEnd {
                tokens: TokensEnd {
                    revocation: &revocation,
                    stamp: NOON,
                },
                kept: Some(KeptSession {
                    session: &kept,
                    read: &read,
                    next: &replaced(),
                }),
            }),
            ..AccountChange::default()
        };
        let line = event(AuditKind::PasswordChanged, "r2");
        let end = store(&client).change_account(&ada(), &change, &line).await;
        assert_eq!(end.unwrap(), WriteOutcome::Conflict);
    }
    let read = store(&client).session_of(&ada(), &kept).await;
    assert!(read.unwrap().unwrap().head == session("s1").head);
    let other = Account {
        user_id: id("u-eve"),
        ..ada()
    };
    let read = store(&client).session_of(&other, &kept).await;
    assert!(read.unwrap().is_none());
}

#[tokio::test]
async fn a_deleted_session_cannot_be_retained() {
    let engine = with_sessions().await;
    let client = engine.client();
    let revocation = below(1);
    for (name, opened_at) in [
        ("s3", NOON),
        ("s1", UnixTime::from_secs(NOON.as_secs() + 1)),
    ] {
        let kept = RetainedSession {
            id: id(name),
            opened_at,
        };
        let change = AccountChange {
            sessions: Some(SessionsEnd {
                tokens: TokensEnd {
                    revocation: &revocation,
                    stamp: NOON,
                },
                kept: Some(KeptSession {
                    session: &kept,
                    read: &session("s1").head,
                    next: &replaced(),
                }),
            }),
            ..AccountChange::default()
        };
        let line = event(AuditKind::LoggedOut, "r2");
        let end = store(&client).change_account(&ada(), &change, &line).await;
        assert_eq!(end.unwrap(), WriteOutcome::Conflict, "{name}");
    }
    let account = store(&client).account(&ada().email).await.unwrap().unwrap();
    assert_eq!((account.generation, account.version), (0, 1));
}

#[tokio::test]
async fn a_revocation_with_a_higher_generation_stays_and_does_not_block_a_change() {
    let engine = with_sessions().await;
    let client = engine.client();
    // A restored table: its accounts are older than its revocations.
    let further = [below(9)];
    let line = event(AuditKind::LoggedOut, "r2");
    let ended = store(&client)
        .end_session(&id("s9"), &further, NOON, None, &line)
        .await;
    ended.unwrap();
    let revocation = below(1);
    let change = AccountChange {
        sessions: Some(SessionsEnd {
            tokens: TokensEnd {
                revocation: &revocation,
                stamp: NOON,
            },
            kept: None,
        }),
        ..AccountChange::default()
    };
    let line = event(AuditKind::LoggedOut, "r3");
    let end = store(&client).change_account(&ada(), &change, &line).await;
    assert_eq!(end.unwrap(), WriteOutcome::Applied);
    let account = store(&client).account(&ada().email).await.unwrap().unwrap();
    assert_eq!(account.generation, 1);
    let known = store(&client).revocations_of(token_of(8)).await.unwrap();
    assert!(known.contains(token_of(8)));
}

#[tokio::test]
async fn a_change_with_a_lost_response_is_recognised_and_another_with_its_request_id_is_a_conflict()
{
    let engine = with_sessions().await;
    let client = engine.client();
    let (hash, other) = (stronger(), ada().password);
    let change = |password| AccountChange {
        password: Some(password),
        ..AccountChange::default()
    };
    let line = event(AuditKind::PasswordRehashed, "r2");
    client
        .transport()
        .order([Fault::LoseAnswer, Fault::ForgetToken]);
    let end = store(&client)
        .change_account(&ada(), &change(&hash), &line)
        .await;
    assert_eq!(end.unwrap(), WriteOutcome::Applied);
    // The client retries with the same request id; the host writes its own audit entry.
    let again = portcullis_core::audit::AuditEvent {
        id: id("line-again"),
        ..line.clone()
    };
    for (password, end) in [
        (&hash, WriteOutcome::Applied),
        (&other, WriteOutcome::Conflict),
    ] {
        let written = store(&client)
            .change_account(&ada(), &change(password), &again)
            .await;
        assert_eq!(written.unwrap(), end);
    }
    assert_eq!(audit_trail(&client).await.len(), 4);
}
