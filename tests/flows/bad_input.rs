//! Whatever is sent, there is an answer with a stable code, and nothing is written.

use bytes::Bytes;
use http::{Method, Request};
use portcullis_tests::system::{Peer, Reply, System};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{EMAIL, PASSWORD, token, with_account};

/// Checks that `reply` is problem JSON of this status and code.
fn is_problem(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.code()), (status, code), "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/problem+json");
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.json["status"], status);
    assert_eq!(
        reply.json["request_id"].as_str(),
        Some(reply.header("x-request-id"))
    );
    for member in ["title", "detail"] {
        assert!(
            reply.json[member]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{member}"
        );
    }
}

/// Sends `bytes` as they are; what comes back until the host closes or has answered once.
async fn raw(peer: &Peer, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(peer.address())
        .await
        .expect("a connection");
    stream.write_all(bytes).await.expect("sent");
    stream.shutdown().await.expect("nothing more is sent");
    let mut answer = vec![];
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8(answer).expect("ASCII")
}

#[tokio::test]
async fn a_body_that_is_not_the_json_of_credentials_is_refused() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let cases: Vec<(&[u8], &str)> = vec![
        (b"", "malformed_body"),
        (b"{", "malformed_body"),
        (b"null", "malformed_body"),
        (b"\"email\"", "malformed_body"),
        (br#"{"email":"a@b.example","password":"#, "malformed_body"),
        (
            b"{\"email\":\"a@b.example\",\"password\":\"\xc3\x28\"}",
            "malformed_body",
        ),
        (b"\xff\xfe{\0}\0", "malformed_body"),
        (b"email=a%40b.example&password=x", "malformed_body"),
        (
            br#"{"email":"a@b.example","password":"x","password":"y"}"#,
            "malformed_body",
        ),
        (
            br#"{"email":"a@b.example","\u0065mail":"b@b.example","password":"x"}"#,
            "malformed_body",
        ),
        (deep.as_bytes(), "malformed_body"),
        (
            br#"{"email":"a@b.example","password":"x","role":"admin"}"#,
            "unknown_member",
        ),
        (
            br#"{"email":"a@b.example","password":"x","role":{"a":1,"a":1}}"#,
            "malformed_body",
        ),
        (
            br#"{"Email":"a@b.example","password":"x"}"#,
            "unknown_member",
        ),
        (br#"{"email":"a@b.example"}"#, "missing_member"),
        (
            br#"{"email":"a@b.example","password":123456789012345678}"#,
            "bad_member",
        ),
        (br#"{"email":{"$ne":null},"password":"x"}"#, "bad_member"),
        (br#"{"email":"not an address","password":"x"}"#, "bad_email"),
        (
            br#"{"email":"a@b.example\r\nbcc: c@d.example","password":"x"}"#,
            "bad_email",
        ),
    ];
    for path in ["/v1/register", "/v1/login"] {
        for (body, code) in &cases {
            let reply = peer.post_bytes(path, Bytes::copy_from_slice(body)).await;
            is_problem(&reply, 400, code);
        }
    }
    assert!(
        system
            .rows("Portcullis", "")
            .await
            .expect("rows")
            .is_empty()
    );
    assert_eq!(system.host.hasher.runs(), 0);
}

#[tokio::test]
async fn each_rule_about_passwords_and_addresses_is_told() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    for (email, password, code, word) in [
        (EMAIL, "fourteen chars", "password_too_short", "15"),
        (EMAIL, &"x".repeat(257), "password_too_long", "256"),
        ("ann", PASSWORD, "bad_email", "@"),
        (
            &format!("{}@example.com", "a".repeat(300)),
            PASSWORD,
            "bad_email",
            "254",
        ),
        ("ann@example", PASSWORD, "bad_email", "domain"),
    ] {
        let reply = peer.register(email, password).await;
        is_problem(&reply, 400, code);
        assert!(
            reply.json["detail"]
                .as_str()
                .expect("a detail")
                .contains(word),
            "{reply:?}"
        );
    }
    assert_eq!(peer.register(EMAIL, "fifteen chars !").await.status, 201);
    assert_eq!(
        peer.register("b@example.com", &"\u{1f511}".repeat(256))
            .await
            .status,
        201
    );
    // A password that nobody can have is a wrong one at login, not a hint.
    let reply = peer.login(EMAIL, "short").await;
    is_problem(&reply, 401, "bad_credentials");
}

#[tokio::test]
async fn what_is_no_json_by_its_own_account_is_not_read() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    let body = r#"{"email":"a@b.example","password":"correct horse battery"}"#;
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json5",
        "",
    ] {
        let request = Request::post("/v1/register").header("content-type", content_type);
        let reply = peer
            .send(request.body(Bytes::from(body)).expect("a request"))
            .await;
        is_problem(&reply, 415, "unsupported_media_type");
    }
    let request = Request::post("/v1/register")
        .body(Bytes::from(body))
        .expect("a request");
    is_problem(&peer.send(request).await, 415, "unsupported_media_type");
}

