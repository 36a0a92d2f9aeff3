//! Keys, algorithms and identifiers that do not match.

use data_encoding::BASE64URL_NOPAD;
use portcullis_jwt::SigningKey;
use portcullis_service::ports::Signer as _;
use serde_json::json;

use super::{PAYLOAD, case, encode, keys, seal, split, token};
use crate::vectors::Vector;

/// Keys and algorithms that do not match.
pub(super) fn confusions() -> Vec<Vector> {
    let rsa = keys::signing(keys::RSA);
    let public = keys::public(&rsa);
    let free = public.replace(r#","alg":"RS256""#, "");
    let good = token(r#"{"alg":"RS256"}"#, &rsa);
    let (_, signature) = split(&good);
    let relabelled = |alg: &str| {
        let header = encode(&format!(r#"{{"alg":"{alg}"}}"#));
        seal(&format!("{header}.{}", encode(PAYLOAD)), &signature)
    };
    // The classic one: the public key, used as a shared secret.
    let secret = json!({"kty": "oct", "k": BASE64URL_NOPAD.encode(public.as_bytes())}).to_string();
    let shared = keys::signing(&secret);
    let forged = token(r#"{"alg":"HS256"}"#, &shared);
    let ed = keys::signing(keys::ED25519);
    let hmac = keys::HMAC;
    let by_hmac = token(r#"{"alg":"HS256"}"#, &keys::signing(hmac));
    vec![
        case("confusion-good", &good, &public, ""),
        case("confusion-good-free", &good, &free, ""),
        case("confusion-good-hmac", &by_hmac, hmac, ""),
        case(
            "confusion-public-key-as-secret",
            &forged,
            &public,
            "algorithm_not_allowed",
        ),
        case(
            "confusion-public-key-as-secret-free",
            &forged,
            &free,
            "algorithm_not_allowed",
        ),
        case(
            "confusion-pss-by-pinned-key",
            &relabelled("PS256"),
            &public,
            "algorithm_not_allowed",
        ),
        case(
            "confusion-rs512-by-pinned-key",
            &relabelled("RS512"),
            &public,
            "algorithm_not_allowed",
        ),
        case(
            "confusion-pss",
            &relabelled("PS256"),
            &free,
            "bad_signature",
        ),
        case(
            "confusion-rs384",
            &relabelled("RS384"),
            &free,
            "bad_signature",
        ),
        case(
            "confusion-rs512",
            &relabelled("RS512"),
            &free,
            "bad_signature",
        ),
        case(
            "confusion-eddsa-by-rsa",
            &token(r#"{"alg":"EdDSA"}"#, &ed),
            &free,
            "algorithm_not_allowed",
        ),
        case(
            "confusion-rsa-by-eddsa",
            &good,
            &keys::public(&ed),
            "algorithm_not_allowed",
        ),
        case(
            "confusion-secret-as-public-key",
            &by_hmac,
            &keys::public(&ed),
            "algorithm_not_allowed",
        ),
        case(
            "confusion-eddsa-by-hmac",
            &token(r#"{"alg":"EdDSA"}"#, &ed),
            hmac,
            "algorithm_not_allowed",
        ),
    ]
}

/// Key sets from which a `kid` selects one.
pub(super) fn sets() -> Vec<Vector> {
    let [one, two] = [keys::ED25519, keys::OTHER_ED25519].map(keys::signing);
    let both = format!(
        r#"{{"keys":[{},{}]}}"#,
        keys::public(&one),
        keys::public(&two)
    );
    let single = format!(r#"{{"keys":[{}]}}"#, keys::public(&one));
    let twice = format!(
        r#"{{"keys":[{},{}]}}"#,
        keys::public(&one),
        keys::public(&one)
    );
    let beside = format!(
        r#"{{"keys":[{{"kty":"EC","crv":"P-521"}},{{"kty":"AKP"}},{}]}}"#,
        keys::public(&one)
    );
    let named = |key: &SigningKey, name: &SigningKey| {
        let id = name.key().id().expect("a name");
        token(&format!(r#"{{"alg":"EdDSA","kid":"{id}"}}"#), key)
    };
    let nameless = token(r#"{"alg":"EdDSA"}"#, &one);
    vec![
        case("set-first", &named(&one, &one), &both, ""),
        case("set-second", &named(&two, &two), &both, ""),
        case(
            "set-one-in-the-name-of-the-other",
            &named(&one, &two),
            &both,
            "bad_signature",
        ),
        case("set-nameless-among-two", &nameless, &both, "unknown_key"),
        case("set-nameless-for-the-only-one", &nameless, &single, ""),
        case("set-not-in-it", &named(&two, &two), &single, "unknown_key"),
        case(
            "set-same-name-twice",
            &named(&one, &one),
            &twice,
            "bad_key_form",
        ),
        case("set-beside-keys-of-no-use", &named(&one, &one), &beside, ""),
        case("set-empty", &nameless, r#"{"keys":[]}"#, "unknown_key"),
    ]
}

/// Unusable keys.
pub(super) fn material() -> Vec<Vector> {
    let key = keys::signing(keys::ED25519);
    let own = keys::public(&key);
    let good = token(r#"{"alg":"EdDSA"}"#, &key);
    let with = |more: &str| own.replacen('{', &format!("{{{more},"), 1);
    [
        ("good", own.clone(), ""),
        ("to-verify", with(r#""key_ops":["verify"]"#), ""),
        (
            "to-encrypt",
            own.replace(r#""use":"sig""#, r#""use":"enc""#),
            "bad_key_use",
        ),
        ("to-sign-only", with(r#""key_ops":["sign"]"#), "bad_key_use"),
        (
            "for-another-algorithm",
            own.replace(r#""alg":"EdDSA""#, r#""alg":"ES256""#),
            "bad_key_algorithm",
        ),
        ("private", keys::ED25519.to_owned(), "bad_key_private"),
        (
            "other-curve",
            own.replace("Ed25519", "X25519"),
            "bad_key_type",
        ),
        ("short", own.replace("11qY", ""), "bad_key_number"),
        (
            "short-secret",
            r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#.to_owned(),
            "bad_key_short",
        ),
        (
            "small-rsa",
            json!({"kty": "RSA", "e": "AQAB", "n": BASE64URL_NOPAD.encode(&[0xc1; 128])})
                .to_string(),
            "bad_key_rsa",
        ),
    ]
    .map(|(id, jwk, reason)| case(&format!("key-{id}"), &good, &jwk, reason))
    .to_vec()
}
