//! Format rules where implementations of signature verification differ: the strictest result,
//! computed from the bytes before any implementation is called.
//!
//! Each rule exists because two of `jwt-simple`, BoringSSL (workerd), OpenSSL (Node) and their
//! WebCrypto wrappers gave different results without it. Cases with equal results are left to them.

use portcullis_core::keys::jwk::KeyMaterial;
use portcullis_core::token::signature::SignatureCheck;
use portcullis_service::ports::UnusableKey;

/// The result of the byte checks before any computation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Precheck {
    /// The implementation must verify it.
    Plausible,
    /// No key can create this signature: the verdict is `Invalid`.
    Invalid,
}

/// The one RSA exponent that all implementations accept (workerd: this and 3; `jwt-simple`: this;
/// FIPS 186-5 §5.1: this and larger).
const RSA_EXPONENT: u32 = 65_537;

/// Checks key and signature by their bytes. Every implementation of the port calls this first.
///
/// # Errors
///
/// [`UnusableKey`] for an RSA exponent other than 65537, and for an Ed25519 key of small order or
/// in a non-canonical encoding: under such a key one signature can match many messages ([RFC 8032
/// §8.9], [RFC 8725 §3.4]).
///
/// [RFC 8032 §8.9]: https://www.rfc-editor.org/rfc/rfc8032#section-8.9
/// [RFC 8725 §3.4]: https://www.rfc-editor.org/rfc/rfc8725#section-3.4
pub fn precheck(check: &SignatureCheck<'_>) -> Result<Precheck, UnusableKey> {
    let signature = check.signature();
    let plausible = match check.key().material() {
        KeyMaterial::Ed25519 { x } => {
            if !is_sound_point(x) {
                return Err(UnusableKey);
            }
            signature
                .split_first_chunk::<32>()
                .is_some_and(|(r, s)| s.len() == 32 && is_sound_point(r))
        }
        KeyMaterial::P256 { .. } => signature.len() == 64,
        KeyMaterial::P384 { .. } => signature.len() == 96,
        KeyMaterial::Rsa { n, e } => {
            if *e != RSA_EXPONENT {
                return Err(UnusableKey);
            }
            signature.len() == n.as_bytes().len()
        }
        KeyMaterial::Hmac(_) => signature.len() == 32,
    };
    Ok(if plausible {
        Precheck::Plausible
    } else {
        Precheck::Invalid
    })
}

/// Whether 32 octets can be the canonical encoding of a point of large order ([RFC 8032 §5.1.3]):
/// the y coordinate is below 2^255 - 19, and is not that of a point of small order.
///
/// [RFC 8032 §5.1.3]: https://www.rfc-editor.org/rfc/rfc8032#section-5.1.3
fn is_sound_point(octets: &[u8; 32]) -> bool {
    // The y coordinates of the eight points whose order divides 8, little-endian.
    const SMALL_ORDER: [[u8; 32]; 5] = [
        [0; 32],
        first(1),
        [
            0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0x7f,
        ],
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let mut y = *octets;
    let [low, middle @ .., high] = &mut y;
    *high &= 0x7f;
    // p = 2^255 - 19, so a value of at least p ends in ff..ff7f and starts with ed or more.
    let canonical = *high != 0x7f || middle.iter().any(|octet| *octet != 0xff) || *low < 0xed;
    canonical && !SMALL_ORDER.contains(&y)
}

const fn first(octet: u8) -> [u8; 32] {
    let mut y = [0; 32];
    let [low, ..] = &mut y;
    *low = octet;
    y
}

#[cfg(test)]
mod tests {
    use portcullis_core::keys::jwk::VerifyingKey;
    use portcullis_core::token::jws::Jws;

    use super::*;

    // RFC 8037 A.4.
    const ED25519: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    fn prechecked(jwk: &str, token: &str) -> Result<Precheck, UnusableKey> {
        let key = VerifyingKey::parse(jwk.as_bytes()).expect("a key");
        let jws = Jws::parse(token).expect("a token");
        precheck(&SignatureCheck::new(&jws, &key).expect("allowed"))
    }

    #[test]
    fn an_ed25519_point_needs_its_canonical_encoding_and_large_order() {
        assert_eq!(prechecked(ED25519, TOKEN), Ok(Precheck::Plausible));
        let mut p = [0xff; 32];
        p[31] = 0x7f;
        for (low, sound) in [(0xeb, true), (0xec, false), (0xed, false), (0xff, false)] {
            p[0] = low;
            assert_eq!(is_sound_point(&p), sound, "{low:x}");
            p[31] = 0xff;
            assert_eq!(is_sound_point(&p), sound, "{low:x}, other sign");
            p[31] = 0x7f;
        }
        for (low, sound) in [(0, false), (1, false), (2, true)] {
            assert_eq!(is_sound_point(&first(low)), sound, "{low}");
        }
    }

    #[test]
    fn a_key_of_small_order_is_unusable_and_such_a_signature_invalid() {
        let zero =
            r#"{"kty":"OKP","crv":"Ed25519","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
        assert_eq!(prechecked(zero, TOKEN), Err(UnusableKey));
        let (input, _) = TOKEN.rsplit_once('.').expect("three parts");
        assert_eq!(
            prechecked(ED25519, &format!("{input}.{}", "A".repeat(86))),
            Ok(Precheck::Invalid)
        );
    }

    #[test]
    fn a_signature_of_the_wrong_length_is_invalid() {
        let short = TOKEN.strip_suffix("KAg").expect("ends so");
        assert_eq!(prechecked(ED25519, short), Ok(Precheck::Invalid));
        assert_eq!(
            prechecked(ED25519, &format!("{TOKEN}AA")),
            Ok(Precheck::Invalid)
        );
    }
}
