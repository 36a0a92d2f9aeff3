//! Users list and revoke their sessions; clients revoke and introspect tokens.

use portcullis_tests::system::{CHEAP, Peer, Reply, System};
use serde_json::{Value, json};

use crate::refresh::{form, refresh, refresh_token};
use crate::{EMAIL, PASSWORD, claims, is_problem, token, with_account};

pub(crate) async fn call(peer: &Peer, method: &str, path: &str, token: &str) -> Reply {
    let request = http::Request::builder().method(method).uri(path);
    let request = request.header("authorization", format!("Bearer {token}"));
    peer.send(request.body(bytes::Bytes::new()).expect("a request"))
        .await
}

fn sid(token: &str) -> String {
    claims(token)["sid"].as_str().expect("sid").to_owned()
}

async fn listed(peer: &Peer, token: &str) -> Vec<Value> {
    let reply = call(peer, "GET", "/v1/sessions", token).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json["sessions"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn a_user_lists_sessions_and_revokes_one() {
    let system = with_account().await;
    let peer = system.peer();
    let one = token(&peer.login(EMAIL, PASSWORD).await);
    system.clock.pass(5);
    let login = peer.login(EMAIL, PASSWORD).await;
    let (two, kept) = (token(&login), refresh_token(&login));
    assert_eq!(peer.register("bob@example.com", PASSWORD).await.status, 201);
    let bob = token(&peer.login("bob@example.com", PASSWORD).await);

    let sessions = listed(&peer, &one).await;
    let ids: Vec<_> = sessions
        .iter()
        .map(|session| session["id"].as_str())
        .collect();
    assert_eq!(
        ids,
        [Some(sid(&two).as_str()), Some(sid(&one).as_str())],
        "the newest first"
    );
    assert_eq!(sessions[1]["current"], true);
    assert_eq!(sessions[0]["current"], false);
    assert_eq!(sessions[0]["opened_at"], "2026-11-23T12:00:05Z");
    assert_eq!(sessions[0]["ends_at"], "2026-12-07T12:00:05Z");
    assert_eq!(sessions[0]["client_address"], "127.0.0.1");

    let path = format!("/v1/sessions/{}", sid(&two));
    is_problem(
        &call(&peer, "DELETE", &path, &bob).await,
        404,
        "unknown_session",
    );
    is_problem(
        &call(&peer, "DELETE", "/v1/sessions/nobody", &one).await,
        404,
        "unknown_session",
    );
    is_problem(
        &call(&peer, "DELETE", "/v1/sessions/n%C3%A4", &one).await,
        404,
        "unknown_session",
    );
    assert_eq!(call(&peer, "DELETE", &path, &one).await.status, 204);
    assert_eq!(
        call(&peer, "DELETE", &path, &one).await.status,
        204,
        "asked again"
    );
    is_problem(
        &call(&peer, "GET", "/v1/sessions", &two).await,
        401,
        "revoked",
    );
    assert_eq!(refresh(&peer, &kept).await.code(), "session_over");
    assert_eq!(listed(&peer, &one).await.len(), 1);
    assert_eq!(listed(&peer, &bob).await.len(), 1);
}

#[tokio::test]
async fn the_own_session_can_be_revoked_and_revoked_again() {
    let system = with_account().await;
    let peer = system.peer();
    let own = token(&peer.login(EMAIL, PASSWORD).await);
    let path = format!("/v1/sessions/{}", sid(&own));
    for _time in 0..2 {
        assert_eq!(call(&peer, "DELETE", &path, &own).await.status, 204);
        assert_eq!(written(&system).await.0, 1, "one row for both");
    }
    is_problem(
        &call(&peer, "DELETE", "/v1/sessions/other", &own).await,
        401,
        "revoked",
    );
    is_problem(&peer.get("/v1/sessions").await, 401, "missing_token");
}

/// The numbers of feed rows and audit rows.
async fn written(system: &System) -> (usize, usize) {
    let feed = system.rows("TokenBlacklist", "FEED#").await.expect("rows");
    let audit = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    (feed.len(), audit.len())
}

/// Sends the request that `send` makes four times: at once, within the bound and after it.
async fn repeats_write_one_row_per_bound(system: &System, send: impl AsyncFn()) {
    send().await;
    let (feed, audit) = written(system).await;
    for (pass, more) in [(0, 0), (1, 0), (3, 1), (0, 1), (3, 2)] {
        system.clock.pass(pass);
        send().await;
        let now = (feed.saturating_add(more), audit);
        assert_eq!(written(system).await, now, "{pass} s later");
    }
}

#[tokio::test]
async fn denial_of_service_a_repeated_revocation_writes_no_audit_row_and_a_feed_row_per_bound() {
    let system = with_account().await;
    let peer = &system.peer();
    let login = async || peer.login(EMAIL, PASSWORD).await;
    let revoke = async |token: &str| {
        let body = format!("client_id=portcullis&token={token}");
        let reply = form(peer, "/oauth2/revoke", &body, &[]).await;
        assert_eq!(reply.status, 200);
    };
    let api = async |method: &str, path: &str, access: &str| {
        assert_eq!(call(peer, method, path, access).await.status, 204, "{path}");
    };
    let one = token(&login().await);
    repeats_write_one_row_per_bound(&system, async || api("POST", "/v1/logout", &one).await).await;
    let one = token(&login().await);
    let path = format!("/v1/sessions/{}", sid(&one));
    repeats_write_one_row_per_bound(&system, async || api("DELETE", &path, &one).await).await;
    let one = token(&login().await);
    repeats_write_one_row_per_bound(&system, async || revoke(&one).await).await;
    let one = refresh_token(&login().await);
    repeats_write_one_row_per_bound(&system, async || revoke(&one).await).await;
    let one = token(&login().await);
    let path = "/v1/logout-all";
    repeats_write_one_row_per_bound(&system, async || api("POST", path, &one).await).await;
}

#[tokio::test]
async fn a_logout_with_a_revoked_token_ends_the_session_that_is_still_open() {
    let system = with_account().await;
    let peer = system.peer();
    let login = peer.login(EMAIL, PASSWORD).await;
    let one = token(&login);
    let body = format!("client_id=portcullis&token={one}");
    let reply = form(&peer, "/oauth2/revoke", &body, &[]).await;
    assert_eq!(reply.status, 200);
    assert_eq!(call(&peer, "POST", "/v1/logout", &one).await.status, 204);
    let renewed = refresh(&peer, &refresh_token(&login)).await;
    assert_eq!(renewed.code(), "session_over");
}

#[tokio::test]
async fn logout_all_is_one_row_for_any_number_of_sessions() {
    let system = with_account().await;
    let peer = system.peer();
    let mut logins = vec![];
    for _login in 0..3 {
        logins.push(peer.login(EMAIL, PASSWORD).await);
    }
    let access: Vec<_> = logins.iter().map(token).collect();
    let before = system.proxy.count("TransactWriteItems");
    assert_eq!(
        call(&peer, "POST", "/v1/logout-all", &access[0])
            .await
            .status,
        204
    );
    assert_eq!(system.proxy.count("TransactWriteItems"), before + 1);
    assert_eq!(
        system
            .rows("TokenBlacklist", "SUBJECT#")
            .await
            .expect("rows")
            .len(),
        1
    );
    assert_eq!(
        system
            .rows("TokenBlacklist", "FEED#")
            .await
            .expect("rows")
            .len(),
        1
    );
    for (login, access) in logins.iter().zip(&access) {
        is_problem(
            &call(&peer, "GET", "/v1/sessions", access).await,
            401,
            "revoked",
        );
        assert_eq!(
            refresh(&peer, &refresh_token(login)).await.code(),
            "session_over"
        );
    }
    // A client that lost the response sends the request again: published once more, and nothing
    // further.
    assert_eq!(
        call(&peer, "POST", "/v1/logout-all", &access[1])
            .await
            .status,
        204
    );
    let fresh = token(&peer.login(EMAIL, PASSWORD).await);
    assert_eq!(claims(&fresh)["gen"], 1);
    assert_eq!(listed(&peer, &fresh).await.len(), 1);
    assert_eq!(
        call(&peer, "POST", "/v1/logout-all", &access[1])
            .await
            .status,
        204
    );
    assert_eq!(
        listed(&peer, &fresh).await.len(),
        1,
        "an old token ends no new session"
    );
}

#[tokio::test]
async fn a_token_is_revoked_by_its_holder() {
    let system = with_account().await;
    let peer = system.peer();
    let login = peer.login(EMAIL, PASSWORD).await;
    let (access, refresh_text) = (token(&login), refresh_token(&login));
    let revoke = async |token: &str| {
        let body = format!("client_id=portcullis&token={token}&token_type_hint=nonsense");
        form(&peer, "/oauth2/revoke", &body, &[]).await.status
    };
    for none in ["x", "a.b.c", "a.1.b.c"] {
        assert_eq!(revoke(none).await, 200, "{none}");
    }
    assert_eq!(revoke(&access).await, 200);
    assert_eq!(revoke(&access).await, 200, "again");
    is_problem(
        &call(&peer, "GET", "/v1/sessions", &access).await,
        401,
        "revoked",
    );
    // The session continues: only one token was revoked.
    let second = token(&refresh(&peer, &refresh_text).await);
    assert_eq!(listed(&peer, &second).await.len(), 1);
    assert_eq!(revoke(&refresh_text).await, 200);
    assert_eq!(revoke(&refresh_text).await, 200, "again");
    is_problem(
        &call(&peer, "GET", "/v1/sessions", &second).await,
        401,
        "revoked",
    );
    assert_eq!(refresh(&peer, &refresh_text).await.code(), "session_over");
}

/// A host with the client `orders` and its secret `orders-secret`.
pub(crate) async fn with_client(system: &System) -> Peer {
    let path = system.folder().join("clients.json");
    let hash =
        data_encoding::HEXLOWER.encode(&<sha2::Sha256 as sha2::Digest>::digest("orders-secret"));
    let clients = json!([{"client_id": "orders", "secret_sha256": hash, "name": "Orders"}]);
    std::fs::write(&path, clients.to_string()).expect("written");
    let path = path.to_str().expect("UTF-8");
    system
        .another(CHEAP, &[("PORTCULLIS_CLIENTS_FILE", path)])
        .await
        .expect("a host")
}

#[tokio::test]
async fn introspection_requires_client_authentication() {
    let system = with_account().await;
    let peer = with_client(&system).await;
    let login = peer.login(EMAIL, PASSWORD).await;
    let (access, refresh_text) = (token(&login), refresh_token(&login));
    let basic = format!(
        "Basic {}",
        data_encoding::BASE64.encode(b"orders:orders-secret")
    );
    let ask = async |token: &str| {
        let headers = [("authorization", basic.as_str())];
        form(
            &peer,
            "/oauth2/introspect",
            &format!("token={token}"),
            &headers,
        )
        .await
    };
    let reply = ask(&access).await;
    let own = claims(&access);
    assert_eq!(
        (reply.status, &reply.json["active"]),
        (200, &json!(true)),
        "{reply:?}"
    );
    for name in [
        "iss",
        "sub",
        "jti",
        "exp",
        "iat",
        "sid",
        "client_id",
        "auth_time",
        "amr",
    ] {
        assert!(!own[name].is_null(), "{name}");
        assert_eq!(reply.json[name], own[name], "{name}");
    }
    let post = format!("client_id=orders&client_secret=orders-secret&token={access}");
    assert_eq!(
        form(&peer, "/oauth2/introspect", &post, &[]).await.json["active"],
        true
    );
    let dead = json!({"active": false});
    for none in ["x", "a.b.c", refresh_text.as_str()] {
        let reply = ask(none).await;
        assert_eq!((reply.status, reply.json), (200, dead.clone()), "{none}");
    }
    assert_eq!(peer.logout(&access).await.status, 204);
    assert_eq!(ask(&access).await.json, dead);

    let wrong = format!("Basic {}", data_encoding::BASE64.encode(b"orders:guess"));
    let by = |authorization: &str| [("authorization", authorization.to_owned())];
    for (body, headers, status, code) in [
        ("token=x", Some(by(&wrong)), 401, "bad_client"),
        ("token=x", Some(by("Bearer x")), 401, "bad_client"),
        ("token=x&client_id=orders", None, 401, "bad_client"),
        (
            "token=x&client_id=portcullis",
            None,
            400,
            "client_not_allowed",
        ),
        (
            "token=x&client_secret=orders-secret",
            Some(by(&basic)),
            400,
            "malformed_form",
        ),
        (
            "token=x&client_id=other",
            Some(by(&basic)),
            401,
            "bad_client",
        ),
        ("", Some(by(&basic)), 400, "missing_member"),
        ("token=x", None, 401, "bad_client"),
    ] {
        let headers = headers.unwrap_or_else(|| [("x-none", String::new())]);
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let reply = form(&peer, "/oauth2/introspect", body, &headers).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{body}");
    }
    // It is no first-party client: it refreshes and revokes nothing.
    let grant = format!("grant_type=refresh_token&refresh_token={refresh_text}");
    for (path, body) in [
        ("/oauth2/token", grant.as_str()),
        ("/oauth2/revoke", "token=x"),
    ] {
        let headers = [("authorization", basic.as_str())];
        let reply = form(&peer, path, body, &headers).await;
        assert_eq!(
            (reply.status, reply.code()),
            (400, "client_not_allowed"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_revocation_lasts_for_the_longest_token_lifetime_of_any_host() {
    for everything in [false, true] {
        let system = with_account().await;
        // Another host that issues tokens for a day, or this one an hour ago.
        let lifetime = [("PORTCULLIS_ACCESS_LIFETIME", "86400")];
        let long = system.another(CHEAP, &lifetime).await.expect("a host");
        let peer = system.peer();
        let ended = token(&long.login(EMAIL, PASSWORD).await);
        let by = token(&peer.login(EMAIL, PASSWORD).await);
        let (method, path) = if everything {
            ("POST", "/v1/logout-all".to_owned())
        } else {
            ("DELETE", format!("/v1/sessions/{}", sid(&ended)))
        };
        assert_eq!(call(&peer, method, &path, &by).await.status, 204);
        // The rows count by their time, and the token has an hour left.
        system.clock.pass(82_800);
        let reply = call(&long, "GET", "/v1/sessions", &ended).await;
        is_problem(&reply, 401, "revoked");
    }
}