#[tokio::test]
async fn a_body_beyond_eight_kibibytes_is_not_read_to_its_end() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    let padded = |length: usize| {
        let body = r#"{"email":"a@b.example","password":"correct horse battery"}"#;
        format!("{}{body}", " ".repeat(length - body.len()))
    };
    assert_eq!(
        peer.post_bytes("/v1/register", padded(8_192)).await.status,
        201
    );
    is_problem(
        &peer.post_bytes("/v1/register", padded(8_193)).await,
        413,
        "body_too_large",
    );
    let chunked = b"POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
        transfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    let chunk = format!("2001\r\n{}\r\n0\r\n\r\n", " ".repeat(0x2001));
    let answer = raw(&peer, &[chunked, chunk.as_bytes()].concat()).await;
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.contains("body_too_large"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_writes_nothing() {
    let system = System::start().await.expect("a system");
    let request = b"POST /v1/register HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
        content-length: 500\r\n\r\n{\"email\":\"a@b.example\",\"password\":\"correct horse battery\"}";
    let answer = raw(&system.peer(), request).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
        "{answer}"
    );
    assert!(
        system
            .rows("Portcullis", "")
            .await
            .expect("rows")
            .is_empty()
    );
}

#[tokio::test]
async fn methods_and_paths_that_are_not_there_say_so() {
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
async fn a_path_has_one_form_or_none() {
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
        "the host is still there"
    );
}

#[tokio::test]
async fn a_logout_without_a_good_token_changes_nothing() {
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
        let request = Request::post("/v1/logout").header("authorization", &authorization);
        let reply = peer
            .send(request.body(Bytes::new()).expect("a request"))
            .await;
        is_problem(&reply, status, code);
        assert!(
            reply
                .header("www-authenticate")
                .starts_with("Bearer error="),
            "{authorization:.40}"
        );
    }
    let reply = peer
        .send(
            Request::post("/v1/logout")
                .body(Bytes::new())
                .expect("a request"),
        )
        .await;
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
async fn a_request_is_named_by_its_caller_if_the_name_is_an_id() {
    let system = System::start().await.expect("a system");
    for (name, kept) in [
        ("trace-0123_abc", true),
        ("a b", false),
        ("a=", false),
        ("", false),
    ] {
        let request = Request::get("/health")
            .header("x-request-id", name)
            .body(Bytes::new());
        let reply = system.peer().send(request.expect("a request")).await;
        assert_eq!(reply.header("x-request-id") == name, kept, "{name}");
        assert!(!reply.header("x-request-id").is_empty());
    }
}

#[tokio::test]
async fn a_clock_before_1970_is_an_error_answer() {
    let system = with_account().await;
    let token = token(&system.peer().login(EMAIL, PASSWORD).await);
    system.clock.set_before_1970();
    for reply in [
        system.peer().login(EMAIL, PASSWORD).await,
        system.peer().logout(&token).await,
    ] {
        is_problem(&reply, 500, "internal");
    }
    system.clock.set(portcullis_tests::system::NOON);
    assert_eq!(system.peer().logout(&token).await.status, 204);
}
