//! Refreshing, ending and revoking.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::{EntryKind, Trail};
use crate::factors::call;
use crate::refresh::{form, refresh, refresh_token};
use crate::{EMAIL, PASSWORD, claims, token, with_account};

pub(super) async fn drive() -> BTreeSet<EntryKind> {
    let system = with_account().await;
    let peer = system.peer();
    let mut trail = Trail::of(&system).await;
    let first = peer.login(EMAIL, PASSWORD).await;
    let _ = trail.news().await;
    system.clock.pass(10);
    let renewed = refresh(&peer, &refresh_token(&first)).await;
    trail.left(&renewed, &["refresh success"]).await;
    let reply = refresh(&peer, &refresh_token(&first)).await;
    trail.left(&reply, &["refresh repeated"]).await;
    system.clock.pass(10);
    let reply = refresh(&peer, &refresh_token(&first)).await;
    trail.left(&reply, &["refresh reused"]).await;
    let reply = refresh(&peer, &refresh_token(&renewed)).await;
    trail.left(&reply, &["refresh no_session"]).await;
    let reply = refresh(&peer, "x").await;
    trail.left(&reply, &["refresh not_ours"]).await;

    let spoilt = peer.login(EMAIL, PASSWORD).await;
    trail.left(&spoilt, &["login success"]).await;
    let rows = system.rows("Portcullis", "USER#").await.expect("rows");
    let sid = claims(&token(&spoilt))["sid"].clone();
    let row = rows.iter().find(|row| row["session_id"] == sid);
    let row = row.expect("a session");
    let hash = row["refresh_hash"].as_str().expect("a hash");
    let first = if hash.starts_with('A') { 'B' } else { 'A' };
    let other: String = std::iter::once(first).chain(hash.chars().skip(1)).collect();
    let change = json!({
        "TableName": "Portcullis",
        "Key": {"PK": {"S": row["PK"]}, "SK": {"S": row["SK"]}},
        "UpdateExpression": "SET refresh_hash = :other",
        "ExpressionAttributeValues": {":other": {"B": other}},
    });
    let _ = system
        .engine_call("UpdateItem", &change)
        .await
        .expect("changed");
    let reply = refresh(&peer, &refresh_token(&spoilt)).await;
    trail.left(&reply, &["refresh unknown"]).await;

    let idle = peer.login(EMAIL, PASSWORD).await;
    trail.left(&idle, &["login success"]).await;
    system.clock.pass(15 * 86_400);
    let reply = refresh(&peer, &refresh_token(&idle)).await;
    trail.left(&reply, &["refresh expired"]).await;

    let body = json!({"email": EMAIL, "password": PASSWORD, "transport": "cookie"});
    let login = peer.post("/v1/login", &body).await;
    trail.left(&login, &["login success"]).await;
    let cookie = login
        .header("set-cookie")
        .split(';')
        .next()
        .expect("a cookie");
    let request = http::Request::post("/v1/refresh").header("cookie", cookie);
    let request = request.body(bytes::Bytes::new()).expect("a request");
    let reply = peer.send(request).await;
    trail.left(&reply, &["refresh cross_site"]).await;

    let (one, two) = (
        peer.login(EMAIL, PASSWORD).await,
        peer.login(EMAIL, PASSWORD).await,
    );
    let _ = trail.news().await;
    let none = Value::Null;
    let sid = claims(&token(&two))["sid"].clone();
    let path = format!("/v1/sessions/{}", sid.as_str().expect("an id"));
    let reply = call(&peer, Method::DELETE, &path, &token(&one), &none).await;
    trail.left(&reply, &["session_end success"]).await;
    let reply = call(&peer, Method::GET, "/v1/sessions", &token(&one), &none).await;
    trail.left(&reply, &[]).await;
    let reply = peer.logout(&token(&one)).await;
    trail.left(&reply, &["logout success"]).await;
    let three = peer.login(EMAIL, PASSWORD).await;
    trail.left(&three, &["login success"]).await;
    let reply = call(&peer, Method::POST, "/v1/logout-all", &token(&three), &none).await;
    trail.left(&reply, &["logout_all success"]).await;
    let reply = refresh(&peer, &refresh_token(&three)).await;
    trail.left(&reply, &["refresh sessions_ended"]).await;

    let four = peer.login(EMAIL, PASSWORD).await;
    trail.left(&four, &["login success"]).await;
    for (token, line) in [
        (token(&four), "revoke access_token"),
        (refresh_token(&four), "revoke refresh_token"),
    ] {
        let body = format!("client_id=portcullis&token={token}");
        let reply = form(&peer, "/oauth2/revoke", &body, &[]).await;
        trail.left(&reply, &[line]).await;
    }
    for body in ["token=x", "token=x&client_id=orders&client_secret=guess"] {
        let reply = form(&peer, "/oauth2/introspect", body, &[]).await;
        trail.left(&reply, &["client_authentication refused"]).await;
    }
    trail.end().await
}
