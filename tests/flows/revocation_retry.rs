//! A retry of a revocation whose first response was `revocation_pending`: it holds, and it is
//! published again before the acknowledgement.

use std::future::ready;

use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::time::UnixTime;
use portcullis_host::clock::RequestClock;
use portcullis_service::administer::{self, AccountRef, AdminOutcome};
use portcullis_service::error::UseCaseError;
use portcullis_service::ports::{RequestMeta, SecureRandom as _};
use portcullis_tests::proxy::Fault;
use portcullis_tests::system::System;
use serde_json::json;

use crate::mail::Dispatcher;
use crate::refresh::{form, refresh_token};
use crate::sessions::call;
use crate::{EMAIL, PASSWORD, claims, is_problem, token, with_account};

const NEXT: &str = "another long password";

/// More writes than any use case attempts.
const MANY: usize = 16;

/// From here on every write takes three seconds: more than the feed's write bound.
fn slow_down(system: &System) {
    let clock = system.clock.clone();
    let fault = Fault::after(move || {
        clock.pass(3);
        ready(())
    });
    system
        .proxy
        .inject_often("TransactWriteItems", &fault, MANY);
}

/// The writes are fast again, and the late publications are beyond the reach of any edge.
fn recover(system: &System) {
    assert!(system.proxy.heal() > 0, "it gave up in time");
    system.clock.pass(60);
}

/// The number of feed rows with this second as stamp.
async fn stamped_now(system: &System) -> usize {
    let now = format!("{}#", UnixTime::from_secs(system.clock.now()));
    let rows = system.rows("TokenBlacklist", "FEED#").await.expect("rows");
    rows.iter()
        .filter(|row| row["SK"].as_str().is_some_and(|key| key.starts_with(&now)))
        .count()
}

async fn revoke(system: &System, token: &str) -> (u16, String) {
    let body = format!("client_id=portcullis&token={token}");
    let reply = form(&system.peer(), "/oauth2/revoke", &body, &[]).await;
    let code = reply.json["code"].as_str().unwrap_or_default().to_owned();
    (reply.status, code)
}

fn late() -> (u16, String) {
    (503, "revocation_pending".to_owned())
}

fn done() -> (u16, String) {
    (200, String::new())
}

#[tokio::test]
async fn a_retry_with_a_refresh_token_of_a_revoked_family_publishes_the_session_again() {
    let system = with_account().await;
    let login = system.peer().login(EMAIL, PASSWORD).await;
    let refresh_text = refresh_token(&login);
    slow_down(&system);
    assert_eq!(revoke(&system, &refresh_text).await, late());
    recover(&system);
    let left = system.rows("Portcullis", "SID#").await.expect("rows");
    assert!(left.is_empty(), "the first attempt ended it: {left:?}");
    assert_eq!(revoke(&system, &refresh_text).await, done());
    assert_eq!(stamped_now(&system).await, 1);

    // Late again, it is not acknowledged either.
    system.clock.pass(60);
    slow_down(&system);
    assert_eq!(revoke(&system, &refresh_text).await, late());
    recover(&system);
    // Once every token of the session has expired, nothing is left to publish.
    system.clock.pass(90_000);
    assert_eq!(revoke(&system, &refresh_text).await, done());
    assert_eq!(stamped_now(&system).await, 0);
}

#[tokio::test]
async fn a_retry_with_a_token_of_a_revoked_generation_publishes_it_again() {
    let system = with_account().await;
    let peer = system.peer();
    let one = token(&peer.login(EMAIL, PASSWORD).await);
    let two = token(&peer.login(EMAIL, PASSWORD).await);
    slow_down(&system);
    let all = call(&peer, "POST", "/v1/logout-all", &one).await;
    assert_eq!((all.status, all.code()), (503, "revocation_pending"));
    recover(&system);
    assert_eq!(revoke(&system, &two).await, done());
    assert_eq!(stamped_now(&system).await, 1);

    system.clock.pass(60);
    slow_down(&system);
    assert_eq!(revoke(&system, &two).await, late());
    recover(&system);
}

/// An operator's command.
#[derive(Clone, Copy)]
enum Act<'a> {
    Disable,
    Delete,
    End(&'a Id),
}

/// Runs it as the CLI does, by this system's clock.
async fn operate(system: &System, act: Act<'_>) -> Result<AdminOutcome, UseCaseError> {
    let host = &system.host;
    let asked = RequestMeta {
        now: UnixTime::from_secs(system.clock.now()),
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
        Act::Delete => administer::delete(&subject, &clock, ctx).await,
        Act::End(id) => administer::end_session(id, &clock, ctx).await,
    }
}

fn is_late(end: &Result<AdminOutcome, UseCaseError>) -> bool {
    matches!(end, Err(UseCaseError::NotConfirmed))
}

