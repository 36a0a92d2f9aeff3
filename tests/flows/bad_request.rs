//! Wrong methods, paths, tokens and IDs, and an unreadable clock.

use bytes::Bytes;
use http::{Method, Request};
use portcullis_tests::system::{CHEAP, NOON, System};

use crate::{EMAIL, PASSWORD, is_problem, raw, token, with_account};

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    for (path, allowed) in [
        ("/v1/register", "POST"),
        ("/v1/login", "POST"),
        ("/v1/logout", "POST"),
        ("/.well-known/jwks.json", "GET,HEAD"),
        ("/.well-known/oauth-authorization-server", "GET,HEAD"),
        ("/.well-known/openid-configuration", "GET,HEAD"),
        ("/health", "GET,HEAD"),
    ] {
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
        ] {
            if allowed.contains(method.as_str()) {
                continue;
            }
            let request = Request::builder()
                .method(&method)
                .uri(path)
                .body(Bytes::new());
            let reply = peer.send(request.expect("a request")).await;
            is_problem(&reply, 405, "method_not_allowed");
            assert_eq!(reply.header("allow"), allowed, "{method} {path}");
        }
    }
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v1/login/",
        "/v1/Login",
        "/v2/login",
        "/.well-known/",
        "/healthz",
    ] {
        is_problem(&peer.get(path).await, 404, "unknown_route");
    }
    let head = Request::head("/health")
        .body(Bytes::new())
        .expect("a request");
    assert_eq!(peer.send(head).await.status, 200);
}

#[tokio::test]
async fn a_path_without_canonical_form_is_rejected() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    for path in [
        "//v1/login",
        "/v1//login",
        "/v1/./login",
        "/v1/../v1/login",
        "/v1%2flogin",
        "/v1%5Clogin",
        "/v1\\login",
        "/v1/login%00",
        "/v1/login%",
        "/v1/login%zz",
        "/v1/login;a=b",
        "/%2e%2e/health",
    ] {
        let request = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = raw(&peer, request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains("bad_path"),
            "{path}: {answer}"
        );
    }
    assert_eq!(peer.get("/%68ealth?query=ignored").await.status, 200);
    for request in [
        &b"GET /health\0 HTTP/1.1\r\nhost: x\r\n\r\n"[..],
        b"garbage\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: x\r\nno colon\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        let answer = raw(&peer, request).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
    }
    assert_eq!(
        peer.get("/health").await.status,
        200,
        "the host still responds"
    );
}

#[tokio::test]
async fn a_logout_without_a_token_of_ours_changes_nothing() {
    let system = with_account().await;
    let peer = system.peer();
    let token = token(&peer.login(EMAIL, PASSWORD).await);
    let (input, _) = token.rsplit_once('.').expect("three parts");
    let (_, rest) = token.split_once('.').expect("three parts");
    let foreign = System::start().await.expect("another system");
    assert_eq!(foreign.peer().register(EMAIL, PASSWORD).await.status, 201);
    let foreign = crate::token(&foreign.peer().login(EMAIL, PASSWORD).await);
    for (authorization, status, code) in [
        (format!("Basic {token}"), 400, "malformed_authorization"),
        (
            format!("Bearer {token}, Bearer {token}"),
            400,
            "malformed_authorization",
        ),
        ("Bearer ".to_owned(), 400, "malformed_authorization"),
        ("Bearer x".to_owned(), 401, "malformed_token"),
        (
            format!("Bearer {input}.{}", "A".repeat(86)),
            401,
            "bad_signature",
        ),
        (format!("Bearer bnVsbA.{rest}"), 401, "malformed_header"),
        (format!("Bearer {token}="), 401, "malformed_base64"),
        (format!("Bearer {foreign}"), 401, "unknown_key"),
        (
            format!("Bearer {}", "x".repeat(20_000)),
            401,
            "token_too_large",
        ),
    ] {
        let send = async |request: http::request::Builder| {
            let request = request.header("authorization", &authorization);
            peer.send(request.body(Bytes::new()).expect("a request"))
                .await
        };
        let reply = send(Request::post("/v1/logout")).await;
        assert_eq!(reply.status, 204, "{authorization:.40}: {reply:?}");
        let reply = send(Request::get("/v1/sessions")).await;
        is_problem(&reply, status, code);
        assert!(
            reply
                .header("www-authenticate")
                .starts_with("Bearer error="),
            "{authorization:.40}"
        );
    }
    let request = Request::post("/v1/logout").body(Bytes::new());
    assert_eq!(peer.send(request.expect("a request")).await.status, 204);
    let reply = peer.get("/v1/sessions").await;
    is_problem(&reply, 401, "missing_token");
    assert_eq!(reply.header("www-authenticate"), "Bearer");
    assert!(
        system
            .rows("TokenBlacklist", "TOKEN#")
            .await
            .expect("rows")
            .is_empty()
    );
    assert_eq!(peer.logout(&token).await.status, 204);
}

#[tokio::test]
async fn a_request_id_of_the_client_never_becomes_the_id_of_the_request() {
    let system = System::start().await.expect("a system");
    for name in ["trace-0123_abc", "a b", "a=", ""] {
        let request = Request::get("/health")
            .header("x-request-id", name)
            .body(Bytes::new());
        let reply = system.peer().send(request.expect("a request")).await;
        let id = reply.header("x-request-id").to_owned();
        assert_eq!(id.len(), 22, "{name}");
        assert_ne!(id, name);
    }
}

#[tokio::test]
async fn a_clock_before_1970_is_an_error_response() {
    let system = with_account().await;
    let token = token(&system.peer().login(EMAIL, PASSWORD).await);
    system.clock.set_before_1970();
    for reply in [
        system.peer().login(EMAIL, PASSWORD).await,
        system.peer().logout(&token).await,
    ] {
        is_problem(&reply, 500, "internal");
    }
    system.clock.set(NOON);
    assert_eq!(system.peer().logout(&token).await.status, 204);
}

#[tokio::test]
async fn hsts_is_on_every_response_of_an_https_issuer() {
    let system = with_account().await;
    for reply in [
        system.peer().get("/health").await,
        system.peer().get("/nowhere").await,
        system.peer().login(EMAIL, "wrong password here").await,
        system.peer().get("/v1/email/verify").await,
    ] {
        let hsts = reply.header("strict-transport-security");
        assert_eq!(hsts, "max-age=31536000", "{reply:?}");
    }
    let plain = [("PORTCULLIS_ISSUER", "http://127.0.0.1:8788")];
    let plain = system.another(CHEAP, &plain).await.expect("a host");
    let reply = plain.get("/health").await;
    assert_eq!(reply.header("strict-transport-security"), "");
}
