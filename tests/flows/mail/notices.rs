//! Notices to the owner about every change of the account: each is in the transaction of its change.

use http::Method;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::time::UnixTime;
use portcullis_host::clock::RequestClock;
use portcullis_host::tasks;
use portcullis_service::administer::{self, AccountRef, AdminOutcome};
use portcullis_service::ports::{RequestMeta, SecureRandom as _};
use portcullis_tests::mailbox::letters;
use portcullis_tests::system::{CHEAP, Peer, System};
use serde_json::json;

use super::Dispatcher;
use crate::factors::{call, code};
use crate::{EMAIL, PASSWORD, claims, token};

const NEXT: &str = "another long password";

#[derive(Clone, Copy, Debug)]
enum Act<'a> {
    Disable,
    Enable,
    LogOut,
    End(&'a Id),
    Delete,
}

/// Runs an operator's command as the CLI does, on the host of `peer`.
async fn operate(peer: &Peer, now: u64, act: Act<'_>) -> AdminOutcome {
    let host = &peer.host;
    let asked = RequestMeta {
        now: UnixTime::from_secs(now),
        request_id: host.random.id().expect("entropy"),
        client_address: "operator:grace".to_owned(),
    };
    let store = host.store(asked.now);
    let Ok(ctx) = host.ctx(&store, &asked).await else {
        panic!("the host's secrets are there");
    };
    let clock = RequestClock::new(host.clock.as_ref(), asked.now);
    let subject = AccountRef::Email(EmailAddress::parse(EMAIL).expect("an address"));
    match act {
        Act::Disable => administer::disable(&subject, &clock, ctx).await,
        Act::Enable => administer::enable(&subject, ctx).await,
        Act::LogOut => administer::log_out(&subject, &clock, ctx).await,
        Act::End(id) => administer::end_session(id, &clock, ctx).await,
        Act::Delete => administer::delete(&subject, &clock, ctx).await,
    }
    .expect("the store responds")
}

/// Delivers the waiting mail: it is one notice for each of `subjects`, to the owner.
async fn delivers(office: &Dispatcher, subjects: &[&str]) {
    let before = office.letters().len();
    assert_eq!(office.waiting().await, subjects.len(), "{subjects:?}");
    let _ = office.deliver().await;
    assert_eq!(office.waiting().await, 0);
    let mut new = office.letters().split_off(before);
    new.sort_by(|one, other| one.subject.cmp(&other.subject));
    assert_eq!(new.len(), subjects.len(), "{new:?}");
    for (notice, subject) in new.iter().zip(subjects) {
        assert!(notice.subject.contains(subject), "{notice:?}");
        assert!(notice.to.eq_ignore_ascii_case(EMAIL));
        let time = UnixTime::from_secs(office.system.clock.now()).day();
        assert!(notice.text.contains(&time), "{notice:?}");
        for part in [&notice.text, &notice.html] {
            for secret in ["login.example/v1/password/reset#", PASSWORD, NEXT] {
                assert!(!part.contains(secret), "{notice:?}");
            }
        }
        assert_eq!(notice.auto_submitted.as_deref(), Some("auto-generated"));
    }
}

/// A verified account, with an access token.
async fn verified() -> (Dispatcher, String) {
    let office = Dispatcher::open().await;
    let _ = office.peer.register(EMAIL, PASSWORD).await;
    let _ = office.deliver().await;
    let welcome = office.last();
    assert_eq!(welcome.auto_submitted.as_deref(), Some("auto-generated"));
    assert_eq!(office.verify(welcome.token()).await.status, 204);
    let bearer = token(&office.peer.login(EMAIL, PASSWORD).await);
    (office, bearer)
}

