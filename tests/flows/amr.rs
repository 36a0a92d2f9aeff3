//! The authentication methods in tokens (`amr`, RFC 8176), for the life of the session.

use portcullis_tests::system::{NOON, Peer, Reply};
use serde_json::{Value, json};

use crate::factors::{call, challenge, code, second, with_factor};
use crate::refresh::{refresh, refresh_token};
use crate::{EMAIL, PASSWORD, claims, token, with_account};

fn amr(reply: &Reply) -> Value {
    claims(&token(reply))["amr"].clone()
}

/// Three refreshes of the session that `login` opened, each after its grace window.
async fn is_kept(peer: &Peer, login: &Reply, pass: impl Fn(u64)) {
    let (reported, opened_at) = (amr(login), claims(&token(login))["auth_time"].clone());
    let mut spent = refresh_token(login);
    for _turn in 0..3 {
        pass(600);
        let turn = refresh(peer, &spent).await;
        assert_eq!(
            (amr(&turn), &claims(&token(&turn))["auth_time"]),
            (reported.clone(), &opened_at)
        );
        spent = refresh_token(&turn);
    }
    // A repeated refresh returns the same methods.
    assert_eq!(amr(&refresh(peer, &spent).await), reported);
}

#[tokio::test]
async fn amr_of_a_password_login_is_pwd_at_each_refresh() {
    let system = with_account().await;
    let peer = system.peer();
    let login = peer.login(EMAIL, PASSWORD).await;
    assert_eq!(amr(&login), json!(["pwd"]));
    is_kept(&peer, &login, |seconds| system.clock.pass(seconds)).await;
}

#[tokio::test]
async fn amr_names_the_second_factor_and_older_sessions_keep_their_methods() {
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
async fn amr_of_a_session_survives_a_password_change() {
    let (system, secret, _, _) = with_factor().await;
    let peer = system.peer();
    let sealed = challenge(&peer).await;
    system.clock.pass(30);
    let login = second(&peer, &sealed, "code", &code(&secret, NOON + 30)).await;
    let body = json!({"current_password": PASSWORD, "new_password": "another long password"});
    let path = "/v1/password/change";
    let changed = call(&peer, http::Method::POST, path, &token(&login), &body).await;
    assert_eq!(amr(&changed), json!(["pwd", "otp"]));
    is_kept(&peer, &changed, |seconds| system.clock.pass(seconds)).await;
}
