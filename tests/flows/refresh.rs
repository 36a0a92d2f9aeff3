//! Refreshes: the token endpoint, the cookie form, and the end of a token family.

use portcullis_tests::proxy::Fault;
use portcullis_tests::system::{Peer, Reply, System};
use serde_json::Value;

use crate::{EMAIL, PASSWORD, claims, is_problem, token, with_account};

const ORIGIN: &str = "https://login.example";

/// A form as the body of a request, with more headers.
pub(crate) async fn form(peer: &Peer, path: &str, body: &str, headers: &[(&str, &str)]) -> Reply {
    let request =
        http::Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    peer.send(request.body(body.to_owned().into()).expect("a request"))
        .await
}

pub(crate) async fn refresh(peer: &Peer, token: &str) -> Reply {
    let body = format!("grant_type=refresh_token&client_id=portcullis&refresh_token={token}");
    form(peer, "/oauth2/token", &body, &[]).await
}

pub(crate) fn refresh_token(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    let token = reply.json["refresh_token"].as_str();
    token.expect("a refresh token").to_owned()
}

fn is_oauth_error(reply: &Reply, status: u16, error: &str, code: &str) {
    let reported = (reply.status, reply.json["error"].as_str(), reply.code());
    assert_eq!(reported, (status, Some(error), code), "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("cache-control"), "no-store");
}

async fn outcomes(system: &System, action: &str) -> Vec<String> {
    let rows = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    let lines = rows.iter().filter(|row| row["action"] == action);
    let outcome = |row: &Value| row["outcome"].as_str().expect("an outcome").to_owned();
    let mut outcomes: Vec<_> = lines.map(outcome).collect();
    outcomes.sort_unstable();
    outcomes
}

#[tokio::test]
async fn a_refresh_is_one_transaction() {
    let system = with_account().await;
    let peer = system.peer();
    let first = peer.login(EMAIL, PASSWORD).await;
    let mut spent = refresh_token(&first);
    for _turn in 0..3 {
        system.clock.pass(600);
        let before = (
            system.proxy.count("TransactWriteItems"),
            system.proxy.count("PutItem"),
        );
        let consumed = system.host.client.consumed();
        let reply = refresh(&peer, &spent).await;
        let next = refresh_token(&reply);
        let after = (
            system.proxy.count("TransactWriteItems"),
            system.proxy.count("PutItem"),
        );
        assert_eq!(after, (before.0 + 1, before.1));
        // Two rows below 1 KB, two units each; two limits, one each.
        assert_eq!(
            system.host.client.consumed().since(consumed).write_halves,
            2 * 6
        );
        assert_ne!(next, spent);
        assert_eq!(claims(&token(&reply))["sid"], claims(&token(&first))["sid"]);
        spent = next;
    }
    let rows = system.rows("Portcullis", "USER#").await.expect("rows");
    let session = rows.iter().find(|row| row["session_id"].is_string());
    let session = session.expect("a session").to_string();
    let secret = spent.split('.').nth(2).expect("a secret");
    assert!(!session.contains(secret), "no token is kept as it is");
    assert_eq!(outcomes(&system, "refresh").await, ["success"; 3]);
}

#[tokio::test]
async fn a_refresh_token_reused_within_the_grace_window_gets_the_same_successor() {
    let system = with_account().await;
    let other = system
        .another(portcullis_tests::system::CHEAP, &[])
        .await
        .expect("a host");
    let first = refresh_token(&system.peer().login(EMAIL, PASSWORD).await);
    // A token that was just issued is returned unchanged.
    assert_eq!(refresh_token(&refresh(&system.peer(), &first).await), first);
    system.clock.pass(10);
    let peer = system.peer();
    let races = (0..8).map(|place| refresh(if place % 2 == 0 { &peer } else { &other }, &first));
    let replies = futures_util::future::join_all(races).await;
    let second = refresh_token(&replies[0]);
    for reply in &replies {
        assert_eq!(refresh_token(reply), second);
    }
    system.clock.pass(9);
    assert_eq!(refresh_token(&refresh(&other, &first).await), second);
    assert_eq!(refresh_token(&refresh(&other, &second).await), second);
    system.clock.pass(1);
    let third = refresh_token(&refresh(&other, &second).await);
    assert_ne!(third, second);
}

#[tokio::test]
async fn a_refresh_token_reused_after_the_window_revokes_the_session() {
    let system = with_account().await;
    let peer = system.peer();
    let login = peer.login(EMAIL, PASSWORD).await;
    let first = refresh_token(&login);
    system.clock.pass(10);
    let renewed = refresh(&peer, &first).await;
    system.clock.pass(10);
    let reply = refresh(&peer, &first).await;
    is_oauth_error(&reply, 400, "invalid_grant", "refresh_reused");
    let reply = refresh(&peer, &refresh_token(&renewed)).await;
    is_oauth_error(&reply, 400, "invalid_grant", "session_over");
    for issued in [&login, &renewed] {
        let sid = claims(&token(issued))["sid"]
            .as_str()
            .expect("sid")
            .to_owned();
        let rows = system
            .rows("TokenBlacklist", &format!("SESSION#{sid}"))
            .await;
        assert_eq!(rows.expect("rows").len(), 1);
    }
    assert_eq!(
        system
            .rows("TokenBlacklist", "FEED#")
            .await
            .expect("rows")
            .len(),
        1
    );
    assert_eq!(
        outcomes(&system, "refresh").await,
        ["no_session", "reused", "success"]
    );
}

#[tokio::test]
async fn a_session_expires_when_idle_and_at_its_maximum_lifetime() {
    let system = with_account().await;
    let changes = [
        ("PORTCULLIS_SESSION_IDLE", "100"),
        ("PORTCULLIS_SESSION_LIFETIME", "250"),
    ];
    let peer = system
        .another(portcullis_tests::system::CHEAP, &changes)
        .await
        .expect("a host");
    let idle = refresh_token(&peer.login(EMAIL, PASSWORD).await);
    let mut used = refresh_token(&peer.login(EMAIL, PASSWORD).await);
    for _turn in 0..2 {
        system.clock.pass(99);
        used = refresh_token(&refresh(&peer, &used).await);
    }
    is_oauth_error(
        &refresh(&peer, &idle).await,
        400,
        "invalid_grant",
        "session_over",
    );
    system.clock.pass(52);
    is_oauth_error(
        &refresh(&peer, &used).await,
        400,
        "invalid_grant",
        "session_over",
    );
}

#[tokio::test]
async fn a_store_failure_is_no_refresh_reuse_and_a_lost_response_is_found() {
    let system = with_account().await;
    let peer = system.peer();
    let first = refresh_token(&peer.login(EMAIL, PASSWORD).await);
    system.clock.pass(10);
    for operation in ["TransactWriteItems", "GetItem", "BatchGetItem"] {
        system.proxy.inject_often(operation, &Fault::LostRequest, 3);
        let reply = refresh(&peer, &first).await;
        is_oauth_error(&reply, 503, "temporarily_unavailable", "store_unavailable");
        assert_eq!(reply.header("retry-after"), "1");
        assert_eq!(system.proxy.heal(), 0);
        // So many failures may have opened the circuit breaker.
        system.clock.pass(2);
    }
    // It was executed three times, without a response.
    system
        .proxy
        .inject_often("TransactWriteItems", &Fault::LostAnswer, 3);
    assert_eq!(refresh(&peer, &first).await.status, 503);
    system.clock.pass(2);
    let second = refresh_token(&refresh(&peer, &first).await);
    assert_ne!(second, first);
    system.proxy.inject("TransactWriteItems", Fault::LostAnswer);
    system.clock.pass(10);
    assert_ne!(refresh_token(&refresh(&peer, &second).await), second);
}

#[tokio::test]
async fn an_invalid_refresh_has_its_oauth_error_code() {
    let system = with_account().await;
    let peer = system.peer();
    let good = refresh_token(&peer.login(EMAIL, PASSWORD).await);
    let client = "client_id=portcullis";
    let grant = "grant_type=refresh_token";
    for (body, error, code) in [
        (client.to_owned(), "invalid_request", "missing_member"),
        (
            format!("{client}&{grant}"),
            "invalid_request",
            "missing_member",
        ),
        (
            format!("{client}&{grant}&refresh_token="),
            "invalid_request",
            "missing_member",
        ),
        (
            format!("{client}&{client}&{grant}"),
            "invalid_request",
            "malformed_form",
        ),
        (
            format!("{client}&grant_type=password"),
            "unsupported_grant_type",
            "unsupported_grant_type",
        ),
        (
            format!("{client}&{grant}&refresh_token={good}&scope=admin"),
            "invalid_scope",
            "bad_scope",
        ),
        (
            format!("{client}&{grant}&refresh_token=x"),
            "invalid_grant",
            "bad_refresh_token",
        ),
        (
            format!("{client}&{grant}&refresh_token={good}x"),
            "invalid_grant",
            "bad_refresh_token",
        ),
    ] {
        is_oauth_error(
            &form(&peer, "/oauth2/token", &body, &[]).await,
            400,
            error,
            code,
        );
    }
    let reply = form(&peer, "/oauth2/token", "", &[]).await;
    is_oauth_error(&reply, 401, "invalid_client", "bad_client");
    let reply = form(&peer, "/oauth2/token", "client_id=nobody", &[]).await;
    is_oauth_error(&reply, 401, "invalid_client", "bad_client");
    assert!(reply.header("www-authenticate").starts_with("Basic"));
    let reply = peer.post("/oauth2/token", &Value::Null).await;
    is_oauth_error(&reply, 415, "invalid_request", "unsupported_media_type");
    // An unknown parameter is ignored, as the standard requires.
    let body = format!("{client}&{grant}&refresh_token={good}&unknown=x");
    assert_eq!(form(&peer, "/oauth2/token", &body, &[]).await.status, 200);
}

/// The cookie `name=value` that a response sets, if any.
fn cookie(reply: &Reply) -> Option<&str> {
    let line = reply.headers.get("set-cookie")?.to_str().expect("ASCII");
    line.split(';').next()
}

async fn renew(peer: &Peer, cookie: &str, csrf: &str, origin: &str) -> Reply {
    let request = http::Request::post("/v1/refresh")
        .header("cookie", cookie)
        .header("x-portcullis-csrf", csrf)
        .header("origin", origin);
    peer.send(request.body(bytes::Bytes::new()).expect("a request"))
        .await
}

#[tokio::test]
async fn a_browser_refreshes_by_cookie_and_csrf_token() {
    let system = with_account().await;
    let peer = system.peer();
    let body = serde_json::json!({"email": EMAIL, "password": PASSWORD, "transport": "cookie"});
    let login = peer.post("/v1/login", &body).await;
    assert_eq!(login.status, 200, "{login:?}");
    assert!(login.json.get("refresh_token").is_none());
    let line = login.header("set-cookie");
    assert!(line.starts_with("__Host-portcullis-refresh="), "{line}");
    for attribute in [
        "HttpOnly",
        "Secure",
        "SameSite=Strict",
        "Path=/",
        "Max-Age=1209600",
    ] {
        assert!(line.contains(attribute), "{line}");
    }
    let held = cookie(&login).expect("a cookie").to_owned();
    let csrf = login.json["csrf_token"]
        .as_str()
        .expect("a code")
        .to_owned();
    system.clock.pass(10);

    // Another site's page, in every form of CSRF.
    for (code, origin) in [
        (csrf.as_str(), "https://evil.example"),
        ("", ORIGIN),
        ("x", ORIGIN),
        (&csrf[1..], ORIGIN),
    ] {
        let reply = renew(&peer, &held, code, origin).await;
        is_problem(&reply, 403, "cross_site");
        assert_eq!(cookie(&reply), None);
    }
    is_problem(
        &peer.post("/v1/refresh", &Value::Null).await,
        401,
        "missing_refresh_token",
    );

    system
        .proxy
        .inject_often("TransactWriteItems", &Fault::LostRequest, 3);
    let reply = renew(&peer, &held, &csrf, ORIGIN).await;
    is_problem(&reply, 503, "store_unavailable");
    assert_eq!(
        cookie(&reply),
        None,
        "what may pass leaves the cookie where it is"
    );

    let renewed = renew(&peer, &held, &csrf, ORIGIN).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    let next = cookie(&renewed).expect("a cookie").to_owned();
    assert_ne!(next, held);
    assert_eq!(renewed.json["csrf_token"], csrf.as_str());
    assert!(renewed.json["refresh_token"].is_null());

    let bearer = format!("Bearer {}", token(&renewed));
    let request = http::Request::post("/v1/logout")
        .header("authorization", bearer)
        .header("origin", ORIGIN)
        .body(bytes::Bytes::new());
    let reply = peer.send(request.expect("a request")).await;
    assert_eq!(
        (reply.status, cookie(&reply)),
        (204, Some("__Host-portcullis-refresh="))
    );
    let reply = renew(&peer, &next, &csrf, ORIGIN).await;
    is_problem(&reply, 401, "session_over");
    assert_eq!(cookie(&reply), Some("__Host-portcullis-refresh="));
}

#[tokio::test]
async fn transport_is_body_or_cookie() {
    let system = with_account().await;
    for odd in ["header", ""] {
        let body = serde_json::json!({"email": EMAIL, "password": PASSWORD, "transport": odd});
        is_problem(
            &system.peer().post("/v1/login", &body).await,
            400,
            "bad_member",
        );
    }
}
