//! Heads and bodies that a proxy in front may read in another way, over a raw socket.
//! Each request asks for a second one in its body: the host answers once and closes.

use portcullis_tests::system::{CHEAP, Peer, System};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const HIDDEN: &str = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

/// Sends `head` and a hidden request on a connection that stays open; returns all that the host
/// sends until it closes the connection.
async fn answers(peer: &Peer, request: &str) -> String {
    let mut stream = TcpStream::connect(peer.address()).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut bytes = Vec::new();
    let mut part = [0; 1_024];
    while let Ok(read) = stream.read(&mut part).await
        && read > 0
    {
        bytes.extend_from_slice(&part[..read]);
    }
    String::from_utf8(bytes).expect("ASCII")
}

/// Checks that the host refuses the request with `status` and closes the connection.
async fn is_refused(peer: &Peer, request: &str, status: u16) -> String {
    let answer = answers(peer, request).await;
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} "))
            || answer.starts_with(&format!("HTTP/1.0 {status} ")),
        "{request:?}: {answer}"
    );
    assert_eq!(
        answer.matches("HTTP/1.").count(),
        1,
        "{request:?}: {answer}"
    );
    answer.to_ascii_lowercase()
}

/// As [`is_refused`], with the problem JSON of the host.
async fn is_problem(peer: &Peer, request: &str, status: u16, code: &str) {
    let answer = is_refused(peer, request, status).await;
    for part in [
        "connection: close",
        "content-type: application/problem+json",
        "x-request-id: ",
        "strict-transport-security: ",
        &format!(r#""code":"{code}""#),
    ] {
        assert!(answer.contains(part), "{request:?} lacks {part}: {answer}");
    }
}

async fn malformed(peer: &Peer, head: &str) {
    is_problem(
        peer,
        &format!("{head}\r\n\r\n{HIDDEN}"),
        400,
        "malformed_request",
    )
    .await;
}

#[tokio::test]
async fn request_smuggling_a_request_without_one_valid_host_is_400() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    for head in [
        "GET /health HTTP/1.1",
        "GET /health HTTP/1.1\r\nX-Host: x",
        "GET /health HTTP/1.1\r\nHost: x\r\nHost: x",
        "GET /health HTTP/1.1\r\nHost: x\r\nhost: evil.example",
        "GET http://x/health HTTP/1.1",
        "GET http://x/health HTTP/1.1\r\nHost: x\r\nHost: x",
        "GET /health HTTP/1.0\r\nHost: x\r\nHost: y",
        "GET /health HTTP/1.0\r\nHost: a b",
        "POST /v1/login HTTP/1.1",
        "GET /nowhere HTTP/1.1",
        "OPTIONS /v1/login HTTP/1.1\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: POST",
    ] {
        malformed(&peer, head).await;
    }
    for host in [
        "", ":80", "a b", "user@x", "http://x", "x/path", "x#y", "x:99999", "x:y", "[::1", "::1",
        "%zz",
    ] {
        malformed(&peer, &format!("GET /health HTTP/1.1\r\nHost: {host}")).await;
    }
    for head in [
        "GET /health HTTP/1.1\r\nHost: x",
        "GET /health HTTP/1.1\r\nHost: [::1]:8788",
        "GET http://x/health HTTP/1.1\r\nHost: x",
        "GET /health HTTP/1.0",
        "GET /health HTTP/1.0\r\nHost: x",
    ] {
        let answer = answers(&peer, &format!("{head}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.contains(" 200 OK"), "{head}: {answer}");
    }
}

#[tokio::test]
async fn request_smuggling_an_allowed_origin_gets_no_preflight_without_a_host() {
    let system = System::start().await.expect("a system");
    let settings = [("PORTCULLIS_ALLOWED_ORIGINS", "https://app.example")];
    let peer = system.another(CHEAP, &settings).await.expect("a host");
    let preflight = "Origin: https://app.example\r\nAccess-Control-Request-Method: POST";
    malformed(&peer, &format!("OPTIONS /v1/login HTTP/1.1\r\n{preflight}")).await;
}

#[tokio::test]
async fn request_smuggling_two_lengths_are_400() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    let length = HIDDEN.len();
    for fields in [
        // CL.TE and TE.CL: a proxy that reads the other field finds a second request.
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n0"),
        "Transfer-Encoding: chunked\r\nContent-Length: nonsense\r\n\r\n0".to_owned(),
        "Content-Length: 0\r\nContent-Length: 0".to_owned(),
    ] {
        malformed(
            &peer,
            &format!("POST /v1/logout HTTP/1.1\r\nHost: x\r\n{fields}"),
        )
        .await;
        malformed(
            &peer,
            &format!("GET /health HTTP/1.1\r\nHost: x\r\n{fields}"),
        )
        .await;
    }
    for fields in [
        "Content-Length: 0\r\nContent-Length: 5",
        "Content-Length: 0, 0",
        "Content-Length: +0",
        "Content-Length: -1",
        "Content-Length: 0x0",
        "Content-Length: 18446744073709551616",
        "Content-Length : 0",
        "X: y\r\n Content-Length: 0",
    ] {
        let head = format!("GET /health HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{HIDDEN}");
        is_refused(&peer, &head, 400).await;
    }
}

#[tokio::test]
async fn request_smuggling_a_transfer_coding_besides_chunked_is_501() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    for fields in [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: x-unknown,chunked",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    ] {
        let head = format!("POST /v1/logout HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n0\r\n\r\n");
        is_problem(
            &peer,
            &format!("{head}{HIDDEN}"),
            501,
            "unsupported_transfer_coding",
        )
        .await;
    }
    for fields in [
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: , chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ] {
        let head = format!("POST /v1/logout HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n0");
        malformed(&peer, &head).await;
    }
    // The last coding is not `chunked`, or the field is no list: hyper refuses these by itself.
    for fields in [
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding:",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: \u{b}chunked",
        "X: y\r\n Transfer-Encoding: chunked",
    ] {
        let head = format!("POST /v1/logout HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n0\r\n\r\n");
        is_refused(&peer, &format!("{head}{HIDDEN}"), 400).await;
    }
}

