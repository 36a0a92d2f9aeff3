//! Attacks on the JWS layer, and their harmless twins ([RFC 8725 §2]).
//!
//! [RFC 8725 §2]: https://www.rfc-editor.org/rfc/rfc8725#section-2

mod headers;
mod mixed;
mod numbers;
mod parts;

use data_encoding::BASE64URL_NOPAD;
use portcullis_jwt::SigningKey;
use portcullis_service::ports::Signer as _;
use serde_json::{Value, json};

use crate::keys;
use crate::vectors::{Expected, Vector, vector};

const PAYLOAD: &str = r#"{"sub":"alice"}"#;

/// Every attack, and its harmless twin.
pub fn all() -> Vec<Vector> {
    [
        headers::all(),
        parts::all(),
        mixed::confusions(),
        numbers::ecdsa(),
        numbers::rsa(),
        mixed::sets(),
        mixed::material(),
    ]
    .concat()
}

fn encode(text: &str) -> String {
    BASE64URL_NOPAD.encode(text.as_bytes())
}

fn token(header: &str, key: &SigningKey) -> String {
    let input = format!("{}.{}", encode(header), encode(PAYLOAD));
    seal(&input, &key.sign(input.as_bytes()).expect("signs"))
}

fn seal(input: &str, signature: &[u8]) -> String {
    format!("{input}.{}", BASE64URL_NOPAD.encode(signature))
}

/// A token's signing input and its signature.
fn split(token: &str) -> (&str, Vec<u8>) {
    let (input, signature) = token.rsplit_once('.').expect("a token");
    (
        input,
        BASE64URL_NOPAD
            .decode(signature.as_bytes())
            .expect("a token"),
    )
}

fn parsed(jwk: &str) -> Value {
    serde_json::from_str(jwk).expect("a JWK")
}

/// `reason` is empty for a token that must be accepted.
fn case(id: &str, token: &str, jwk: &str, reason: &str) -> Vector {
    let expected = if reason.is_empty() {
        Expected::Accept
    } else {
        Expected::Reject(Some(reason.to_owned()))
    };
    let member = if parsed(jwk)["keys"].is_array() {
        "jwks"
    } else {
        "jwk"
    };
    vector(
        &format!("attack-{id}"),
        json!({"token": token, member: parsed(jwk)}),
        expected,
    )
}
