//! Numbers that no signature and no key may contain.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};

use super::{PAYLOAD, case, encode, keys, parsed, seal, split, token};
use crate::vectors::Vector;

/// The order of P-256 (SEC 2 §2.4.2), big-endian.
const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

/// Signatures that ECDSA must reject, and the one with the other S, which it accepts.
pub(super) fn ecdsa() -> Vec<Vector> {
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
        // S and its negative are both valid, so signatures are not unique.
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

/// Signatures and exponents that RSA must reject.
pub(super) fn rsa() -> Vec<Vector> {
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
