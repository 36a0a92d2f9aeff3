//! Password changes, imported hashes, and a burst of logins.

use bytes::Bytes;
use http::Request;
use portcullis_core::audit::AuditKind;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::password::PasswordHash;
use portcullis_host::hasher::HashParameters;
use portcullis_service::import::{ImportOutcome, ImportRequest, import};
use portcullis_service::ports::RequestMeta;
use portcullis_tests::system::{CHEAP, DEVICE_COOKIE, LIMITS, Peer, Reply, System};
use serde_json::{Value, json};

use crate::refresh::{refresh, refresh_token};
use crate::{EMAIL, PASSWORD, claims, is_problem, token, with_account};

const NEW: &str = "gravel otter lampshade";
const REFRESH_COOKIE: &str = "__Host-portcullis-refresh";

async fn change(peer: &Peer, token: &str, current: &str, new: &str) -> Reply {
    let body = json!({"current_password": current, "new_password": new});
    let request = Request::post("/v1/password/change")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    let request = request.body(Bytes::from(body.to_string()));
    peer.send(request.expect("a request")).await
}

/// The CSRF token of a browser.
fn csrf(login: &Reply) -> String {
    login.json["csrf_token"]
        .as_str()
        .expect("a token")
        .to_owned()
}

async fn by_cookie(peer: &Peer, cookie: &str, csrf: &str) -> Reply {
    let request = Request::post("/v1/refresh")
        .header("cookie", format!("{REFRESH_COOKIE}={cookie}"))
        .header("x-portcullis-csrf", csrf)
        .header("sec-fetch-site", "same-origin");
    peer.send(request.body(Bytes::new()).expect("a request"))
        .await
}

async fn audit(system: &System, action: &str) -> Vec<Value> {
    let mut lines = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    lines.retain(|line| line["action"] == action);
    lines
}

#[tokio::test]
async fn a_password_change_revokes_every_session_but_its_own() {
    let system = with_account().await;
    let peer = system.peer();
    let (here, there) = (
        token(&peer.login(EMAIL, PASSWORD).await),
        token(&peer.login(EMAIL, PASSWORD).await),
    );
    let before = system.host.client.consumed();
    let changed = change(&peer, &here, PASSWORD, NEW).await;
    let fresh = token(&changed);
    // Account, remaining session, revocation, feed, outbox and audit row: two units each, so the
    // transaction has twelve; the attempt, counted and refunded, one each.
    let written = system.host.client.consumed().since(before).write_halves;
    assert_eq!(written, 2 * 14);
    assert_eq!(claims(&fresh)["sid"], claims(&here)["sid"]);
    assert_eq!(claims(&fresh)["gen"], 1);
    assert_eq!(claims(&fresh)["auth_time"], claims(&here)["auth_time"]);

    // Old tokens, of this session too, are revoked; the new one is valid.
    for old in [&here, &there] {
        is_problem(&change(&peer, old, NEW, PASSWORD).await, 401, "revoked");
    }
    is_problem(&peer.login(EMAIL, PASSWORD).await, 401, "bad_credentials");
    token(&peer.login(EMAIL, NEW).await);
    token(&change(&peer, &fresh, NEW, PASSWORD).await);
    let lines = audit(&system, "password_change").await;
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["outcome"] == "success"));
}

#[tokio::test]
async fn after_a_theft_a_password_change_ends_the_refresh_token_of_its_session() {
    let system = with_account().await;
    let peer = system.peer();
    let login = peer.login(EMAIL, PASSWORD).await;
    let stolen = refresh_token(&login);
    system.clock.pass(60);
    let changed = change(&peer, &token(&login), PASSWORD, NEW).await;
    let ours = refresh_token(&changed);
    assert_ne!(ours, stolen);
    assert!(changed.cookie(DEVICE_COOKIE).is_some());
    // Within the reuse window, too.
    let refused = refresh(&peer, &stolen).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    for _turn in 0..2 {
        let renewed = refresh(&peer, &ours).await;
        assert_eq!(
            claims(&token(&renewed))["sid"],
            claims(&token(&login))["sid"]
        );
        assert_eq!(claims(&token(&renewed))["gen"], 1);
        system.clock.pass(5);
    }
    // After it, the old token is a reused one: two parties hold tokens of this session.
    system.clock.pass(60);
    assert_eq!(refresh(&peer, &stolen).await.code(), "refresh_reused");
    assert_eq!(refresh(&peer, &ours).await.code(), "session_over");
}

