//! Logout works with whatever the client still has.

use bytes::Bytes;
use http::Request;
use portcullis_tests::system::{CHEAP, Peer, Reply, System};
use serde_json::json;

use crate::refresh::{refresh, refresh_token};
use crate::{EMAIL, PASSWORD, is_problem, token, with_account};

const OWN: &str = "https://login.example";
const APP: &str = "https://app.example";

/// `method path` with these headers and this body.
async fn send(
    peer: &Peer,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Bytes::from(body.to_owned());
    peer.send(request.body(body).expect("a request")).await
}

async fn logout(peer: &Peer, headers: &[(&str, &str)]) -> Reply {
    send(peer, "POST", "/v1/logout", headers, "").await
}

async fn sessions(system: &System) -> usize {
    system.rows("Portcullis", "SID#").await.expect("rows").len()
}

/// A login of a browser: its cookie and its CSRF token.
async fn browser(peer: &Peer) -> (String, String) {
    let body = json!({"email": EMAIL, "password": PASSWORD, "transport": "cookie"});
    let login = peer.post("/v1/login", &body).await;
    let cookie = login.cookie("__Host-portcullis-refresh").expect("a cookie");
    let csrf = login.json["csrf_token"].as_str().expect("a CSRF token");
    (
        format!("__Host-portcullis-refresh={cookie}"),
        csrf.to_owned(),
    )
}

fn clears_the_cookie(reply: &Reply) -> bool {
    let cleared =
        "__Host-portcullis-refresh=; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=0";
    reply.header("set-cookie") == cleared
}

#[tokio::test]
async fn an_expired_access_token_ends_its_session_during_the_life_of_the_session() {
    let system = with_account().await;
    let peer = system.peer();
    let login = peer.login(EMAIL, PASSWORD).await;
    system.clock.pass(601);
    let bearer = format!("Bearer {}", token(&login));
    let reply = send(
        &peer,
        "GET",
        "/v1/sessions",
        &[("authorization", &bearer)],
        "",
    )
    .await;
    is_problem(&reply, 401, "expired");
    // One character of the signature differs.
    let mut forged = bearer.clone();
    let last = forged.pop().expect("a signature");
    let one = forged.pop().expect("a signature");
    forged.extend([if one == 'A' { 'B' } else { 'A' }, last]);
    for other in [&forged, "Bearer x", "Basic x", ""] {
        let reply = logout(&peer, &[("authorization", other)]).await;
        assert_eq!(reply.status, 204, "{other:.20}: {reply:?}");
        assert_eq!(sessions(&system).await, 1, "{other:.20}");
    }
    assert_eq!(
        logout(&peer, &[("authorization", &bearer)]).await.status,
        204
    );
    assert_eq!(sessions(&system).await, 0);
    let over = refresh(&peer, &refresh_token(&login)).await;
    assert_eq!(over.status, 400, "{over:?}");
    // A repeated logout is harmless, also after the life of the session.
    assert_eq!(
        logout(&peer, &[("authorization", &bearer)]).await.status,
        204
    );
    system.clock.pass(31 * 86_400);
    assert_eq!(
        logout(&peer, &[("authorization", &bearer)]).await.status,
        204
    );
}