#[tokio::test]
async fn account_takeover_the_owner_is_notified_of_each_change_of_password_and_factor() {
    let (office, bearer) = verified().await;
    let (peer, clock) = (&office.peer, &office.system.clock);
    let body = json!({"current_password": "wrong password!", "new_password": NEXT});
    let path = "/v1/password/change";
    let refused = call(peer, Method::POST, path, &bearer, &body).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    delivers(&office, &[]).await;

    let body = json!({"current_password": PASSWORD, "new_password": NEXT});
    let bearer = token(&call(peer, Method::POST, path, &bearer, &body).await);
    delivers(&office, &["password for"]).await;

    let path = "/v1/factors/totp";
    let body = json!({"current_password": NEXT});
    let begun = call(peer, Method::POST, path, &bearer, &body).await;
    let secret = begun.json["secret"].as_str().expect("a secret").to_owned();
    // A pending factor changes nothing for the owner.
    delivers(&office, &[]).await;
    let body = json!({"code": code(&secret, clock.now())});
    let path = "/v1/factors/totp/confirm";
    let confirmed = call(peer, Method::POST, path, &bearer, &body).await;
    assert_eq!(confirmed.status, 200, "{confirmed:?}");
    delivers(&office, &["second factor was added"]).await;

    clock.pass(30);
    let body = json!({"current_password": NEXT, "code": code(&secret, clock.now())});
    let path = "/v1/factors/recovery-codes";
    let renewed = call(peer, Method::POST, path, &bearer, &body).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    delivers(&office, &["New recovery codes"]).await;

    clock.pass(30);
    let body = json!({"current_password": NEXT, "code": code(&secret, clock.now())});
    let removed = call(peer, Method::DELETE, "/v1/factors/totp", &bearer, &body).await;
    assert_eq!(removed.status, 204, "{removed:?}");
    delivers(&office, &["was removed"]).await;
}

#[tokio::test]
async fn the_owner_is_notified_of_each_change_by_the_operator() {
    let (office, bearer) = verified().await;
    let peer = &office.peer;
    let now = office.system.clock.now();
    let sid = claims(&bearer)["sid"]
        .as_str()
        .expect("a session")
        .to_owned();
    let sid = Id::parse(&sid).expect("an id");
    for (act, outcome, subjects) in [
        (Act::End(&sid), AdminOutcome::Done, &["A session of"][..]),
        // A repeated command changes nothing.
        (Act::End(&sid), AdminOutcome::Unchanged, &[]),
        (Act::LogOut, AdminOutcome::Done, &["All sessions"]),
        (Act::Disable, AdminOutcome::Done, &["was disabled"]),
        (Act::Disable, AdminOutcome::Unchanged, &[]),
        (Act::Enable, AdminOutcome::Done, &["enabled again"]),
        (Act::Enable, AdminOutcome::Unchanged, &[]),
    ] {
        assert_eq!(operate(peer, now, act).await, outcome, "{act:?}");
        delivers(&office, subjects).await;
    }
    // Deletion disables first. That notice is void: its account is gone.
    assert_eq!(operate(peer, now, Act::Delete).await, AdminOutcome::Done);
    assert_eq!(office.waiting().await, 2);
    let before = office.letters().len();
    let _ = office.deliver().await;
    let new = office.letters().split_off(before);
    assert_eq!((new.len(), office.waiting().await), (1, 0), "{new:?}");
    assert!(new[0].subject.contains("was deleted"), "{new:?}");
}

#[tokio::test]
async fn an_unverified_address_gets_no_notice() {
    let system = System::start().await.expect("a system");
    let folder = system.folder().join("mail");
    let changes = [
        ("PORTCULLIS_MAILBOX", folder.to_str().expect("UTF-8")),
        ("PORTCULLIS_REQUIRE_VERIFIED", "off"),
    ];
    let peer = system.another(CHEAP, &changes).await.expect("a host");
    let _ = peer.register(EMAIL, PASSWORD).await;
    let bearer = token(&peer.login(EMAIL, PASSWORD).await);
    let body = json!({"current_password": PASSWORD, "new_password": NEXT});
    let path = "/v1/password/change";
    token(&call(&peer, Method::POST, path, &bearer, &body).await);
    let now = system.clock.now();
    for act in [Act::LogOut, Act::Disable, Act::Delete] {
        assert_eq!(
            operate(&peer, now, act).await,
            AdminOutcome::Done,
            "{act:?}"
        );
        let _ = tasks::run_due(&peer.host).await.expect("a round");
    }
    let subjects: Vec<_> = letters(&folder)
        .into_iter()
        .map(|mail| mail.subject)
        .collect();
    assert!(
        subjects.iter().all(|subject| subject.starts_with("Verify")),
        "{subjects:?}"
    );
    let left = system.rows("Portcullis", "OUTBOX#").await.expect("rows");
    assert!(left.is_empty(), "{left:?}");
}
