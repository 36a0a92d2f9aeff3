//! Refresh token families, session lists, and revocations.

use core::time::Duration;

use portcullis_core::audit::AuditKind;
use portcullis_core::id::Id;
use portcullis_core::refresh::RefreshHead;
use portcullis_core::revocation::{Revocation, RevocationTarget, TokenIds};
use portcullis_core::root_keys::{NONCE_BYTES, RootKeys};
use portcullis_core::secret::Secret;
use portcullis_core::session::{Device, Methods, Session};
use portcullis_core::time::UnixTime;
use portcullis_service::store::{
    Account, AccountStore as _, MAX_SESSIONS, RevocationStore as _, SessionStore as _, WriteOutcome,
};

use crate::engine::{
    Engine, NOON, ada, audit_trail, event, first, id, longest_email, root_keys, rows, session,
    store, welcome,
};
use crate::wire::Fault;

/// An engine on which Ada has the session `s1`.
async fn with_session() -> Engine {
    let engine = Engine::start().await;
    let client = engine.client();
    let registered = event(AuditKind::Registered, "r1");
    let mail = welcome(&ada());
    let made = store(&client).register(&ada(), &mail, &registered).await;
    assert_eq!(made.unwrap(), WriteOutcome::Applied);
    open(&engine, &session("s1"), "r2").await;
    engine
}

async fn open(engine: &Engine, session: &Session, request_id: &str) {
    let client = engine.client();
    let logged_in = event(AuditKind::LoggedIn, request_id);
    let opened = store(&client).open_session(session, &logged_in).await;
    assert_eq!(opened.unwrap(), WriteOutcome::Applied);
}

/// The successor of the first refresh head, with a secret of `byte`s.
fn next(byte: u8) -> RefreshHead {
    let (secret, idle_ends_at) = (Secret::new([byte; 32]), session("s1").head.idle_ends_at);
    let nonce = [byte; NONCE_BYTES];
    let (_token, head) = first("s1").advance(secret, nonce, &root_keys(), NOON, idle_ends_at);
    head
}

async fn head(engine: &Engine) -> RefreshHead {
    let client = engine.client();
    let family = store(&client).family(&id("s1")).await.unwrap();
    family.unwrap().session.head
}

#[tokio::test]
async fn a_refresh_head_advances_once_and_a_stale_read_cannot_restore_it() {
    let engine = with_session().await;
    let client = engine.client();
    let family = store(&client).family(&id("s1")).await.unwrap().unwrap();
    assert_eq!(family.account.unwrap().user_id, id("u-ada"));
    assert_eq!(
        format!("{:?}", family.session),
        format!("{:?}", session("s1"))
    );
    for (byte, request_id, end) in [
        (2, "r3", WriteOutcome::Applied),
        (3, "r4", WriteOutcome::Conflict),
        // A client may reuse a request id: the write is recognised by the secret's hash.
        (3, "r3", WriteOutcome::Conflict),
    ] {
        let line = event(AuditKind::Refreshed, request_id);
        let advanced = store(&client)
            .advance(&session("s1"), &next(byte), &line)
            .await;
        assert_eq!(advanced.unwrap(), end, "{byte} {request_id}");
    }
    assert!(head(&engine).await == next(2));
    assert_eq!(audit_trail(&client).await.len(), 3);
}

#[tokio::test]
async fn of_eight_hosts_that_refresh_one_head_one_succeeds() {
    let engine = with_session().await;
    let hosts: Vec<_> = (0..8).map(|_host| engine.client()).collect();
    let read = session("s1");
    let races = hosts.iter().zip(10..).map(|(client, byte)| {
        let line = event(AuditKind::Refreshed, &format!("race-{byte}"));
        let (read, next) = (&read, next(byte));
        async move {
            (
                next.clone(),
                store(client).advance(read, &next, &line).await,
            )
        }
    });
    let ends = futures_util::future::join_all(races).await;
    assert!(ends.iter().all(|(_, end)| end.is_ok()), "{ends:?}");
    let mut done = ends
        .iter()
        .filter(|(_, end)| matches!(end, Ok(WriteOutcome::Applied)));
    let (winner, _) = done.next().unwrap();
    assert!(done.next().is_none(), "{ends:?}");
    assert!(head(&engine).await == *winner);
}

