//! Malformed bodies: a response with a stable code, and no write.

use bytes::Bytes;
use http::Request;
use portcullis_tests::system::System;

use crate::{EMAIL, PASSWORD, is_problem, raw};

#[tokio::test]
async fn a_body_other_than_json_credentials_is_rejected() {
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
async fn each_password_and_address_rule_has_its_error_code() {
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
    let longest: String = ('\u{1f300}'..'\u{1f400}').collect();
    assert_eq!(peer.register("b@example.com", &longest).await.status, 201);
    // An impossible password is a wrong one at login, without a hint.
    let reply = peer.login(EMAIL, "short").await;
    is_problem(&reply, 401, "bad_credentials");
}

#[tokio::test]
async fn a_body_without_json_content_type_is_not_read() {
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
async fn a_body_over_8_kib_is_not_read_to_its_end() {
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
