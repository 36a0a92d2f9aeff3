//! The key parameters, parsed from JWK members and written in canonical form.
//!
//! The signature implementation checks whether an EC or Ed25519 point lies on its curve; this
//! module contains no curve arithmetic.

use core::fmt;

use sha2::{Digest as _, Sha256};

use crate::base64url;
use crate::json::{Json, Object};
use crate::keys::error::JwkError;
use crate::keys::rsa::RsaModulus;
use crate::secret::Secret;
use crate::token::algorithm::Algorithm;

/// The minimum length of an HMAC key, in bytes: the length of the hash ([RFC 7518 §3.2]).
///
/// [RFC 7518 §3.2]: https://www.rfc-editor.org/rfc/rfc7518#section-3.2
pub const MIN_HMAC_KEY_BYTES: usize = 32;

/// The parameters of a verification key.
#[derive(Clone)]
pub enum KeyMaterial {
    /// An Ed25519 public key (`OKP`, `crv` `Ed25519`).
    Ed25519 {
        /// The encoded point.
        x: [u8; 32],
    },
    /// A point on P-256 (`EC`, `crv` `P-256`), big-endian.
    P256 {
        /// The x coordinate.
        x: [u8; 32],
        /// The y coordinate.
        y: [u8; 32],
    },
    /// A point on P-384 (`EC`, `crv` `P-384`), big-endian.
    P384 {
        /// The x coordinate.
        x: [u8; 48],
        /// The y coordinate.
        y: [u8; 48],
    },
    /// An RSA public key.
    Rsa {
        /// The modulus: 2048 to 4096 bits, big-endian, no leading zero.
        n: RsaModulus,
        /// The public exponent: odd, from 3 to 2^32 - 1.
        e: u32,
    },
    /// A shared secret (`oct`) of at least 32 bytes.
    Hmac(Secret<Vec<u8>>),
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key_type())
    }
}

