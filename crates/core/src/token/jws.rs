//! The layer below the claims: parses a compact JWS and checks only its form.

use crate::base64url;
use crate::denial::{Denial, ForbiddenHeader};
use crate::json::{Json, Object};
use crate::token::algorithm::Algorithm;

/// The maximum length of a token, in bytes. Cloudflare and CloudFront allow a few times that for
/// all headers together.
pub const MAX_TOKEN_BYTES: usize = 8_192;

/// The maximum length of a `kid`, in bytes.
pub const MAX_KEY_ID_BYTES: usize = 256;

/// A compact JWS ([RFC 7515 §7.1]) of valid form. Nothing in it is verified yet.
///
/// [RFC 7515 §7.1]: https://www.rfc-editor.org/rfc/rfc7515#section-7.1
#[derive(Clone)]
pub struct Jws<'t> {
    /// The header.
    pub header: Header,
    /// The payload, decoded.
    pub payload: Vec<u8>,
    /// The signature, decoded.
    pub signature: Vec<u8>,
    /// The signing input: header and payload as received, separated by a dot.
    pub signing_input: &'t str,
}

/// The members of a JOSE header that this system uses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// `alg`, as the sender claims it; the key's own algorithm decides.
    pub algorithm: Algorithm,
    /// `kid`, used only for lookup and never as a URL.
    pub key_id: Option<String>,
    /// `typ`.
    pub media_type: Option<String>,
}

impl<'t> Jws<'t> {
    /// Parses `token`, cheap checks first.
    ///
    /// # Errors
    ///
    /// The first that applies of [`Denial::TokenTooLarge`], [`Denial::MalformedToken`],
    /// [`Denial::MalformedBase64`], [`Denial::MalformedHeader`], [`Denial::ForbiddenHeader`] and
    /// [`Denial::UnsupportedAlgorithm`].
    pub fn parse(token: &'t str) -> Result<Self, Denial> {
        Self::parse_within(token, MAX_TOKEN_BYTES)
    }

    /// As [`Jws::parse`], with a maximum length of the caller.
    ///
    /// # Errors
    ///
    /// As [`Jws::parse`].
    pub(crate) fn parse_within(token: &'t str, max_bytes: usize) -> Result<Self, Denial> {
        if token.len() > max_bytes {
            return Err(Denial::TokenTooLarge);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(Denial::MalformedToken)?;
        let (header, payload) = signing_input
            .split_once('.')
            .ok_or(Denial::MalformedToken)?;
        // A fourth part would leave a dot in the payload. An empty signature is equivalent to
        // `none`.
        if payload.contains('.') || header.is_empty() || signature.is_empty() {
            return Err(Denial::MalformedToken);
        }
        let header = Header::parse(&decode(header)?)?;
        Ok(Self {
            header,
            payload: decode(payload)?,
            signature: decode(signature)?,
            signing_input,
        })
    }
}

/// Prints the header only: the full token could be replayed.
impl core::fmt::Debug for Jws<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Jws")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, Denial> {
        let members = Json::parse_object(bytes).map_err(|_| Denial::MalformedHeader)?;
        for (name, member) in ForbiddenHeader::ALL {
            if members.contains_key(name) {
                return Err(Denial::ForbiddenHeader(member));
            }
        }
        let algorithm = text(&members, "alg")?.ok_or(Denial::UnsupportedAlgorithm)?;
        let key_id = text(&members, "kid")?;
        if key_id.is_some_and(|id| id.is_empty() || id.len() > MAX_KEY_ID_BYTES) {
            return Err(Denial::MalformedHeader);
        }
        Ok(Self {
            algorithm: Algorithm::parse(algorithm).ok_or(Denial::UnsupportedAlgorithm)?,
            key_id: key_id.map(str::to_owned),
            media_type: text(&members, "typ")?.map(str::to_owned),
        })
    }
}

fn text<'m>(members: &'m Object, name: &str) -> Result<Option<&'m str>, Denial> {
    members
        .get(name)
        .map(|value| value.as_text().ok_or(Denial::MalformedHeader))
        .transpose()
}

