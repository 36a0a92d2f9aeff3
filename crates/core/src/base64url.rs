//! Canonical base64url without padding ([RFC 7515 §2]), in time independent of the content.
//!
//! [RFC 7515 §2]: https://www.rfc-editor.org/rfc/rfc7515#section-2

use base64ct::{Base64UrlUnpadded, Encoding as _};

/// Encodes `bytes`.
pub fn encode(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// Decodes `text`; `None` for padding, whitespace, another alphabet or stray bits in the last
/// character, so every value has one encoding.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_canonical_base64url_decodes() {
        assert_eq!(decode("AA"), Some(vec![0]));
        assert_eq!(decode(""), Some(vec![]));
        for bad in [
            "A", "AB", "AA==", "AA=", "A A", "AA\n", "+A", "/A", "Ä", "AAB", "AAAAA",
        ] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn encoded_bytes_decode_to_the_same(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn a_decoded_text_has_exactly_one_encoding(text in "[A-Za-z0-9_=+/ -]{0,12}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
