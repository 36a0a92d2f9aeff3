//! Reads the type of a private JWK without copying a secret out of it.

use data_encoding::BASE64URL_NOPAD;
use portcullis_core::keys::material::MIN_HMAC_KEY_BYTES;
use portcullis_core::secret::Secret;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::signing_key_error::SigningKeyError;

/// The type of a private JWK; `jwt-simple` parses the numbers of all types except the last.
pub(crate) enum PrivateJwk {
    Ed25519,
    P256,
    Rs256,
    Ps256,
    Hmac(Secret<Vec<u8>>),
}

/// Borrowed from the text. serde rejects duplicate members, and text with escapes, which these
/// members never need.
#[derive(Deserialize)]
struct Members<'j> {
    kty: &'j str,
    crv: Option<&'j str>,
    alg: Option<&'j str>,
    k: Option<&'j str>,
    #[serde(rename = "use")]
    purpose: Option<&'j str>,
}

impl PrivateJwk {
    pub(crate) fn parse(text: &str) -> Result<Self, SigningKeyError> {
        let members: Members<'_> =
            serde_json::from_str(text).map_err(|_| SigningKeyError::Malformed)?;
        if members.purpose.is_some_and(|purpose| purpose != "sig") {
            return Err(SigningKeyError::Unsupported);
        }
        match (members.kty, members.crv, members.alg) {
            ("OKP", Some("Ed25519"), None | Some("EdDSA" | "Ed25519")) => Ok(Self::Ed25519),
            ("EC", Some("P-256"), None | Some("ES256")) => Ok(Self::P256),
            ("RSA", None, Some("RS256")) => Ok(Self::Rs256),
            ("RSA", None, Some("PS256")) => Ok(Self::Ps256),
            ("RSA", None, None) => Err(SigningKeyError::Malformed),
            ("oct", None, None | Some("HS256")) => read_hmac(members.k).map(Self::Hmac),
            _ => Err(SigningKeyError::Unsupported),
        }
    }

    pub(crate) fn write_hmac(secret: &Secret<Vec<u8>>) -> String {
        let k = Zeroizing::new(BASE64URL_NOPAD.encode(secret.expose()));
        [
            "{\"kty\":\"oct\",\"k\":\"",
            k.as_str(),
            "\",\"alg\":\"HS256\",\"use\":\"sig\"}",
        ]
        .concat()
    }
}

fn read_hmac(k: Option<&str>) -> Result<Secret<Vec<u8>>, SigningKeyError> {
    let octets = k.and_then(|k| BASE64URL_NOPAD.decode(k.as_bytes()).ok());
    let secret = Secret::new(octets.ok_or(SigningKeyError::Rejected)?);
    if secret.expose().len() < MIN_HMAC_KEY_BYTES {
        return Err(SigningKeyError::Rejected);
    }
    Ok(secret)
}