#[tokio::test]
async fn a_password_change_replaces_the_refresh_token_where_the_browser_has_it() {
    let system = with_account().await;
    let peer = system.peer();
    let body = json!({"email": EMAIL, "password": PASSWORD, "transport": "cookie"});
    let login = peer.post("/v1/login", &body).await;
    let cookie = login.cookie(REFRESH_COOKIE).expect("a cookie");
    let body = json!({"current_password": PASSWORD, "new_password": NEW}).to_string();
    let request = Request::post("/v1/password/change")
        .header("authorization", format!("Bearer {}", token(&login)))
        .header("content-type", "application/json")
        .header("cookie", format!("{REFRESH_COOKIE}={cookie}"))
        .body(Bytes::from(body));
    let changed = peer.send(request.expect("a request")).await;
    assert_eq!(
        changed.json.get("refresh_token"),
        None,
        "no script holds it"
    );
    assert_eq!(changed.json["csrf_token"], login.json["csrf_token"]);
    let next = changed.cookie(REFRESH_COOKIE).expect("a cookie");
    assert_ne!(next, cookie);
    let csrf = csrf(&login);
    let _ = token(&by_cookie(&peer, &next, &csrf).await);
    assert_eq!(by_cookie(&peer, &cookie, &csrf).await.status, 401);
}

#[tokio::test]
async fn a_login_over_an_open_cookie_session_ends_that_session() {
    let system = with_account().await;
    let peer = system.peer();
    let body = |transport| json!({"email": EMAIL, "password": PASSWORD, "transport": transport});
    for transport in ["cookie", "body"] {
        let first = peer.post("/v1/login", &body("cookie")).await;
        let other = peer.post("/v1/login", &body("cookie")).await;
        let cookie = first.cookie(REFRESH_COOKIE).expect("a cookie");
        let cookies = format!("{REFRESH_COOKIE}={cookie}");
        let wrong = json!({"email": EMAIL, "password": "wrong horse battery"});
        let refused = peer.post_with("/v1/login", &wrong, &cookies).await;
        is_problem(&refused, 401, "bad_credentials");
        let bearer = token(&first);
        let _ = token(&by_cookie(&peer, &cookie, &csrf(&first)).await);

        let second = peer
            .post_with("/v1/login", &body(transport), &cookies)
            .await;
        let _ = token(&second);
        is_problem(&change(&peer, &bearer, PASSWORD, NEW).await, 401, "revoked");
        let over = by_cookie(&peer, &cookie, &csrf(&first)).await;
        is_problem(&over, 401, "session_over");
        // The cookie holds the new session, or none.
        let now = second.cookie(REFRESH_COOKIE).expect("a cookie");
        assert_eq!(now.is_empty(), transport == "body");
        // A cookie without an open session and the sessions of other browsers change nothing.
        let _ = token(&peer.post_with("/v1/login", &body("body"), &cookies).await);
        let others = other.cookie(REFRESH_COOKIE).expect("a cookie");
        let _ = token(&by_cookie(&peer, &others, &csrf(&other)).await);
    }
}

#[tokio::test]
async fn a_refused_password_change_has_its_code_and_changes_nothing() {
    let system = with_account().await;
    let peer = system.peer();
    let bearer = token(&peer.login(EMAIL, PASSWORD).await);
    for (current, new, status, code) in [
        ("another horse battery", NEW, 403, "wrong_password"),
        (PASSWORD, "eight ch", 400, "password_too_short"),
        (
            PASSWORD,
            "correcthorsebatterystaple",
            400,
            "password_common",
        ),
        (
            PASSWORD,
            "ann@example.com",
            400,
            "password_contains_address",
        ),
    ] {
        let reply = change(&peer, &bearer, current, new).await;
        is_problem(&reply, status, code);
        assert_eq!(status == 400, reply.json.get("feedback").is_some());
    }
    token(&peer.login(EMAIL, PASSWORD).await);
    let mut outcomes: Vec<_> = audit(&system, "password_change").await;
    outcomes.sort_by_key(|line| line["outcome"].to_string());
    let outcomes: Vec<_> = outcomes.iter().map(|line| &line["outcome"]).collect();
    assert_eq!(
        outcomes,
        [
            "unfit_password",
            "unfit_password",
            "unfit_password",
            "wrong_password"
        ]
    );
}

#[tokio::test]
async fn of_two_concurrent_password_changes_one_succeeds() {
    let system = with_account().await;
    let (one, other) = (
        system.peer(),
        system.another(CHEAP, &[]).await.expect("a host"),
    );
    let bearer = token(&one.login(EMAIL, PASSWORD).await);
    let (a, b) = tokio::join!(
        change(&one, &bearer, PASSWORD, NEW),
        change(&other, &bearer, PASSWORD, "quince marmalade tractor"),
    );
    let mut codes = [(a.status, a.code()), (b.status, b.code())];
    codes.sort_unstable();
    assert_eq!(codes[0].0, 200, "{codes:?}");
    // The later request met another password, or a revoked token.
    assert!(
        [
            (401, "revoked"),
            (403, "wrong_password"),
            (409, "account_changed")
        ]
        .contains(&codes[1]),
        "{codes:?}"
    );
}