#[tokio::test]
async fn a_current_or_used_refresh_token_ends_its_session() {
    let system = with_account().await;
    let peer = system.peer();
    for use_first in [false, true] {
        let login = peer.login(EMAIL, PASSWORD).await;
        let first = refresh_token(&login);
        if use_first {
            assert_eq!(refresh(&peer, &first).await.status, 200);
            system.clock.pass(60);
        }
        assert_eq!(sessions(&system).await, 1);
        let reply = peer
            .post("/v1/logout", &json!({"refresh_token": "x"}))
            .await;
        assert_eq!(reply.status, 204);
        assert_eq!(sessions(&system).await, 1);
        let body = json!({"refresh_token": first});
        assert_eq!(peer.post("/v1/logout", &body).await.status, 204);
        assert_eq!(sessions(&system).await, 0);
        assert_eq!(peer.post("/v1/logout", &body).await.status, 204);
    }
    for (body, code) in [
        ("{", "malformed_body"),
        ("[]", "malformed_body"),
        (r#"{"refresh_token": 1}"#, "bad_member"),
        (r#"{"token": "x"}"#, "unknown_member"),
    ] {
        let reply = peer.post_bytes("/v1/logout", body).await;
        is_problem(&reply, 400, code);
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let reply = send(&peer, "POST", "/v1/logout", &form, "refresh_token=x").await;
    is_problem(&reply, 415, "unsupported_media_type");
}

#[tokio::test]
async fn csrf_a_cookie_ends_its_session_with_the_csrf_token_or_from_an_own_page_only() {
    let system = with_account().await;
    let app = [("PORTCULLIS_ALLOWED_ORIGINS", APP)];
    let peer = system.another(CHEAP, &app).await.expect("a host");
    let (cookie, csrf) = browser(&peer).await;
    let other_csrf = browser(&peer).await.1;
    let held = ("cookie", cookie.as_str());
    for headers in [
        vec![held],
        vec![held, ("sec-fetch-site", "cross-site")],
        vec![held, ("sec-fetch-site", "same-site")],
        vec![held, ("sec-fetch-site", "none")],
        vec![held, ("origin", "null")],
        vec![held, ("origin", "https://evil.example")],
        vec![held, ("x-portcullis-csrf", &other_csrf)],
        vec![held, ("x-portcullis-csrf", "")],
        vec![
            held,
            ("origin", "https://evil.example"),
            ("sec-fetch-site", "same-origin"),
        ],
    ] {
        let reply = logout(&peer, &headers).await;
        assert_eq!(reply.status, 204, "{headers:?}");
        assert_eq!(reply.header("set-cookie"), "", "{headers:?}");
        assert_eq!(sessions(&system).await, 2, "{headers:?}");
    }
    // The CSRF token suffices, but only an own page loses the cookie.
    let reply = logout(&peer, &[held, ("x-portcullis-csrf", &csrf)]).await;
    assert_eq!((reply.status, reply.header("set-cookie")), (204, ""));
    assert_eq!(sessions(&system).await, 1);
    let mut left = 1;
    for headers in [
        [("sec-fetch-site", "same-origin"), ("x", "y")],
        [("origin", OWN), ("sec-fetch-site", "same-origin")],
        [("origin", OWN), ("x", "y")],
        [("origin", APP), ("sec-fetch-site", "same-site")],
    ] {
        let (cookie, _) = browser(&peer).await;
        assert_eq!(sessions(&system).await, left + 1);
        let reply = logout(
            &peer,
            &[&[("cookie", cookie.as_str())], &headers[..]].concat(),
        )
        .await;
        assert_eq!(reply.status, 204, "{headers:?}");
        assert!(clears_the_cookie(&reply), "{reply:?}");
        assert_eq!(sessions(&system).await, left, "{headers:?}");
    }
    left = 0;
    // An access token and a cookie of two sessions: the logout ends both.
    let login = peer.login(EMAIL, PASSWORD).await;
    let (cookie, _) = browser(&peer).await;
    let bearer = format!("Bearer {}", token(&login));
    let before = sessions(&system).await;
    let headers = [
        ("authorization", bearer.as_str()),
        ("cookie", &cookie),
        ("sec-fetch-site", "same-origin"),
    ];
    assert_eq!(logout(&peer, &headers).await.status, 204);
    assert_eq!(sessions(&system).await, before - 2 + left);
}

#[tokio::test]
async fn a_logout_with_token_and_cookie_of_one_session_is_one_transaction() {
    let system = with_account().await;
    let peer = system.peer();
    let body = json!({"email": EMAIL, "password": PASSWORD, "transport": "cookie"});
    let login = peer.post("/v1/login", &body).await;
    let cookie = login.cookie("__Host-portcullis-refresh").expect("a cookie");
    let cookie = format!("__Host-portcullis-refresh={cookie}");
    let bearer = format!("Bearer {}", token(&login));
    let before = system.proxy.count("TransactWriteItems");
    let headers = [
        ("authorization", bearer.as_str()),
        ("cookie", &cookie),
        ("sec-fetch-site", "same-origin"),
    ];
    assert_eq!(logout(&peer, &headers).await.status, 204);
    assert_eq!(system.proxy.count("TransactWriteItems"), before + 1);
}

#[tokio::test]
async fn csrf_a_page_that_was_reloaded_gets_its_csrf_token_again() {
    let system = with_account().await;
    let app = [("PORTCULLIS_ALLOWED_ORIGINS", APP)];
    let peer = system.another(CHEAP, &app).await.expect("a host");
    let (cookie, csrf) = browser(&peer).await;
    let held = ("cookie", cookie.as_str());
    for headers in [
        [held, ("sec-fetch-site", "same-origin")],
        [held, ("origin", APP)],
        [held, ("origin", OWN)],
    ] {
        let reply = send(&peer, "GET", "/v1/csrf", &headers, "").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.json["csrf_token"], csrf.as_str());
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    for headers in [
        vec![held],
        vec![held, ("sec-fetch-site", "same-site")],
        vec![held, ("sec-fetch-site", "cross-site")],
        vec![held, ("sec-fetch-site", "none")],
        vec![held, ("origin", "null")],
        vec![held, ("origin", "https://evil.example")],
    ] {
        let reply = send(&peer, "GET", "/v1/csrf", &headers, "").await;
        is_problem(&reply, 403, "cross_site");
        assert!(!format!("{reply:?}").contains(&csrf));
    }
    for cookie in ["", "a=b", "__Host-portcullis-refresh=x"] {
        let headers = [("cookie", cookie), ("sec-fetch-site", "same-origin")];
        let reply = send(&peer, "GET", "/v1/csrf", &headers, "").await;
        is_problem(&reply, 401, "missing_refresh_token");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_does_not_prevent_a_logout_by_token_or_cookie() {
    let system = with_account().await;
    let peer = system.peer();
    for body in ["bye", "{}"] {
        for kind in ["text/plain;charset=UTF-8", "application/octet-stream"] {
            let bearer = format!("Bearer {}", token(&peer.login(EMAIL, PASSWORD).await));
            let (cookie, _) = browser(&peer).await;
            for credentials in [
                vec![("authorization", bearer.as_str())],
                vec![
                    ("cookie", cookie.as_str()),
                    ("sec-fetch-site", "same-origin"),
                ],
            ] {
                let before = sessions(&system).await;
                let headers = [&credentials[..], &[("content-type", kind)]].concat();
                let reply = send(&peer, "POST", "/v1/logout", &headers, body).await;
                assert_eq!(reply.status, 204, "{kind}: {reply:?}");
                assert_eq!(sessions(&system).await, before - 1);
            }
        }
    }
}