#[tokio::test]
async fn a_refresh_with_a_lost_response_is_recognised_on_retry() {
    let engine = with_session().await;
    let client = engine.client();
    for faults in [
        vec![Fault::LoseAnswer],
        vec![Fault::LoseAnswer, Fault::ForgetToken],
    ] {
        let read = store(&client).family(&id("s1")).await.unwrap().unwrap();
        let generation = u8::try_from(read.session.head.generation).unwrap();
        let new = RefreshHead {
            generation: read.session.head.generation + 1,
            ..next(20 + generation)
        };
        let line = event(AuditKind::Refreshed, &format!("lost-{generation}"));
        client.transport().order(faults);
        let advanced = store(&client).advance(&read.session, &new, &line).await;
        assert_eq!(advanced.unwrap(), WriteOutcome::Applied);
        assert!(head(&engine).await == new);
    }
    assert_eq!(audit_trail(&client).await.len(), 4);
}

#[tokio::test]
async fn a_deleted_session_has_no_refresh_head_and_is_not_advanced() {
    let engine = with_session().await;
    let client = engine.client();
    assert!(store(&client).family(&id("s9")).await.unwrap().is_none());
    let ended = event(AuditKind::LoggedOut, "r3");
    let end = store(&client)
        .end_session(&id("s1"), &[], NOON, None, &ended)
        .await;
    end.unwrap();
    assert!(store(&client).family(&id("s1")).await.unwrap().is_none());
    let line = event(AuditKind::Refreshed, "r4");
    let advanced = store(&client)
        .advance(&session("s1"), &next(2), &line)
        .await;
    assert_eq!(advanced.unwrap(), WriteOutcome::Conflict);
    assert_eq!(rows(&client, "Portcullis", "SID#s1").await.len(), 0);
}

#[tokio::test]
async fn sessions_of_one_account_are_listed_newest_first_up_to_the_limit() {
    let engine = with_session().await;
    let client = engine.client();
    let eve = Account {
        user_id: id("u-eve"),
        email: portcullis_core::email::EmailAddress::parse("eve@example.com").unwrap(),
        ..ada()
    };
    let registered = event(AuditKind::Registered, "r3");
    let made = store(&client)
        .register(&eve, &welcome(&eve), &registered)
        .await;
    assert_eq!(made.unwrap(), WriteOutcome::Applied);
    let hers = Session {
        user_id: eve.user_id.clone(),
        email: eve.email.clone(),
        ..session("s-eve")
    };
    open(&engine, &hers, "r4").await;
    let most = u64::from(MAX_SESSIONS);
    for minute in 1..=most {
        let later = Session {
            opened_at: NOON.plus(Duration::from_secs(60 * minute)),
            methods: Methods::RecoveryCode,
            ..session(&format!("later-{minute}"))
        };
        open(&engine, &later, &format!("open-{minute}")).await;
    }
    let listed = store(&client).sessions(&ada().email).await.unwrap();
    let names: Vec<_> = listed
        .iter()
        .map(|session| session.id.to_string())
        .collect();
    let expected: Vec<_> = (1..=most)
        .rev()
        .map(|minute| format!("later-{minute}"))
        .collect();
    assert_eq!(names, expected, "the oldest, s1, is beyond the limit");
    assert!(
        listed
            .iter()
            .all(|session| session.methods == Methods::RecoveryCode)
    );
    let listed = store(&client).sessions(&eve.email).await.unwrap();
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn a_revocation_its_feed_row_and_its_audit_entry_are_written_atomically() {
    let engine = Engine::start().await;
    let client = engine.client();
    let revocable = TokenIds {
        issuer: "https://id.example",
        subject: "u-ada",
        token_id: "t1",
        session_id: None,
        generation: Some(0),
        key_id: "k1",
    };
    let revoked = [Revocation {
        target: RevocationTarget::Token("t1".to_owned()),
        until: NOON.plus(Duration::from_secs(600)),
    }];
    let line = event(AuditKind::AccessTokenRevoked, "r1");
    let throttled = Fault::Answer(
        400,
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}"#,
    );
    // Until the client gives up.
    client.transport().order(vec![throttled; 8]);
    let end = store(&client).put_revocation(&revoked, NOON, &line).await;
    assert!(end.is_err());
    client.transport().order([]);
    let known = store(&client).revocations_of(revocable).await.unwrap();
    assert!(!known.contains(revocable));
    assert_eq!(audit_trail(&client).await.len(), 0);
    assert_eq!(store(&client).feed(NOON, NOON).await.unwrap().len(), 0);

    client.transport().order([Fault::LoseAnswer]);
    store(&client)
        .put_revocation(&revoked, NOON, &line)
        .await
        .unwrap();
    let known = store(&client).revocations_of(revocable).await.unwrap();
    assert!(known.contains(revocable));
    assert_eq!(
        audit_trail(&client).await,
        [("revoke".to_owned(), "access_token".to_owned())]
    );
    assert_eq!(store(&client).feed(NOON, NOON).await.unwrap().len(), 1);
    // A repeated revocation always writes a row of the feed.
    let again = event(AuditKind::AccessTokenRevoked, "r2");
    store(&client)
        .put_revocation(&revoked, NOON, &again)
        .await
        .unwrap();
    assert_eq!(store(&client).feed(NOON, NOON).await.unwrap().len(), 2);
}

