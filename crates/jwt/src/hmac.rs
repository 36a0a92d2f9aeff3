//! HS256: the one algorithm that every adapter computes itself, because a platform call costs more.

use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_core::token::signature::SignatureVerdict;
use sha2::Sha256;

/// Verifies a complete HMAC-SHA-256 tag ([RFC 7518 §3.2]) in constant time.
///
/// [RFC 7518 §3.2]: https://www.rfc-editor.org/rfc/rfc7518#section-3.2
pub fn check(secret: &[u8], signing_input: &[u8], tag: &[u8]) -> SignatureVerdict {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        return SignatureVerdict::Invalid;
    };
    mac.update(signing_input);
    match mac.verify_slice(tag) {
        Ok(()) => SignatureVerdict::Valid,
        Err(_) => SignatureVerdict::Invalid,
    }
}

/// The tag of `signing_input`; never `None`, because HMAC accepts a key of any length.
pub fn tag(secret: &[u8], signing_input: &[u8]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(signing_input);
    Some(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 4231 §4.3: key and text are ASCII.
    const TAG: [u8; 32] = [
        0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75,
        0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec,
        0x38, 0x43,
    ];
    const TEXT: &[u8] = b"what do ya want for nothing?";

    #[test]
    fn the_hmac_tag_of_rfc_4231_is_valid_and_similar_tags_are_invalid() {
        assert_eq!(check(b"Jefe", TEXT, &TAG), SignatureVerdict::Valid);
        assert_eq!(check(b"jefe", TEXT, &TAG), SignatureVerdict::Invalid);
        assert_eq!(check(b"Jefe", b"what", &TAG), SignatureVerdict::Invalid);
        for length in [0, 16, 31] {
            let short = &TAG[..length];
            assert_eq!(
                check(b"Jefe", TEXT, short),
                SignatureVerdict::Invalid,
                "{length}"
            );
        }
        let long = [TAG.as_slice(), &[0]].concat();
        assert_eq!(check(b"Jefe", TEXT, &long), SignatureVerdict::Invalid);
        for place in 0..TAG.len() {
            let mut bent = TAG;
            bent[place] ^= 1;
            assert_eq!(
                check(b"Jefe", TEXT, &bent),
                SignatureVerdict::Invalid,
                "{place}"
            );
        }
    }
}
