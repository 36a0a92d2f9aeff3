//! Valid tokens with manipulated parts.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::json;

use super::{case, encode, keys, seal, split, token};
use crate::vectors::Vector;

/// A valid token with manipulated parts.
pub(super) fn all() -> Vec<Vector> {
    let key = keys::signing(keys::ED25519);
    let own = keys::public(&key);
    let good = token(r#"{"alg":"EdDSA"}"#, &key);
    let (input, signature) = split(&good);
    let (header, payload) = input.split_once('.').expect("two parts");
    let tag = BASE64URL_NOPAD.encode(&signature);
    let s_plus_order = add_ed25519_order(&signature);
    // 64 octets leave four bits of the last character unused.
    let stray = format!("{}{}", &good[..good.len() - 1], next_letter(&good));
    [
        (
            "other-payload",
            format!("{header}.{}.{tag}", encode(r#"{"sub":"mallory"}"#)),
            "bad_signature",
        ),
        ("empty-payload", format!("{header}..{tag}"), "bad_signature"),
        (
            "other-header",
            format!(
                "{}.{payload}.{tag}",
                encode(r#"{"alg":"EdDSA","typ":"JWT"}"#)
            ),
            "bad_signature",
        ),
        ("no-signature", format!("{input}."), "malformed_token"),
        ("no-third-part", input.to_owned(), "malformed_token"),
        ("four-parts", format!("{good}.{tag}"), "malformed_token"),
        (
            "five-parts",
            format!("{good}.{tag}.{tag}"),
            "malformed_token",
        ),
        ("trailing-dot", format!("{good}."), "malformed_token"),
        ("leading-dot", format!(".{good}"), "malformed_token"),
        ("padded", format!("{good}=="), "malformed_base64"),
        ("blank", format!("{good} "), "malformed_base64"),
        ("line-feed", format!("{good}\n"), "malformed_base64"),
        ("stray-bits", stray, "malformed_base64"),
        (
            "standard-alphabet",
            format!("{input}.{}", tag.replace(['-', '_'], "+")),
            "malformed_base64",
        ),
        (
            "letter-beyond-ascii",
            format!("{header}.{payload}é.{tag}"),
            "malformed_base64",
        ),
        (
            "signature-short",
            seal(input, &signature[..63]),
            "bad_signature",
        ),
        (
            "signature-long",
            seal(input, &[signature.as_slice(), &[0]].concat()),
            "bad_signature",
        ),
        ("signature-zero", seal(input, &[0; 64]), "bad_signature"),
        (
            "signature-s-plus-order",
            seal(input, &s_plus_order),
            "bad_signature",
        ),
        (
            "json",
            json!({"protected": header, "payload": payload, "signature": tag}).to_string(),
            "malformed_token",
        ),
    ]
    .map(|(id, token, reason)| case(&format!("part-{id}"), &token, &own, reason))
    .to_vec()
}

/// The letter with one more unused bit than the last letter of `token`.
fn next_letter(token: &str) -> char {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = token
        .chars()
        .last()
        .and_then(|last| LETTERS.find(last))
        .expect("base64url");
    LETTERS
        .chars()
        .nth(last + 1)
        .expect("the unused bits were zero")
}

/// `R || S + L`: the same S modulo the order of the group (RFC 8032 §8.4).
fn add_ed25519_order(signature: &[u8]) -> Vec<u8> {
    const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let order = HEXLOWER.decode(ORDER.as_bytes()).expect("hexadecimal");
    let (r, s) = signature.split_at(32);
    let mut sum = r.to_vec();
    let mut carry = 0;
    for (own, more) in s.iter().zip(order) {
        let digit = u16::from(*own) + u16::from(more) + carry;
        sum.push(digit.to_le_bytes()[0]);
        carry = digit >> 8;
    }
    sum
}
