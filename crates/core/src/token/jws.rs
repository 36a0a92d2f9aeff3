//! The layer below the claims: a compact JWS, taken apart and judged by its form alone.

use crate::base64url;
use crate::denial::{Denial, ForbiddenHeader};
use crate::json::{Json, Object};
use crate::token::algorithm::Algorithm;

/// The longest token that is looked at, in bytes. Cloudflare and CloudFront let all headers
/// together be a few times that.
pub const MAX_TOKEN_BYTES: usize = 8_192;

/// The longest `kid` that is looked up, in bytes.
pub const MAX_KEY_ID_BYTES: usize = 256;

/// A compact JWS ([RFC 7515 §7.1]) of acceptable form. Nothing in it is verified yet.
///
/// [RFC 7515 §7.1]: https://www.rfc-editor.org/rfc/rfc7515#section-7.1
#[derive(Clone)]
pub struct Jws<'t> {
    /// What the header says.
    pub header: Header,
    /// The payload, decoded.
    pub payload: Vec<u8>,
    /// The signature, decoded.
    pub signature: Vec<u8>,
    /// What was signed: header and payload as they were sent, with the dot between them.
    pub signing_input: &'t str,
}

/// The members of a JOSE header that mean something here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// `alg`: what the sender claims; the key it names has the last word.
    pub algorithm: Algorithm,
    /// `kid`, looked up and never followed.
    pub key_id: Option<String>,
    /// `typ`.
    pub media_type: Option<String>,
}

impl<'t> Jws<'t> {
    /// Takes `token` apart, cheap refusals first.
    ///
    /// # Errors
    ///
    /// The first of [`Denial::TokenTooLarge`], [`Denial::MalformedToken`],
    /// [`Denial::MalformedBase64`], [`Denial::MalformedHeader`], [`Denial::ForbiddenHeader`] and
    /// [`Denial::UnsupportedAlgorithm`] that fits.
    pub fn parse(token: &'t str) -> Result<Self, Denial> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Denial::TokenTooLarge);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(Denial::MalformedToken)?;
        let (header, payload) = signing_input
            .split_once('.')
            .ok_or(Denial::MalformedToken)?;
        // A part too many would leave a dot in the payload. An empty signature is `none` by another name.
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

/// Prints the header only: the rest could be replayed.
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

/// Canonical base64url: no padding, no blanks, no stray bits in the last character.
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
    fn size_is_judged_before_anything_else() {
        let longest = "x".repeat(MAX_TOKEN_BYTES);
        assert_eq!(denial(&longest), Some(Denial::MalformedToken));
        assert_eq!(denial(&format!("{longest}x")), Some(Denial::TokenTooLarge));
    }

    #[test]
    fn members_that_bend_the_signature_are_refused_whatever_they_hold() {
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
    fn an_algorithm_is_named_and_known() {
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
    fn debug_tells_no_signature() {
        let token = token(r#"{"alg":"ES256"}"#);
        let printed = format!("{:?}", Jws::parse(&token));
        assert!(printed.contains("Es256") && !printed.contains("AAAA") && !printed.contains("e30"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}", dots in "[A-Za-z0-9_.-]{0,200}") {
            let _ = Jws::parse(&text);
            let _ = Jws::parse(&dots);
        }

        #[test]
        fn what_parses_is_its_only_spelling(payload: Vec<u8>, signature in proptest::collection::vec(any::<u8>(), 1..80)) {
            let encode = |bytes: &[u8]| base64url::encode(bytes);
            let token = format!("{}.{}.{}", encode(br#"{"alg":"ES256"}"#), encode(&payload), encode(&signature));
            let jws = Jws::parse(&token).expect("well formed");
            prop_assert_eq!(jws.payload, payload);
            prop_assert_eq!(jws.signature, signature);
        }
    }
}