#[tokio::test]
async fn request_smuggling_http_1_0_has_no_transfer_coding() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    for coding in ["chunked", "gzip, chunked", "identity"] {
        let head = format!("POST /v1/logout HTTP/1.0\r\nTransfer-Encoding: {coding}");
        let keep = format!("{head}\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n{HIDDEN}");
        is_refused(&peer, &keep, 400).await;
    }
}

#[tokio::test]
async fn request_smuggling_by_a_bare_line_feed_or_return_is_400() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    malformed(&peer, "GET /health HTTP/1.1\r\nHost: x\nX: y").await;
    malformed(&peer, "GET /health HTTP/1.1\nHost: x").await;
    for head in [
        "GET /health HTTP/1.1\r\nHost: x\rX: y\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: x\0\r\n\r\n",
    ] {
        is_refused(&peer, &format!("{head}{HIDDEN}"), 400).await;
    }
}

#[tokio::test]
async fn request_smuggling_a_request_after_a_malformed_chunk_is_not_served() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    for chunk in [
        "z\r\n",
        "1\nx\r\n",
        "1\r\nxy\r\n",
        "-1\r\n",
        "1;a\nb\r\n",
        "0\r\nX: y\n\r\n\r\n",
    ] {
        let head = "POST /v1/logout HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
        let request = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n{HIDDEN}");
        let answer = answers(&peer, &request).await;
        assert!(!answer.contains(" 200 OK"), "{chunk:?}: {answer}");
    }
}

#[tokio::test]
async fn a_connection_serves_each_of_its_well_framed_requests() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    let length = format!("Content-Length: {}\r\n\r\n{HIDDEN}", HIDDEN.len());
    let chunked = format!(
        "Transfer-Encoding: Chunked\r\n\r\n{:x}\r\n{HIDDEN}\r\n0\r\n\r\n",
        HIDDEN.len()
    );
    let post = "POST /v1/logout HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let last = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for body in [length, chunked] {
        let answer = answers(
            &peer,
            &format!("\r\n{post}{body}{HIDDEN}{post}{body}{last}"),
        )
        .await;
        // The request in a body is none, but malformed JSON. The other two are health checks.
        assert_eq!(answer.matches("\"malformed_body\"").count(), 2, "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 2, "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 4, "{answer}");
    }
}
