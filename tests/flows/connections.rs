//! Slow clients and full hosts, on a real socket; and a host under a base path.

use std::time::Duration;

use portcullis_tests::system::{CHEAP, Peer, System};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{EMAIL, PASSWORD, claims, token, with_account};

const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
const JWKS: &[u8] = b"GET /.well-known/jwks.json HTTP/1.1\r\nhost: x\r\n\r\n";

async fn host(system: &System, settings: &[(&str, &str)]) -> Peer {
    system.another(CHEAP, settings).await.expect("a host")
}

async fn connect(peer: &Peer) -> TcpStream {
    TcpStream::connect(peer.address()).await.expect("connected")
}

/// Sends `request` and returns the status line; empty if the host closed the connection.
async fn status(stream: &mut TcpStream, request: &[u8]) -> String {
    let mut bytes = vec![0; 4_096];
    if stream.write_all(request).await.is_err() {
        return String::new();
    }
    let read = stream.read(&mut bytes).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}

/// Waits until a new connection is served, after others were closed.
async fn until_served(peer: &Peer) {
    let served = async {
        loop {
            let mut stream = connect(peer).await;
            if status(&mut stream, HEALTH).await.contains("200") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), served)
        .await
        .expect("served");
}

#[tokio::test]
async fn one_address_gets_its_share_of_connections() {
    let system = System::start().await.expect("a system");
    let peer = host(&system, &[("PORTCULLIS_MAX_CONNECTIONS_PER_ADDRESS", "3")]).await;
    let mut held = Vec::new();
    for _connection in 0..3 {
        let mut stream = connect(&peer).await;
        assert!(status(&mut stream, HEALTH).await.contains("200"));
        held.push(stream);
    }
    let mut refused = connect(&peer).await;
    assert_eq!(status(&mut refused, HEALTH).await, "");
    // The others are served as before, and a closed one gives its place back.
    assert!(status(&mut held[0], HEALTH).await.contains("200"));
    held.pop();
    until_served(&peer).await;
}

#[tokio::test]
async fn a_full_host_answers_health_checks_alone() {
    let system = System::start().await.expect("a system");
    let peer = host(&system, &[("PORTCULLIS_MAX_CONNECTIONS", "2")]).await;
    let mut held = [connect(&peer).await, connect(&peer).await];
    for stream in &mut held {
        assert!(status(stream, JWKS).await.contains("200"));
    }
    let mut check = connect(&peer).await;
    assert!(status(&mut check, HEALTH).await.contains("200"));
    let mut other = connect(&peer).await;
    assert!(status(&mut other, JWKS).await.contains("503"));
    let mut end = [0; 1];
    let closed = timeout(Duration::from_secs(20), async {
        while other.read(&mut end).await.is_ok_and(|read| read > 0) {}
    });
    closed.await.expect("closed after the response");
}

#[tokio::test]
async fn clients_that_do_not_read_or_send_lose_their_connections() {
    let system = System::start().await.expect("a system");
    let peer = host(
        &system,
        &[
            ("PORTCULLIS_MAX_CONNECTIONS", "4"),
            ("PORTCULLIS_HEADER_TIMEOUT", "1"),
            ("PORTCULLIS_IDLE_TIMEOUT", "1"),
            ("PORTCULLIS_WRITE_TIMEOUT", "1"),
            ("PORTCULLIS_BODY_TIMEOUT", "1"),
        ],
    )
    .await;
    // Silent, half a head, half a body, and many requests without reading a response.
    let silent = connect(&peer).await;
    let mut head = connect(&peer).await;
    head.write_all(b"GET /hea").await.expect("sent");
    let mut body = connect(&peer).await;
    let half = b"POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    body.write_all(half).await.expect("sent");
    let deaf = connect(&peer).await;
    let (mut reading, mut writing) = deaf.into_split();
    let flood =
        tokio::spawn(async move { while writing.write_all(&HEALTH.repeat(500)).await.is_ok() {} });
    until_served(&peer).await;
    let answer = timeout(Duration::from_secs(20), async {
        let mut text = String::new();
        let _ = body.read_to_string(&mut text).await;
        text
    });
    assert!(answer.await.expect("answered").contains("408"));
    timeout(Duration::from_secs(20), flood)
        .await
        .expect("the host closed the connection")
        .expect("no panic");
    let mut rest = Vec::new();
    let _ = reading.read_to_end(&mut rest).await;
    drop((silent, head));
    until_served(&peer).await;
}

#[tokio::test]
async fn a_host_under_a_base_path_serves_it_with_and_without_a_proxy_that_strips_it() {
    let system = with_account().await;
    let issuer = "https://api.example/auth";
    let peer = host(&system, &[("PORTCULLIS_ISSUER", issuer)]).await;
    let credentials = json!({"email": EMAIL, "password": PASSWORD});
    for path in ["/auth/v1/login", "/v1/login"] {
        let login = peer.post(path, &credentials).await;
        assert_eq!(claims(&token(&login))["iss"], issuer);
    }
    for path in [
        "/auth/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/auth",
        "/auth/.well-known/oauth-authorization-server",
    ] {
        let metadata = peer.get(path).await;
        assert_eq!(metadata.json["issuer"], issuer, "{path}");
        let keys = metadata.json["jwks_uri"].as_str().expect("a URL");
        assert_eq!(keys, "https://api.example/auth/.well-known/jwks.json");
    }
    assert_eq!(peer.get("/auth/.well-known/jwks.json").await.status, 200);
    assert_eq!(peer.get("/authv1/login").await.status, 404);
    assert_eq!(peer.get("/auth/auth/health").await.status, 404);
}
