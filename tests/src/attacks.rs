//! Attacks on the JWS layer, and the harmless forms beside them ([RFC 8725 §2]).
//!
//! [RFC 8725 §2]: https://www.rfc-editor.org/rfc/rfc8725#section-2

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use portcullis_jwt::SigningKey;
use portcullis_service::ports::Signer as _;
use serde_json::{Value, json};

use crate::keys;
use crate::vectors::{Expected, Vector, vector};

/// The order of P-256 (SEC 2 §2.4.2), big-endian.
const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

const PAYLOAD: &str = r#"{"sub":"alice"}"#;

/// Every attack, and what must still pass.
pub fn all() -> Vec<Vector> {
    [
        headers(),
        parts(),
        confusions(),
        ecdsa(),
        rsa(),
        sets(),
        material(),
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

/// `reason` is empty for what must pass.
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

/// Headers that are signed by the right key and say something they must not.
fn headers() -> Vec<Vector> {
    let key = keys::signing(keys::ED25519);
    let own = keys::public(&key);
    let other = keys::public(&keys::signing(keys::OTHER_ED25519));
    let embedded = format!(r#"{{"alg":"EdDSA","jwk":{other}}}"#);
    let long = format!(r#"{{"alg":"EdDSA","x":"{}"}}"#, "x".repeat(8_192));
    [
        ("plain", r#"{"alg":"EdDSA"}"#, ""),
        ("fully-specified-name", r#"{"alg":"Ed25519"}"#, ""),
        ("escaped-name", r#"{"al\u0067":"\u0045dDSA"}"#, ""),
        (
            "unknown-member",
            r#"{"alg":"EdDSA","x5t":"AAAA","more":{"a":[1]}}"#,
            "",
        ),
        ("blanks", "\r\n { \"alg\" : \"EdDSA\" }\t", ""),
        ("none", r#"{"alg":"none"}"#, "unsupported_algorithm"),
        (
            "none-mixed-case",
            r#"{"alg":"nOnE"}"#,
            "unsupported_algorithm",
        ),
        ("lower-case", r#"{"alg":"eddsa"}"#, "unsupported_algorithm"),
        ("no-algorithm", r#"{"typ":"JWT"}"#, "unsupported_algorithm"),
        (
            "algorithm-no-text",
            r#"{"alg":["EdDSA"]}"#,
            "malformed_header",
        ),
        (
            "algorithm-twice",
            r#"{"alg":"EdDSA","alg":"EdDSA"}"#,
            "malformed_header",
        ),
        (
            "algorithm-twice-escaped",
            r#"{"alg":"EdDSA","\u0061lg":"none"}"#,
            "malformed_header",
        ),
        (
            "member-twice-below",
            r#"{"alg":"EdDSA","x":{"a":1,"a":1}}"#,
            "malformed_header",
        ),
        ("trailing-value", r#"{"alg":"EdDSA"}{}"#, "malformed_header"),
        ("array", r#"["EdDSA"]"#, "malformed_header"),
        (
            "byte-order-mark",
            "\u{feff}{\"alg\":\"EdDSA\"}",
            "malformed_header",
        ),
        ("embedded-key", &embedded, "forbidden_header_jwk"),
        (
            "key-url",
            r#"{"alg":"EdDSA","jku":"https://evil.example/jwks"}"#,
            "forbidden_header_jku",
        ),
        (
            "cert-url",
            r#"{"alg":"EdDSA","x5u":"https://evil.example/c"}"#,
            "forbidden_header_x5u",
        ),
        (
            "critical",
            r#"{"alg":"EdDSA","crit":["exp"],"exp":1}"#,
            "forbidden_header_crit",
        ),
        (
            "critical-empty",
            r#"{"alg":"EdDSA","crit":[]}"#,
            "forbidden_header_crit",
        ),
        (
            "unencoded",
            r#"{"alg":"EdDSA","b64":false}"#,
            "forbidden_header_b64",
        ),
        (
            "encoded-said-so",
            r#"{"alg":"EdDSA","b64":true}"#,
            "forbidden_header_b64",
        ),
        (
            "nested",
            r#"{"alg":"EdDSA","cty":"JWT"}"#,
            "forbidden_header_cty",
        ),
        (
            "compressed",
            r#"{"alg":"EdDSA","zip":"DEF"}"#,
            "forbidden_header_zip",
        ),
        (
            "name-no-text",
            r#"{"alg":"EdDSA","kid":1}"#,
            "malformed_header",
        ),
        (
            "name-empty",
            r#"{"alg":"EdDSA","kid":""}"#,
            "malformed_header",
        ),
        (
            "name-a-path",
            r#"{"alg":"EdDSA","kid":"../../dev/null"}"#,
            "unknown_key",
        ),
        (
            "name-a-query",
            r#"{"alg":"EdDSA","kid":"' OR 1=1 --"}"#,
            "unknown_key",
        ),
        ("too-large", &long, "token_too_large"),
    ]
    .map(|(id, header, reason)| case(&format!("header-{id}"), &token(header, &key), &own, reason))
    .to_vec()
}

/// A good token whose parts were tampered with.
fn parts() -> Vec<Vector> {
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

/// The letter whose code has one more unused bit set than the last of `token`.
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

/// Keys and algorithms that do not belong together.
fn confusions() -> Vec<Vector> {
    let rsa = keys::signing(keys::RSA);
    let public = keys::public(&rsa);
    let free = public.replace(r#","alg":"RS256""#, "");
    let good = token(r#"{"alg":"RS256"}"#, &rsa);
    let (_, signature) = split(&good);
    let relabelled = |alg: &str| {
        let header = encode(&format!(r#"{{"alg":"{alg}"}}"#));
        seal(&format!("{header}.{}", encode(PAYLOAD)), &signature)
    };
    // The classic one: the public key, which everybody has, taken for a shared secret.
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

/// Signatures that ECDSA must not take, and the one with the other S that it takes.
fn ecdsa() -> Vec<Vector> {
    let key = keys::signing(keys::P256);
    let own = keys::public(&key);
    let good = token(r#"{"alg":"ES256"}"#, &key);
    let (input, signature) = split(&good);
    let (r, s) = signature.split_at(32);
    let order = HEXLOWER.decode(P256_ORDER.as_bytes()).expect("hexadecimal");
    let zero = [0; 32];
    let der = [&[0x30, 68, 2, 32], r, &[2, 32], s].concat();
    let as_es384 = seal(
        &format!("{}.{}", encode(r#"{"alg":"ES384"}"#), encode(PAYLOAD)),
        &signature,
    );
    let off_curve = own.replace("eQP-", "eQP_");
    let sealed = |signature: &[u8]| seal(input, signature);
    vec![
        case("ecdsa-good", &good, &own, ""),
        // S and its negative are both good: whoever counts on signatures being unique errs.
        case(
            "ecdsa-other-s",
            &sealed(&[r, &subtract(&order, s)].concat()),
            &own,
            "",
        ),
        case("ecdsa-zeros", &sealed(&[0; 64]), &own, "bad_signature"),
        case(
            "ecdsa-r-zero",
            &sealed(&[&zero, s].concat()),
            &own,
            "bad_signature",
        ),
        case(
            "ecdsa-s-zero",
            &sealed(&[r, &zero].concat()),
            &own,
            "bad_signature",
        ),
        case(
            "ecdsa-orders",
            &sealed(&[order.as_slice(), &order].concat()),
            &own,
            "bad_signature",
        ),
        case(
            "ecdsa-r-order",
            &sealed(&[order.as_slice(), s].concat()),
            &own,
            "bad_signature",
        ),
        case("ecdsa-ones", &sealed(&[0xff; 64]), &own, "bad_signature"),
        case(
            "ecdsa-swapped",
            &sealed(&[s, r].concat()),
            &own,
            "bad_signature",
        ),
        case("ecdsa-der", &sealed(&der), &own, "bad_signature"),
        case(
            "ecdsa-short",
            &sealed(&signature[..63]),
            &own,
            "bad_signature",
        ),
        case(
            "ecdsa-padded",
            &sealed(&[&[0], r, &[0], s].concat()),
            &own,
            "bad_signature",
        ),
        case(
            "ecdsa-p384-form",
            &sealed(&[&[0; 16], r, &[0; 16], s].concat()),
            &own,
            "bad_signature",
        ),
        case("ecdsa-as-es384", &as_es384, &own, "algorithm_not_allowed"),
        case("ecdsa-key-off-curve", &good, &off_curve, "unusable_key"),
    ]
}

/// Signatures and exponents that RSA must not take.
fn rsa() -> Vec<Vector> {
    let key = keys::signing(keys::RSA);
    let own = keys::public(&key);
    let good = token(r#"{"alg":"RS256"}"#, &key);
    let (input, signature) = split(&good);
    let sealed = |signature: &[u8]| seal(input, signature);
    let n = parsed(&own)["n"]
        .as_str()
        .map(|n| BASE64URL_NOPAD.decode(n.as_bytes()));
    let n = n.expect("a modulus").expect("base64url");
    let exponent = |e: &str| own.replace("AQAB", e);
    vec![
        case("rsa-zero", &sealed(&[0; 256]), &own, "bad_signature"),
        case(
            "rsa-one",
            &sealed(&[&[0; 255], [1].as_slice()].concat()),
            &own,
            "bad_signature",
        ),
        case("rsa-modulus", &sealed(&n), &own, "bad_signature"),
        case("rsa-ones", &sealed(&[0xff; 256]), &own, "bad_signature"),
        case("rsa-short", &sealed(&signature[1..]), &own, "bad_signature"),
        case(
            "rsa-leading-zero",
            &sealed(&[&[0], signature.as_slice()].concat()),
            &own,
            "bad_signature",
        ),
        case(
            "rsa-trailing-zero",
            &sealed(&[signature.as_slice(), &[0]].concat()),
            &own,
            "bad_signature",
        ),
        case(
            "rsa-exponent-one",
            &good,
            &exponent("AQ"),
            "bad_key_exponent",
        ),
        case(
            "rsa-exponent-two",
            &good,
            &exponent("Ag"),
            "bad_key_exponent",
        ),
        case("rsa-exponent-three", &good, &exponent("Aw"), "unusable_key"),
        case(
            "rsa-exponent-other",
            &good,
            &exponent("AQAD"),
            "unusable_key",
        ),
        case(
            "rsa-exponent-padded",
            &good,
            &exponent("AAEAAQ"),
            "bad_key_number",
        ),
    ]
}

/// Sets of keys, of which a name chooses one.
fn sets() -> Vec<Vector> {
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

/// Keys that are not fit for use.
fn material() -> Vec<Vector> {
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

/// `larger - smaller`, big-endian and of equal length.
fn subtract(larger: &[u8], smaller: &[u8]) -> Vec<u8> {
    let mut difference = vec![0; larger.len()];
    let mut borrow = 0;
    for place in (0..larger.len()).rev() {
        let digit = i16::from(larger[place]) - i16::from(smaller[place]) - borrow;
        borrow = i16::from(digit < 0);
        difference[place] = digit.to_le_bytes()[0];
    }
    difference
}