impl KeyMaterial {
    /// Whether both are the same public key; always `false` for shared secrets.
    pub fn is_same_public_key(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ed25519 { x }, Self::Ed25519 { x: other }) => x == other,
            (Self::P256 { x, y }, Self::P256 { x: ox, y: oy }) => (x, y) == (ox, oy),
            (Self::P384 { x, y }, Self::P384 { x: ox, y: oy }) => (x, y) == (ox, oy),
            (Self::Rsa { n, e }, Self::Rsa { n: on, e: oe }) => (n, e) == (on, oe),
            (_, _) => false,
        }
    }

    /// Whether `algorithm` uses this key type.
    pub const fn fits(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Ed25519 { .. } => matches!(algorithm, Algorithm::EdDsa),
            Self::P256 { .. } => matches!(algorithm, Algorithm::Es256),
            Self::P384 { .. } => matches!(algorithm, Algorithm::Es384),
            Self::Rsa { .. } => matches!(
                algorithm,
                Algorithm::Rs256
                    | Algorithm::Rs384
                    | Algorithm::Rs512
                    | Algorithm::Ps256
                    | Algorithm::Ps384
                    | Algorithm::Ps512
            ),
            Self::Hmac(_) => matches!(algorithm, Algorithm::Hs256),
        }
    }

    pub(super) fn from_members(members: &Object) -> Result<Self, JwkError> {
        let kind = text(members, "kty")?.ok_or(JwkError::Malformed)?;
        // RSA's private members, and `d` of every type (RFC 7518 §6.2.2, §6.3.2; RFC 8037 §2).
        let private = ["d", "p", "q", "dp", "dq", "qi", "oth"];
        if kind != "oct" && private.iter().any(|name| members.contains_key(name)) {
            return Err(JwkError::Private);
        }
        match (kind, text(members, "crv")?) {
            ("OKP", Some("Ed25519")) => Ok(Self::Ed25519 {
                x: exactly(members, "x")?,
            }),
            ("EC", Some("P-256")) => Ok(Self::P256 {
                x: exactly(members, "x")?,
                y: exactly(members, "y")?,
            }),
            ("EC", Some("P-384")) => Ok(Self::P384 {
                x: exactly(members, "x")?,
                y: exactly(members, "y")?,
            }),
            ("RSA", _) => Ok(Self::Rsa {
                n: RsaModulus::new(number(members, "n")?)?,
                e: exponent(members)?,
            }),
            ("oct", _) => {
                let secret = Secret::new(number(members, "k")?);
                if secret.expose().len() < MIN_HMAC_KEY_BYTES {
                    return Err(JwkError::ShortSecret);
                }
                Ok(Self::Hmac(secret))
            }
            _ => Err(JwkError::UnsupportedType),
        }
    }

    /// The bare public key as a JWK, without `kid`, `use` or `alg`. `None` for a shared secret.
    pub fn to_bare_jwk(&self) -> Option<String> {
        match self {
            Self::Ed25519 { .. } | Self::P256 { .. } | Self::P384 { .. } | Self::Rsa { .. } => {
                Some(write(&self.canonical()))
            }
            Self::Hmac(_) => None,
        }
    }

    pub(super) const fn key_type(&self) -> &'static str {
        match self {
            Self::Ed25519 { .. } => "OKP",
            Self::P256 { .. } | Self::P384 { .. } => "EC",
            Self::Rsa { .. } => "RSA",
            Self::Hmac(_) => "oct",
        }
    }

    /// The required members in lexicographic order, the hash input of RFC 7638 §3.2.
    pub(super) fn canonical(&self) -> Vec<(&'static str, String)> {
        let encode = |bytes: &[u8]| base64url::encode(bytes);
        let kind = ("kty", self.key_type().to_owned());
        let curve = |name: &str| ("crv", name.to_owned());
        match self {
            Self::Ed25519 { x } => vec![curve("Ed25519"), kind, ("x", encode(x))],
            Self::P256 { x, y } => vec![curve("P-256"), kind, ("x", encode(x)), ("y", encode(y))],
            Self::P384 { x, y } => vec![curve("P-384"), kind, ("x", encode(x)), ("y", encode(y))],
            Self::Rsa { n, e } => {
                vec![
                    ("e", encode(exponent_bytes(&e.to_be_bytes()))),
                    kind,
                    ("n", encode(n.as_bytes())),
                ]
            }
            Self::Hmac(secret) => vec![("k", encode(secret.expose())), kind],
        }
    }

    pub(super) fn thumbprint(&self) -> String {
        base64url::encode(&Sha256::digest(write(&self.canonical())))
    }
}

pub(super) fn text<'m>(members: &'m Object, name: &str) -> Result<Option<&'m str>, JwkError> {
    members
        .get(name)
        .map(|value| value.as_text().ok_or(JwkError::Malformed))
        .transpose()
}

fn number(members: &Object, name: &str) -> Result<Vec<u8>, JwkError> {
    let text = text(members, name)?.ok_or(JwkError::BadNumber)?;
    base64url::decode(text).ok_or(JwkError::BadNumber)
}

fn exactly<const N: usize>(members: &Object, name: &str) -> Result<[u8; N], JwkError> {
    number(members, name)?
        .try_into()
        .map_err(|_| JwkError::BadNumber)
}

fn exponent(members: &Object) -> Result<u32, JwkError> {
    let bytes = number(members, "e")?;
    // RFC 7518 §6.3.1.2: Base64urlUInt, the minimum number of octets.
    if bytes.first().is_none_or(|first| *first == 0) {
        return Err(JwkError::BadNumber);
    }
    if bytes.len() > 4 {
        return Err(JwkError::BadExponent);
    }
    let e = bytes
        .iter()
        .fold(0_u32, |e, byte| (e << 8) | u32::from(*byte));
    if e >= 3 && e % 2 == 1 {
        Ok(e)
    } else {
        Err(JwkError::BadExponent)
    }
}

fn exponent_bytes(wide: &[u8; 4]) -> &[u8] {
    let mut bytes: &[u8] = wide;
    while let [0, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// A JSON object of strings in the given order, without whitespace.
pub(super) fn write(members: &[(&'static str, String)]) -> String {
    let member = |(name, value): &(&str, String)| format!("\"{name}\":{}", Json::quote(value));
    format!(
        "{{{}}}",
        members.iter().map(member).collect::<Vec<_>>().join(",")
    )
}
