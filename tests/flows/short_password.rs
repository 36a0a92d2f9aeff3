//! A password that was accepted only beside a second factor is not enough without it.

use http::Method;
use portcullis_tests::system::Reply;
use serde_json::json;

use crate::factors::{call, code, enrol, second};
use crate::mail::Dispatcher;
use crate::{EMAIL, PASSWORD, is_problem, token};

const SHORT: &str = "an otter";
const LONG: &str = "gates fall at nightfall";

/// An account with a second factor, the secret of the factor, its recovery codes and a token.
async fn with_factor() -> (Dispatcher, String, Vec<String>, String) {
    let office = Dispatcher::open().await;
    let peer = &office.peer;
    assert_eq!(peer.register(EMAIL, PASSWORD).await.status, 201);
    let _ = office.deliver().await;
    assert_eq!(office.verify(office.last().token()).await.status, 204);
    let bearer = token(&peer.login(EMAIL, PASSWORD).await);
    let (secret, recovery) = enrol(peer, &bearer, PASSWORD, office.system.clock.now()).await;
    (office, secret, recovery, bearer)
}

async fn change(office: &Dispatcher, bearer: &str, current: &str, new: &str) -> Reply {
    let body = json!({"current_password": current, "new_password": new});
    let path = "/v1/password/change";
    call(&office.peer, Method::POST, path, bearer, &body).await
}

/// The tokens of a login with a code.
async fn login_with_code(office: &Dispatcher, secret: &str, password: &str) -> Reply {
    office.system.clock.pass(30);
    let reply = office.peer.login(EMAIL, password).await;
    let open = reply.json["challenge"].as_str().expect("a challenge");
    let now = office.system.clock.now();
    second(&office.peer, open, "code", &code(secret, now)).await
}

async fn remove(office: &Dispatcher, bearer: &str, password: &str, recovery: &str) {
    let body = json!({"current_password": password, "recovery_code": recovery});
    let path = "/v1/factors/totp";
    let removed = call(&office.peer, Method::DELETE, path, bearer, &body).await;
    assert_eq!(removed.status, 204, "{removed:?}");
}

#[tokio::test]
async fn a_password_of_the_short_rule_is_refused_once_the_factor_is_removed() {
    let (office, secret, recovery, bearer) = with_factor().await;
    let bearer = token(&change(&office, &bearer, PASSWORD, SHORT).await);
    let _ = token(&login_with_code(&office, &secret, SHORT).await);
    remove(&office, &bearer, SHORT, &recovery[0]).await;
    // The same answer as to a wrong password.
    let refused = office.peer.login(EMAIL, SHORT).await;
    is_problem(&refused, 401, "bad_credentials");
    let wrong = office.peer.login(EMAIL, "an ottor").await;
    assert_eq!(refused.json["detail"], wrong.json["detail"]);
    assert_eq!(
        office.outcomes("login").await.last().map(String::as_str),
        Some("wrong_password")
    );
    assert!(
        office
            .outcomes("login")
            .await
            .contains(&"short_password".to_owned())
    );
    // A reset accepts no short password now, and a long one ends the state.
    // The notices of the changes.
    let _ = office.deliver().await;
    assert_eq!(office.forgot(EMAIL).await.status, 202);
    let _ = office.deliver().await;
    let link = office.last();
    let short = office.reset(link.token(), SHORT).await;
    is_problem(&short, 400, "password_too_short");
    assert_eq!(office.reset(link.token(), LONG).await.status, 204);
    let _ = token(&office.peer.login(EMAIL, LONG).await);
}

#[tokio::test]
async fn the_open_session_may_replace_a_password_of_the_short_rule() {
    let (office, _, recovery, bearer) = with_factor().await;
    let bearer = token(&change(&office, &bearer, PASSWORD, SHORT).await);
    remove(&office, &bearer, SHORT, &recovery[0]).await;
    let short = change(&office, &bearer, SHORT, "a badger").await;
    is_problem(&short, 400, "password_too_short");
    let _ = token(&change(&office, &bearer, SHORT, LONG).await);
    let _ = token(&office.peer.login(EMAIL, LONG).await);
}

#[tokio::test]
async fn a_short_password_of_a_reset_needs_the_factor_and_a_long_one_does_not() {
    for (password, accepted) in [(SHORT, false), ("fifteen letters", true)] {
        let (office, secret, recovery, _) = with_factor().await;
        let _ = office.deliver().await;
        assert_eq!(office.forgot(EMAIL).await.status, 202);
        let _ = office.deliver().await;
        let reset = office.reset(office.last().token(), password).await;
        assert_eq!(reset.status, 204, "{reset:?}");
        let bearer = token(&login_with_code(&office, &secret, password).await);
        remove(&office, &bearer, password, &recovery[0]).await;
        let login = office.peer.login(EMAIL, password).await;
        assert_eq!(login.status == 200, accepted, "{login:?}");
        // A new factor makes the password enough again.
        let now = office.system.clock.now();
        let (secret, _) = enrol(&office.peer, &bearer, password, now).await;
        let _ = token(&login_with_code(&office, &secret, password).await);
    }
}
