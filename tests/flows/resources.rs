//! One audience per token (RFC 8707), and one delivery per refresh token.

use bytes::Bytes;
use http::{Method, Request};
use portcullis_tests::system::{CHEAP, Peer, Reply, System};
use serde_json::{Value, json};

use crate::refresh::{form, refresh_token};
use crate::{EMAIL, PASSWORD, claims, is_problem, sessions_of, token, with_account};

const API: &str = "https://api.example";
const OTHER: &str = "https://orders.example";
const ACCOUNT: &str = "https://login.example";

/// A host with the default account audience, the issuer, and a second resource.
async fn host(system: &System) -> Peer {
    let settings = [
        ("PORTCULLIS_ACCOUNT_AUDIENCE", ""),
        ("PORTCULLIS_RESOURCES", OTHER),
    ];
    system.another(CHEAP, &settings).await.expect("a host")
}

async fn login(peer: &Peer, resource: Option<&str>) -> Reply {
    let mut body = json!({"email": EMAIL, "password": PASSWORD});
    if let Some(resource) = resource {
        body["resource"] = resource.into();
    }
    peer.post("/v1/login", &body).await
}

async fn call(peer: &Peer, method: &Method, path: &str, token: &str, body: &Value) -> Reply {
    let request = Request::builder().method(method).uri(path);
    let request = request
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    let body = if body.is_null() {
        Bytes::new()
    } else {
        Bytes::from(body.to_string())
    };
    peer.send(request.body(body).expect("a request")).await
}

#[tokio::test]
async fn a_token_has_the_one_audience_that_its_client_names() {
    let system = with_account().await;
    let peer = host(&system).await;
    for (resource, audience) in [
        (None, API),
        (Some(API), API),
        (Some(OTHER), OTHER),
        (Some(ACCOUNT), ACCOUNT),
    ] {
        let reply = login(&peer, resource).await;
        assert_eq!(claims(&token(&reply))["aud"], audience, "{resource:?}");
        let body = format!(
            "grant_type=refresh_token&client_id=portcullis&refresh_token={}",
            refresh_token(&reply)
        );
        let renewed = form(&peer, "/oauth2/token", &body, &[]).await;
        assert_eq!(claims(&token(&renewed))["aud"], API);
        let body = format!(
            "grant_type=refresh_token&client_id=portcullis&refresh_token={}&resource={OTHER}",
            refresh_token(&renewed)
        );
        let renewed = form(&peer, "/oauth2/token", &body, &[]).await;
        assert_eq!(claims(&token(&renewed))["aud"], OTHER);
    }
    for resource in [
        "",
        "https://evil.example",
        "https://api.example/",
        "HTTPS://API.EXAMPLE",
    ] {
        let reply = login(&peer, Some(resource)).await;
        is_problem(&reply, 400, "invalid_target");
    }
    let refresh = refresh_token(&login(&peer, None).await);
    let body = format!("grant_type=refresh_token&client_id=portcullis&refresh_token={refresh}");
    for resources in [
        format!("resource={OTHER}x"),
        format!("resource={API}&resource={OTHER}"),
        format!("resource={API}&resource={API}"),
    ] {
        let reply = form(&peer, "/oauth2/token", &format!("{body}&{resources}"), &[]).await;
        assert_eq!(reply.status, 400, "{reply:?}");
        assert_eq!(reply.json["error"], "invalid_target", "{reply:?}");
    }
    // A refused resource uses up nothing.
    assert_eq!(form(&peer, "/oauth2/token", &body, &[]).await.status, 200);
}

#[tokio::test]
async fn a_token_for_an_api_cannot_change_the_account() {
    let system = with_account().await;
    let peer = host(&system).await;
    let api = token(&login(&peer, None).await);
    let other = token(&login(&peer, Some(OTHER)).await);
    let account_login = login(&peer, Some(ACCOUNT)).await;
    let account = token(&account_login);
    let session = claims(&account)["sid"].as_str().expect("sid").to_owned();
    let password = json!({"current_password": PASSWORD});
    let change = json!({"current_password": PASSWORD, "new_password": "another long password"});
    let end = format!("/v1/sessions/{session}");
    let calls = [
        (Method::GET, "/v1/sessions", Value::Null),
        (Method::GET, "/v1/factors", Value::Null),
        (Method::POST, "/v1/factors/totp", password.clone()),
        (
            Method::POST,
            "/v1/factors/totp/confirm",
            json!({"code": "000000"}),
        ),
        (Method::DELETE, "/v1/factors/totp", password.clone()),
        (Method::POST, "/v1/factors/recovery-codes", password),
        (Method::POST, "/v1/password/change", change.clone()),
        (Method::DELETE, end.as_str(), Value::Null),
        (Method::POST, "/v1/logout-all", Value::Null),
    ];
    for (method, path, body) in &calls {
        for token in [&api, &other] {
            let reply = call(&peer, method, path, token, body).await;
            is_problem(&reply, 401, "wrong_audience");
        }
    }
    assert_eq!(sessions_of(&peer, &account).await.status, 200);
    // The bearer of any audience may end its own session, and only that.
    assert_eq!(peer.logout(&api).await.status, 204);
    assert_eq!(sessions_of(&peer, &account).await.status, 200);
    let changed = call(
        &peer,
        &Method::POST,
        "/v1/password/change",
        &account,
        &change,
    )
    .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(claims(&token(&changed))["aud"], ACCOUNT);
}

#[tokio::test]
async fn a_refresh_token_of_a_cookie_is_none_in_a_body_and_the_other_way_round() {
    let system = with_account().await;
    let peer = host(&system).await;
    let in_body = refresh_token(&login(&peer, None).await);
    let body =
        json!({"email": EMAIL, "password": PASSWORD, "transport": "cookie", "resource": OTHER});
    let browser = peer.post("/v1/login", &body).await;
    assert_eq!(claims(&token(&browser))["aud"], OTHER);
    let cookie = browser
        .cookie("__Host-portcullis-refresh")
        .expect("a cookie");
    let csrf = browser.json["csrf_token"].as_str().expect("a token");
    let by_cookie = async |cookie: &str, body: &str| {
        let mut request = Request::post("/v1/refresh")
            .header("cookie", format!("__Host-portcullis-refresh={cookie}"))
            .header("x-portcullis-csrf", csrf)
            .header("sec-fetch-site", "same-origin");
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let body = Bytes::from(body.to_owned());
        peer.send(request.body(body).expect("a request")).await
    };
    let by_body = async |token: &str| {
        let body = format!("grant_type=refresh_token&client_id=portcullis&refresh_token={token}");
        form(&peer, "/oauth2/token", &body, &[]).await
    };
    let reply = by_body(&cookie).await;
    assert_eq!(
        (reply.status, &reply.json["error"]),
        (400, &"invalid_grant".into())
    );
    is_problem(&by_cookie(&in_body, "").await, 401, "bad_refresh_token");
    // Neither attempt counts as reuse.
    let renewed = by_cookie(&cookie, "").await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    assert_eq!(claims(&token(&renewed))["aud"], API);
    assert_eq!(by_body(&in_body).await.status, 200);
    let resource = json!({"resource": OTHER}).to_string();
    let renewed = by_cookie(&cookie, &resource).await;
    assert_eq!(claims(&token(&renewed))["aud"], OTHER);
    is_problem(
        &by_cookie(&cookie, r#"{"resource": "x"}"#).await,
        400,
        "invalid_target",
    );
}
