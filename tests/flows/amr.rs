//! What tokens tell of how their bearer logged in (`amr`, RFC 8176), for as long as the session lasts.

use portcullis_tests::system::{NOON, Peer, Reply};
use serde_json::{Value, json};

use crate::factors::{call, challenge, code, second, with_factor};
use crate::refresh::{refresh, refresh_token};
use crate::{EMAIL, PASSWORD, claims, token, with_account};

fn amr(reply: &Reply) -> Value {
    claims(&token(reply))["amr"].clone()
}

/// Three turns of the session that `login` has opened, past its window each.
async fn is_kept(peer: &Peer, login: &Reply, pass: impl Fn(u64)) {
    let (told, opened_at) = (amr(login), claims(&token(login))["auth_time"].clone());
    let mut spent = refresh_token(login);
    for _turn in 0..3 {
        pass(600);
        let turn = refresh(peer, &spent).await;
        assert_eq!(
            (amr(&turn), &claims(&token(&turn))["auth_time"]),
            (told.clone(), &opened_at)
        );
        spent = refresh_token(&turn);
    }
    // Handed out once more, it says the same.
    assert_eq!(amr(&refresh(peer, &spent).await), told);
}

#[tokio::test]
async fn a_password_alone_is_told_as_such_at_each_refresh() {
    let system = with_account().await;
    let peer = system.peer();
    let login = peer.login(EMAIL, PASSWORD).await;
    assert_eq!(amr(&login), json!(["pwd"]));
    is_kept(&peer, &login, |seconds| system.clock.pass(seconds)).await;
}

#[tokio::test]
async fn a_second_factor_is_told_by_its_kind_and_older_sessions_say_what_they_did() {
    let (system, secret, recovery, before) = with_factor().await;
    let peer = system.peer();
    assert_eq!(
        claims(&before)["amr"],
        json!(["pwd"]),
        "from before the factor"
    );
    let sealed = challenge(&peer).await;
    system.clock.pass(30);
    let by_code = second(&peer, &sealed, "code", &code(&secret, NOON + 30)).await;
    assert_eq!(amr(&by_code), json!(["pwd", "otp"]));
    let on_paper = second(&peer, &sealed, "recovery_code", &recovery[0]).await;
    assert_eq!(amr(&on_paper), json!(["pwd", "mfa"]));
    for login in [&by_code, &on_paper] {
        is_kept(&peer, login, |seconds| system.clock.pass(seconds)).await;
    }
}

#[tokio::test]
async fn a_new_password_leaves_what_the_session_was_opened_with() {
    let (system, secret, _, _) = with_factor().await;
    let peer = system.peer();
    let sealed = challenge(&peer).await;
    system.clock.pass(30);
    let login = second(&peer, &sealed, "code", &code(&secret, NOON + 30)).await;
    let body = json!({"current_password": PASSWORD, "new_password": "another long password"});
    let path = "/v1/password/change";
    let changed = call(&peer, http::Method::POST, path, &token(&login), &body).await;
    assert_eq!(amr(&changed), json!(["pwd", "otp"]));
    is_kept(&peer, &login_again(&login, &changed), |seconds| {
        system.clock.pass(seconds)
    })
    .await;
}

/// The login with the access token that has taken the place of its own.
fn login_again(login: &Reply, changed: &Reply) -> Reply {
    let mut login = login.clone();
    login.json["access_token"] = changed.json["access_token"].clone();
    login
}