/// Canonical base64url: no padding, no whitespace, no stray bits in the last character.
fn decode(part: &str) -> Result<Vec<u8>, Denial> {
    base64url::decode(part).ok_or(Denial::MalformedBase64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(header: &str) -> String {
        format!("{}.e30.AAAA", base64url::encode(header.as_bytes()))
    }
    fn denial(token: &str) -> Option<Denial> {
        Jws::parse(token).err()
    }

    #[test]
    fn the_example_of_rfc_7515_a_1_parses() {
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let jws = Jws::parse(token).expect("the standard's own example");
        assert_eq!(jws.header.algorithm, Algorithm::Hs256);
        assert_eq!(jws.header.media_type.as_deref(), Some("JWT"));
        assert_eq!(jws.signature.len(), 32);
        assert!(token.starts_with(jws.signing_input));
    }

    #[test]
    fn a_token_has_exactly_three_parts_and_a_signature() {
        assert_eq!(denial(&token(r#"{"alg":"ES256"}"#)), None);
        for bad in [
            "",
            ".",
            "..",
            "a.b",
            "a.b.c.d",
            ".e30.AAAA",
            "e30.e30.",
            "e30",
        ] {
            assert_eq!(denial(bad), Some(Denial::MalformedToken), "{bad}");
        }
    }

    #[test]
    fn base64url_must_be_canonical() {
        let head = base64url::encode(br#"{"alg":"ES256"}"#);
        assert_eq!(denial(&format!("{head}.e30.AA")), None);
        for bad in ["AA==", "AA=", "AB", "A", "A A", "AA\n", "+A", "/A", "ÄÄ"] {
            assert_eq!(
                denial(&format!("{head}.e30.{bad}")),
                Some(Denial::MalformedBase64),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_token_size_is_checked_first() {
        let longest = "x".repeat(MAX_TOKEN_BYTES);
        assert_eq!(denial(&longest), Some(Denial::MalformedToken));
        assert_eq!(denial(&format!("{longest}x")), Some(Denial::TokenTooLarge));
    }

    #[test]
    fn header_members_that_change_verification_are_rejected_with_any_value() {
        for (name, member) in ForbiddenHeader::ALL {
            for value in ["null", "[]", "false", r#""JWT""#] {
                let bent = token(&format!(r#"{{"alg":"ES256","{name}":{value}}}"#));
                assert_eq!(
                    denial(&bent),
                    Some(Denial::ForbiddenHeader(member)),
                    "{name} {value}"
                );
            }
        }
    }

    #[test]
    fn a_missing_or_unknown_alg_is_rejected() {
        for bad in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"nOnE"}"#,
            r#"{"alg":"HS512"}"#,
            "{}",
        ] {
            assert_eq!(
                denial(&token(bad)),
                Some(Denial::UnsupportedAlgorithm),
                "{bad}"
            );
        }
        for bad in [
            r#"{"alg":1}"#,
            r#"{"alg":"ES256","alg":"ES256"}"#,
            r#"{"alg":"ES256","kid":""}"#,
            r#"{"alg":"ES256","kid":7}"#,
            r#"{"alg":"ES256","typ":null}"#,
            r#"["alg"]"#,
            "",
        ] {
            let expected = if bad.is_empty() {
                Denial::MalformedToken
            } else {
                Denial::MalformedHeader
            };
            assert_eq!(denial(&token(bad)), Some(expected), "{bad}");
        }
    }

    #[test]
    fn debug_output_omits_the_signature() {
        let token = token(r#"{"alg":"ES256"}"#);
        let printed = format!("{:?}", Jws::parse(&token));
        assert!(printed.contains("Es256") && !printed.contains("AAAA") && !printed.contains("e30"));
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_rejected_without_panic(text in "\\PC{0,200}", dots in "[A-Za-z0-9_.-]{0,200}") {
            let _ = Jws::parse(&text);
            let _ = Jws::parse(&dots);
        }

        #[test]
        fn a_parsed_token_has_exactly_one_encoding(payload: Vec<u8>, signature in proptest::collection::vec(any::<u8>(), 1..80)) {
            let encode = |bytes: &[u8]| base64url::encode(bytes);
            let token = format!("{}.{}.{}", encode(br#"{"alg":"ES256"}"#), encode(&payload), encode(&signature));
            let jws = Jws::parse(&token).expect("well formed");
            prop_assert_eq!(jws.payload, payload);
            prop_assert_eq!(jws.signature, signature);
        }
    }
}
