//! Whole flows: the host's router over real HTTP, on the embedded engine in memory, behind a proxy
//! that verifies every signature and drops responses on demand. The tests advance the time.

mod account_enumeration;
mod account_takeover;
mod amr;
mod audit;
mod audit_completeness;
mod audit_flood;
mod bad_body;
mod bad_request;
mod breaker;
mod change_password;
mod chaos;
mod client_list;
mod connections;
mod cors;
mod cost;
mod described_body;
mod factors;
mod faults;
mod import_user_ids;
mod ipv6_sites;
mod keys;
mod lambda;
mod limits;
mod logout;
mod mail;
mod new_password;
mod operator;
mod operator_identity;
mod operator_recovery;
mod permissions;
mod policy_tools;
mod refresh;
mod refresh_reuse;
mod register_login_logout;
mod rehash;
mod request_id;
mod request_smuggling;
mod resources;
mod revocation_retry;
mod rotation;
mod sessions;
mod short_password;
mod start;

use portcullis_tests::system::{Peer, Reply, System};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An address.
const EMAIL: &str = "Ann@Example.com";
/// A password of more than 15 characters.
const PASSWORD: &str = "correct horse battery";

/// A system in which [`EMAIL`] is registered, before the first use of its key.
async fn with_account_alone() -> System {
    let system = System::start().await.expect("a system");
    let reply = system.peer().register(EMAIL, PASSWORD).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    system
}

/// The same once the host has published its key.
async fn with_account() -> System {
    let system = with_account_alone().await;
    let set = system.peer().get("/.well-known/jwks.json").await;
    assert_eq!(set.status, 200, "{set:?}");
    system
}

/// The access token of a login that succeeded.
fn token(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json["access_token"]
        .as_str()
        .expect("a token")
        .to_owned()
}

/// The claims of a token, unverified.
fn claims(token: &str) -> Value {
    part(token, 1)
}

/// One part of a token, unverified.
fn part(token: &str, place: usize) -> Value {
    let payload = token.split('.').nth(place).expect("three parts");
    let payload = data_encoding::BASE64URL_NOPAD
        .decode(payload.as_bytes())
        .expect("base64url");
    serde_json::from_slice(&payload).expect("JSON")
}

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

/// Sends raw `bytes`; returns the response until the host closes or has answered once.
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

/// The sessions of the bearer of `token`: any valid token may list them.
async fn sessions_of(peer: &Peer, token: &str) -> Reply {
    let request = http::Request::get("/v1/sessions");
    let request = request.header("authorization", format!("Bearer {token}"));
    peer.send(request.body(bytes::Bytes::new()).expect("a request"))
        .await
}