/// The session with the longest possible row, with the given client address.
fn longest(client_address: &str, root: &RootKeys) -> Session {
    let name = "s".repeat(22);
    let token = first(&name);
    let (secret, nonce) = (Secret::new([9; 32]), [9; NONCE_BYTES]);
    let idle_ends_at = session("s1").head.idle_ends_at;
    let (_next, head) = token.advance(secret, nonce, root, NOON, idle_ends_at);
    Session {
        user_id: id(&"u".repeat(22)),
        email: longest_email(),
        generation: u64::MAX,
        methods: Methods::Totp,
        device: Device::new(&"d".repeat(1_000)),
        client_address: client_address.to_owned(),
        head: RefreshHead {
            generation: u64::MAX,
            ..head
        },
        ..session(&name)
    }
}

#[tokio::test]
async fn the_longest_session_is_below_one_kilobyte_and_a_refresh_costs_four_units() {
    // A root key with the longest id: the encrypted successor starts with it.
    let root = format!(
        r#"{{"id":"{}","key":"0123456789abcdef0123456789abcdef"}}"#,
        "k".repeat(16)
    );
    let root = RootKeys::parse(root.as_bytes()).unwrap();
    let request_id = |letter: &str| -> Id { id(&letter.repeat(64)) };
    let longest_address = "2001:0db8:ffff:ffff:ffff:ffff:255.255.255.255";
    // Two rows in a transaction, two units each.
    for (client_address, units) in [
        (longest_address.to_owned(), 4),
        // The count if the row were larger than one kilobyte.
        ("a".repeat(200), 6),
    ] {
        let engine = Engine::start().await;
        let client = engine.client();
        let session = longest(&client_address, &root);
        assert!(session.head.sealed.is_some());
        let account = Account {
            user_id: session.user_id.clone(),
            email: session.email.clone(),
            generation: session.generation,
            ..ada()
        };
        let registered = event(AuditKind::Registered, "r1");
        let made = store(&client)
            .register(&account, &welcome(&account), &registered)
            .await;
        assert_eq!(made.unwrap(), WriteOutcome::Applied);
        open(&engine, &session, "r2").await;
        let line = portcullis_core::audit::AuditEvent {
            id: id(&"i".repeat(22)),
            user_id: Some(session.user_id.clone()),
            session_id: Some(session.id.clone()),
            client_address: longest_address.to_owned(),
            request_id: request_id("r"),
            ..event(AuditKind::Refreshed, "r3")
        };
        let next = RefreshHead {
            advanced_at: UnixTime::from_secs(u64::from(u32::MAX)),
            hash: [7; 32],
            ..session.head.clone()
        };
        let before = client.consumed();
        let advanced = store(&client).advance(&session, &next, &line).await;
        assert_eq!(advanced.unwrap(), WriteOutcome::Applied);
        let written = client.consumed().since(before).write_halves;
        assert_eq!(written, 2 * units, "{client_address}");
    }
}