/// Imports `hash` as the CLI does.
async fn imported(system: &System, email: &str, hash: &str, request: &str) -> ImportOutcome {
    let host = &system.host;
    let now = host.clock.read().expect("a time");
    let call = RequestMeta {
        now,
        request_id: Id::parse(request).expect("an id"),
        client_address: String::new(),
    };
    let store = host.store(now);
    let ctx = host.ctx(&store, &call).await.expect("means");
    let request = ImportRequest {
        email: EmailAddress::parse(email).expect("an address"),
        password: PasswordHash::parse(hash).expect("a hash"),
        verified_at: Some(now),
        user_id: None,
    };
    import(&request, &host.hasher.with(ctx.root_keys, ""), ctx)
        .await
        .expect("an end")
}

#[tokio::test]
async fn an_imported_user_logs_in_and_is_rehashed() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    let lines = include_str!("../vectors/passwords/hashes.jsonl");
    let mut renewed = 0;
    for (number, line) in lines.lines().enumerate() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| line[name].as_str().expect("a text").to_owned();
        let email = format!("user{number}@example.com");
        let request = format!("r{number}");
        let outcome = imported(&system, &email, &text("hash"), &request).await;
        assert!(matches!(outcome, ImportOutcome::Imported(_)), "{line}");
        is_problem(
            &peer.login(&email, "another password").await,
            401,
            "bad_credentials",
        );
        token(&peer.login(&email, &text("password")).await);
        token(&peer.login(&email, &text("password")).await);
        let key = format!("USER#{email}");
        let rows = system.rows("Portcullis", &key).await.expect("rows");
        let user = rows
            .iter()
            .find(|row| row["SK"] == "PROFILE")
            .expect("a user");
        let hash = user["password"].as_str().expect("a hash");
        if text("kind") == "argon2id" {
            assert_eq!(hash, text("hash"), "stronger than the current one stays");
        } else {
            assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
            renewed += 1;
        }
    }
    assert_eq!(audit(&system, "password_rehash").await.len(), renewed);
    assert_eq!(
        audit(&system, AuditKind::Imported.action()).await.len(),
        renewed + 1
    );
}

#[tokio::test]
async fn an_unverifiable_hash_is_not_imported_and_no_account_is_replaced() {
    let system = with_account().await;
    for hash in [
        "$1$salt$hash",
        "$2b$15$AOt4lV8x5xcMyNnsIbi.ZuGejoCl0NclWuF25DSWHiJrvKXFRSGpm",
    ] {
        let outcome = imported(&system, "new@example.com", hash, "r1").await;
        assert_eq!(outcome, ImportOutcome::UnusableHash);
    }
    let hash = "$2b$04$AOt4lV8x5xcMyNnsIbi.ZuGejoCl0NclWuF25DSWHiJrvKXFRSGpm";
    assert_eq!(
        imported(&system, EMAIL, hash, "r2").await,
        ImportOutcome::AddressTaken
    );
    token(&system.peer().login(EMAIL, PASSWORD).await);
}

#[tokio::test]
async fn a_pepper_is_added_to_hashes_as_their_owners_log_in() {
    let system = with_account().await;
    let peppered = system.another(CHEAP, &[("PORTCULLIS_PEPPER", "on")]).await;
    let peppered = peppered.expect("a host");
    let hash = async || {
        let rows = system.rows("Portcullis", "USER#ann@").await.expect("rows");
        let user = rows
            .iter()
            .find(|row| row["SK"] == "PROFILE")
            .expect("a user");
        user["password"].as_str().expect("a hash").to_owned()
    };
    assert!(!hash().await.contains("keyid"));
    token(&peppered.login(EMAIL, PASSWORD).await);
    assert!(hash().await.contains(",keyid=MQ$"));
    is_problem(
        &peppered.login(EMAIL, "another password").await,
        401,
        "bad_credentials",
    );
    token(&peppered.login(EMAIL, PASSWORD).await);
    // Switched off, it is still read, and removed at the next login.
    token(&system.peer().login(EMAIL, PASSWORD).await);
    assert!(!hash().await.contains("keyid"));
}

#[tokio::test]
async fn a_login_burst_beyond_the_queue_is_busy_and_then_recovers() {
    let system = with_account().await;
    // The time of a real hash: long enough for the other requests to arrive.
    let peer = system
        .another(HashParameters::CURRENT, &[("PORTCULLIS_LIMITS", "off")])
        .await
        .expect("a host");
    let bound = LIMITS.at_once + LIMITS.waiting;
    let burst = (0..bound * 4).map(|_| peer.login("nobody@example.com", PASSWORD));
    let replies = futures_util::future::join_all(burst).await;
    let busy: Vec<_> = replies.iter().filter(|reply| reply.status == 503).collect();
    assert!(!busy.is_empty(), "{} at once were all hashed", bound * 4);
    for reply in busy {
        is_problem(reply, 503, "busy");
        assert_eq!(reply.header("retry-after"), "1");
    }
    assert!(
        replies
            .iter()
            .all(|reply| [401, 503].contains(&reply.status))
    );
    token(&peer.login(EMAIL, PASSWORD).await);
}
