//! Unlocking by mail, for an owner locked out by an attacker.

use bytes::Bytes;
use http::Request;
use portcullis_tests::system::Reply;
use serde_json::json;

use super::Dispatcher;
use crate::limits::device;
use crate::{EMAIL, PASSWORD, is_problem, token};

const WRONG: &str = "wrong horse battery";
const NEXT: &str = "another long password";
const NOBODY: &str = "nobody@example.com";

impl Dispatcher {
    /// With an account with a verified address.
    async fn open_with_account() -> Self {
        let office = Self::open().await;
        assert_eq!(office.peer.register(EMAIL, PASSWORD).await.status, 201);
        let _ = office.deliver().await;
        assert_eq!(office.verify(office.last().token()).await.status, 204);
        office
    }

    /// Fails a hundred logins in a row, at the rate that the limits allow.
    pub(crate) async fn lock(&self, email: &str) {
        for _attempt in 0..100 {
            let refused = self.peer.login(email, WRONG).await;
            is_problem(&refused, 401, "bad_credentials");
            self.system.clock.pass(360);
        }
    }

    pub(crate) async fn unlock(&self, token: &str) -> Reply {
        self.post("/v1/login/unlock", json!({"token": token})).await
    }

    async fn login_with(&self, cookie: &str) -> Reply {
        let body = json!({"email": EMAIL, "password": PASSWORD}).to_string();
        let request = Request::post("/v1/login")
            .header("content-type", "application/json")
            .header("cookie", format!("__Host-portcullis-device={cookie}"))
            .body(Bytes::from(body));
        self.peer.send(request.expect("a request")).await
    }
}

#[tokio::test]
async fn the_owner_of_a_locked_address_unlocks_a_browser_by_a_mailed_link() {
    let office = Dispatcher::open_with_account().await;
    office.lock(EMAIL).await;
    let before = office.letters().len();
    let locked = office.peer.login(EMAIL, PASSWORD).await;
    is_problem(&locked, 403, "login_locked");
    assert_eq!(office.deliver().await.mails_sent, 1);
    let letter = office.last();
    assert_eq!(letter.to, "Ann@example.com");
    assert!(
        letter
            .link()
            .starts_with("https://login.example/v1/login/unlock#"),
        "{}",
        letter.link()
    );
    // Further guesses send no further mail.
    for _attempt in 0..5 {
        is_problem(&office.peer.login(EMAIL, WRONG).await, 403, "login_locked");
    }
    assert_eq!(office.deliver().await.mails_sent, 0);
    assert_eq!(office.letters().len(), before + 1);

    // A mail scanner follows links, but presses no button.
    assert_eq!(office.peer.get("/v1/login/unlock").await.status, 200);
    let unlocked = office.unlock(letter.token()).await;
    assert_eq!(unlocked.status, 204, "{unlocked:?}");
    let cookie = device(&unlocked);
    token(&office.login_with(&cookie).await);
    let elsewhere = office.peer.login(EMAIL, PASSWORD).await;
    is_problem(&elsewhere, 403, "login_locked");

    is_problem(&office.unlock(letter.token()).await, 400, "bad_mail_token");
    assert_eq!(office.outcomes("login_unlock_mail").await, ["success"]);
    assert_eq!(office.outcomes("login_unlock_token").await, ["success"]);
    assert_eq!(
        office.outcomes("login_unlock").await,
        ["spent_token", "success"]
    );
}

#[tokio::test]
async fn enumeration_a_locked_address_without_an_account_gets_the_same_response_and_no_mail() {
    let office = Dispatcher::open_with_account().await;
    office.lock(EMAIL).await;
    office.lock(NOBODY).await;
    let written = || office.peer.host.client.consumed();
    // The host's caches are refreshed before the cost of a response is counted.
    let _ = office.peer.login("other@example.com", WRONG).await;
    let mut answers = Vec::new();
    for email in [EMAIL, NOBODY] {
        let before = written();
        let locked = office.peer.login(email, PASSWORD).await;
        is_problem(&locked, 403, "login_locked");
        let detail = locked.json["detail"].clone();
        let spent = written().since(before);
        answers.push((detail, spent.write_halves, spent.read_halves));
    }
    assert_eq!(answers.first(), answers.last());
    assert_eq!(office.waiting().await, 2);
    assert_eq!(office.deliver().await.mails_sent, 1);
    assert_eq!(office.last().to, "Ann@example.com");
    assert_eq!(office.waiting().await, 0);
}

#[tokio::test]
async fn an_expired_link_or_one_for_another_purpose_unlocks_nothing() {
    let office = Dispatcher::open_with_account().await;
    office.lock(EMAIL).await;
    is_problem(
        &office.peer.login(EMAIL, PASSWORD).await,
        403,
        "login_locked",
    );
    let _ = office.deliver().await;
    let late = office.last();
    is_problem(&office.verify(late.token()).await, 400, "bad_mail_token");
    is_problem(
        &office.reset(late.token(), NEXT).await,
        400,
        "bad_mail_token",
    );
    assert_eq!(office.forgot(EMAIL).await.status, 202);
    let _ = office.deliver().await;
    let reset = office.last();
    assert!(reset.link().contains("/v1/password/reset#"));
    is_problem(&office.unlock(reset.token()).await, 400, "bad_mail_token");
    office.system.clock.pass(3_600);
    is_problem(&office.unlock(late.token()).await, 400, "bad_mail_token");
    is_problem(&office.unlock("u1.x").await, 400, "bad_mail_token");
    // A second mail arrives, and the first link stays valid.
    is_problem(
        &office.peer.login(EMAIL, PASSWORD).await,
        403,
        "login_locked",
    );
    assert_eq!(office.deliver().await.mails_sent, 1);
    is_problem(&office.unlock(late.token()).await, 400, "bad_mail_token");
    assert_eq!(office.unlock(office.last().token()).await.status, 204);
}

#[tokio::test]
async fn a_password_reset_makes_the_browser_known() {
    let office = Dispatcher::open_with_account().await;
    office.lock(EMAIL).await;
    assert_eq!(office.forgot(EMAIL).await.status, 202);
    let _ = office.deliver().await;
    let letter = office.last();
    let reset = office.reset(letter.token(), PASSWORD).await;
    assert_eq!(reset.status, 204, "{reset:?}");
    token(&office.login_with(&device(&reset)).await);
    let elsewhere = office.peer.login(EMAIL, PASSWORD).await;
    is_problem(&elsewhere, 403, "login_locked");
}

#[tokio::test]
async fn under_a_long_attack_the_last_unlock_link_is_valid_for_30_more_minutes() {
    let office = Dispatcher::open_with_account().await;
    office.lock(EMAIL).await;
    let before = office.letters().len();
    // Three hours, one guess per two minutes: the maximum of one network. One mail per half hour.
    for _guess in 0..90 {
        is_problem(&office.peer.login(EMAIL, WRONG).await, 403, "login_locked");
        let _ = office.deliver().await;
        office.system.clock.pass(120);
    }
    assert_eq!(office.letters().len(), before + 6);
    // The owner meets the lock just before the next mail is due, and reads the last one late.
    let last = office.last();
    office.system.clock.pass(1_740);
    assert_eq!(office.unlock(last.token()).await.status, 204);
}