#[tokio::test]
async fn a_retry_on_a_disabled_account_publishes_the_end_of_its_sessions_again() {
    let system = with_account().await;
    token(&system.peer().login(EMAIL, PASSWORD).await);
    for _time in 0..2 {
        slow_down(&system);
        assert!(is_late(&operate(&system, Act::Disable).await));
        recover(&system);
    }
    let again = operate(&system, Act::Disable).await;
    assert_eq!(again.expect("announced"), AdminOutcome::Unchanged);
    assert_eq!(stamped_now(&system).await, 1);
    let rows = system.rows("TokenBlacklist", "FEED#").await.expect("rows");
    assert!(
        rows.iter().all(|row| row["generation"] == 1),
        "no step further: {rows:?}"
    );
}

#[tokio::test]
async fn an_account_is_removed_only_after_its_revocation_was_published_in_time() {
    let system = with_account().await;
    token(&system.peer().login(EMAIL, PASSWORD).await);
    for _time in 0..2 {
        slow_down(&system);
        assert!(is_late(&operate(&system, Act::Delete).await));
        recover(&system);
        let account = system.rows("Portcullis", "USER#").await.expect("rows");
        assert!(!account.is_empty(), "it is closed, and still there");
    }
    let again = operate(&system, Act::Delete).await;
    assert_eq!(again.expect("removed"), AdminOutcome::Done);
    assert_eq!(stamped_now(&system).await, 1);
    let left = system.rows("Portcullis", "USER#").await.expect("rows");
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_retry_of_sessions_end_publishes_again_and_an_unknown_session_is_unknown() {
    let system = with_account().await;
    let access = token(&system.peer().login(EMAIL, PASSWORD).await);
    let sid = claims(&access)["sid"].as_str().expect("sid").to_owned();
    let sid = Id::parse(&sid).expect("an id");
    for _time in 0..2 {
        slow_down(&system);
        assert!(is_late(&operate(&system, Act::End(&sid)).await));
        recover(&system);
    }
    let again = operate(&system, Act::End(&sid)).await;
    assert_eq!(again.expect("announced"), AdminOutcome::Unchanged);
    assert_eq!(stamped_now(&system).await, 1);

    system.clock.pass(60);
    let missing = Id::parse("unknown").expect("an id");
    let unknown = operate(&system, Act::End(&missing)).await;
    assert_eq!(unknown.expect("answered"), AdminOutcome::NoAccount);
    assert_eq!(stamped_now(&system).await, 0);
}

#[tokio::test]
async fn a_retry_of_a_password_change_publishes_the_end_of_the_other_sessions_again() {
    let system = with_account().await;
    let peer = system.peer();
    let bearer = token(&peer.login(EMAIL, PASSWORD).await);
    let change = async || {
        let body = json!({"current_password": PASSWORD, "new_password": NEXT});
        let path = "/v1/password/change";
        crate::factors::call(&peer, http::Method::POST, path, &bearer, &body).await
    };
    for _time in 0..2 {
        slow_down(&system);
        is_problem(&change().await, 503, "revocation_pending");
        recover(&system);
    }
    is_problem(&change().await, 401, "revoked");
    assert_eq!(stamped_now(&system).await, 1);
    let _ = token(&peer.login(EMAIL, NEXT).await);
}

#[tokio::test]
async fn a_retry_of_a_reset_or_of_the_first_proof_publishes_the_end_of_the_sessions_again() {
    for verify in [true, false] {
        let office = Dispatcher::open().await;
        let registered = office.peer.register(EMAIL, PASSWORD).await;
        assert_eq!(registered.status, 201);
        let _ = office.deliver().await;
        let first = office.last();
        if !verify {
            assert_eq!(office.verify(first.token()).await.status, 204);
            office.system.clock.pass(60);
            assert_eq!(office.forgot(EMAIL).await.status, 202);
            let _ = office.deliver().await;
        }
        let link = office.last();
        let redeem = async || match verify {
            true => office.verify(link.token()).await,
            false => office.reset(link.token(), NEXT).await,
        };
        for _time in 0..2 {
            slow_down(&office.system);
            is_problem(&redeem().await, 503, "revocation_pending");
            recover(&office.system);
        }
        is_problem(&redeem().await, 400, "bad_mail_token");
        assert_eq!(stamped_now(&office.system).await, 1);
        let password = if verify { PASSWORD } else { NEXT };
        let _ = token(&office.peer.login(EMAIL, password).await);
        // The mail may be sent again, but its link does not become valid again.
        let _ = office.deliver().await;
        is_problem(&redeem().await, 400, "bad_mail_token");
        // Another token, and this one after its lifetime, publish nothing.
        office.system.clock.pass(3_600);
        is_problem(&redeem().await, 400, "bad_mail_token");
        let forged = format!("{}x", link.token());
        is_problem(&office.reset(&forged, NEXT).await, 400, "bad_mail_token");
        assert_eq!(stamped_now(&office.system).await, 0);
    }
}
