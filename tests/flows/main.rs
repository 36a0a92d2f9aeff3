//! Whole flows: the host's own router over real HTTP, on the embedded engine in memory, behind a
//! proxy that checks every signature and loses answers on demand. Time passes by hand only.

mod answers;
mod bad_input;
mod faults;
mod journey;
mod keys;
mod lambda;
mod rehash;
mod start;

use portcullis_tests::system::{Reply, System};
use serde_json::Value;

/// An address.
const EMAIL: &str = "Ann@Example.com";
/// A password of more than 15 characters.
const PASSWORD: &str = "correct horse battery";

/// A system in which [`EMAIL`] is registered.
async fn with_account() -> System {
    let system = System::start().await.expect("a system");
    let reply = system.peer().register(EMAIL, PASSWORD).await;
    assert_eq!(reply.status, 201, "{reply:?}");
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
