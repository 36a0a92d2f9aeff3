//! JSON Web Keys ([RFC 7517], [RFC 7518 §6], [RFC 8037 §2]), read strictly and written canonically.
//!
//! Only keys that check signatures are read here. Whether an EC or Ed25519 point lies on its curve
//! is for the implementation of the signature check to say: no curve arithmetic is written here.
//!
//! [RFC 7517]: https://www.rfc-editor.org/rfc/rfc7517
//! [RFC 7518 §6]: https://www.rfc-editor.org/rfc/rfc7518#section-6
//! [RFC 8037 §2]: https://www.rfc-editor.org/rfc/rfc8037#section-2

use core::fmt;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::base64url;
use crate::json::{Json, Object};
use crate::keys::rsa::{RsaModulus, RsaModulusError};
use crate::secret::Secret;
use crate::token::algorithm::Algorithm;
use crate::token::jws::MAX_KEY_ID_BYTES;

/// The shortest HMAC key, in bytes: as long as the hash ([RFC 7518 §3.2]).
///
/// [RFC 7518 §3.2]: https://www.rfc-editor.org/rfc/rfc7518#section-3.2
pub const MIN_HMAC_KEY_BYTES: usize = 32;

/// What a signature is checked with.
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

/// A key that checks signatures, pinned to the algorithms it may be used with.
#[derive(Clone)]
pub struct VerifyingKey {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    material: KeyMaterial,
}

/// Why a JWK is not taken. Never quotes it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum JwkError {
    /// Not an object with each member once, or a member of the wrong type.
    #[error("not a JSON Web Key: an object with a text kty, each member once")]
    Malformed,
    /// `kty` or `crv` is none we use.
    #[error("the key type or curve is not one in use here")]
    UnsupportedType,
    /// A member the key type needs is missing, or not canonical base64url of the right length.
    #[error("the key's numbers are missing, not base64url or of the wrong length")]
    BadNumber,
    /// A public key was expected, and this one has private members.
    #[error("the key holds private members where a public key belongs")]
    Private,
    /// `use` or `key_ops` says it is for something else.
    #[error("the key's use or key_ops is not the checking of signatures")]
    NotForSignatures,
    /// `alg` is unknown or does not belong to this type of key.
    #[error("the key's alg is unknown or does not fit its type")]
    WrongAlgorithm,
    /// Too weak to trust, or too large to check.
    #[error("the RSA key is not acceptable: {0}")]
    WeakRsa(#[from] RsaModulusError),
    /// The public exponent is even, 1 or beyond 32 bits.
    #[error("the RSA exponent must be odd, at least 3 and at most 32 bits")]
    BadExponent,
    /// A shared secret shorter than its hash.
    #[error("an HMAC key has at least 32 bytes")]
    ShortSecret,
    /// `kid` is no text, empty or too long.
    #[error("the key's kid is no text of 1 to 256 bytes")]
    BadKeyId,
}

impl VerifyingKey {
    /// A key of our own making, pinned to `algorithm`, named by its thumbprint.
    ///
    /// # Errors
    ///
    /// [`JwkError::WrongAlgorithm`] if that algorithm does not work with this type of key.
    pub fn new(material: KeyMaterial, algorithm: Algorithm) -> Result<Self, JwkError> {
        if !material.fits(algorithm) {
            return Err(JwkError::WrongAlgorithm);
        }
        let id = (!algorithm.is_symmetric()).then(|| material.thumbprint());
        Ok(Self {
            id,
            algorithm: Some(algorithm),
            material,
        })
    }

    /// Reads the JWK that `json` holds.
    ///
    /// # Errors
    ///
    /// The first [`JwkError`] that fits.
    pub fn parse(json: &[u8]) -> Result<Self, JwkError> {
        Self::from_json(&Json::parse(json).map_err(|_| JwkError::Malformed)?)
    }

    /// Reads a JWK from its parsed form.
    ///
    /// # Errors
    ///
    /// The first [`JwkError`] that fits.
    pub fn from_json(jwk: &Json) -> Result<Self, JwkError> {
        let members = jwk.as_object().ok_or(JwkError::Malformed)?;
        let material = KeyMaterial::from_members(members)?;
        judge_use(members)?;
        let algorithm = text(members, "alg")?
            .map(|name| Algorithm::parse(name).filter(|alg| material.fits(*alg)))
            .map(|found| found.ok_or(JwkError::WrongAlgorithm))
            .transpose()?;
        let id = members
            .get("kid")
            .map(|kid| kid.as_text().ok_or(JwkError::BadKeyId))
            .transpose()?;
        if id.is_some_and(|id| id.is_empty() || id.len() > MAX_KEY_ID_BYTES) {
            return Err(JwkError::BadKeyId);
        }
        Ok(Self {
            id: id.map(str::to_owned),
            algorithm,
            material,
        })
    }

    /// Its name (`kid`), if it has one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The one algorithm its JWK pins it to, if it does.
    pub const fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// What the signature is checked with.
    pub const fn material(&self) -> &KeyMaterial {
        &self.material
    }

    /// Whether it may check signatures of `algorithm`: the one its JWK names, else any of its type.
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithm.map_or_else(
            || self.material.fits(algorithm),
            |pinned| pinned == algorithm,
        )
    }

    /// Its [RFC 7638] thumbprint, SHA-256 in base64url: the name we give our own keys.
    ///
    /// [RFC 7638]: https://www.rfc-editor.org/rfc/rfc7638#section-3
    pub fn thumbprint(&self) -> String {
        self.material.thumbprint()
    }

    /// The public key as a JWK; `None` for a shared secret, which is never published.
    pub fn to_jwk(&self) -> Option<String> {
        if matches!(self.material, KeyMaterial::Hmac(_)) {
            return None;
        }
        let mut members = self.material.canonical();
        members.push(("use", "sig".to_owned()));
        members.extend(self.algorithm.map(|alg| ("alg", alg.name().to_owned())));
        members.extend(self.id.clone().map(|id| ("kid", id)));
        Some(write(&members))
    }
}

/// Prints the name and type: a shared secret has no place in a log.
impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key_type())
    }
}

impl KeyMaterial {
    /// Whether both are the same public key. Shared secrets are not compared: they never are.
    pub fn is_same_public_key(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ed25519 { x }, Self::Ed25519 { x: other }) => x == other,
            (Self::P256 { x, y }, Self::P256 { x: ox, y: oy }) => (x, y) == (ox, oy),
            (Self::P384 { x, y }, Self::P384 { x: ox, y: oy }) => (x, y) == (ox, oy),
            (Self::Rsa { n, e }, Self::Rsa { n: on, e: oe }) => (n, e) == (on, oe),
            (_, _) => false,
        }
    }

    /// Whether signatures of `algorithm` are made with this type of key.
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

    fn from_members(members: &Object) -> Result<Self, JwkError> {
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

    /// The bare public key as a JWK: no name, use or algorithm. `None` for a shared secret.
    pub fn to_bare_jwk(&self) -> Option<String> {
        match self {
            Self::Ed25519 { .. } | Self::P256 { .. } | Self::P384 { .. } | Self::Rsa { .. } => {
                Some(write(&self.canonical()))
            }
            Self::Hmac(_) => None,
        }
    }

    const fn key_type(&self) -> &'static str {
        match self {
            Self::Ed25519 { .. } => "OKP",
            Self::P256 { .. } | Self::P384 { .. } => "EC",
            Self::Rsa { .. } => "RSA",
            Self::Hmac(_) => "oct",
        }
    }

    /// The members that make the key, by name in lexicographic order, as RFC 7638 §3.2 hashes them.
    fn canonical(&self) -> Vec<(&'static str, String)> {
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

    fn thumbprint(&self) -> String {
        base64url::encode(&Sha256::digest(write(&self.canonical())))
    }
}

/// `use` and `key_ops` must both allow checking signatures where they stand ([RFC 7517 §4.2], §4.3).
///
/// [RFC 7517 §4.2]: https://www.rfc-editor.org/rfc/rfc7517#section-4.2
fn judge_use(members: &Object) -> Result<(), JwkError> {
    if text(members, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(JwkError::NotForSignatures);
    }
    let Some(operations) = members.get("key_ops") else {
        return Ok(());
    };
    let operations = operations.as_array().ok_or(JwkError::Malformed)?;
    if operations
        .iter()
        .any(|operation| operation.as_text() == Some("verify"))
    {
        Ok(())
    } else {
        Err(JwkError::NotForSignatures)
    }
}

fn text<'m>(members: &'m Object, name: &str) -> Result<Option<&'m str>, JwkError> {
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
    // RFC 7518 §6.3.1.2: Base64urlUInt, the fewest octets that hold it.
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

/// An object of texts in the order given, without blanks.
fn write(members: &[(&'static str, String)]) -> String {
    let member = |(name, value): &(&str, String)| format!("\"{name}\":{}", Json::quote(value));
    format!(
        "{{{}}}",
        members.iter().map(member).collect::<Vec<_>>().join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC_8037: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    const RFC_7638: &str = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
    const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

    fn parse(jwk: &str) -> Result<VerifyingKey, JwkError> {
        VerifyingKey::parse(jwk.as_bytes())
    }
    fn with(jwk: &str, more: &str) -> String {
        jwk.replacen('{', &format!("{{{more},"), 1)
    }

    #[test]
    fn thumbprints_are_those_of_the_standards() {
        let rsa = parse(RFC_7638).expect("RFC 7638 §3.1");
        assert_eq!(
            rsa.thumbprint(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
        let okp = parse(RFC_8037).expect("RFC 8037 appendix A.2");
        assert_eq!(
            okp.thumbprint(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn a_public_key_survives_export_and_import() {
        for jwk in [RFC_8037, RFC_7638, P256] {
            let key = parse(jwk).expect("a standard's example");
            let again = parse(&key.to_jwk().expect("public")).expect("our own export");
            assert_eq!(again.thumbprint(), key.thumbprint());
            assert_eq!((again.id(), again.algorithm()), (key.id(), key.algorithm()));
            assert!(again.material().is_same_public_key(key.material()));
            let bare = parse(&key.material().to_bare_jwk().expect("public")).expect("bare");
            assert_eq!((bare.id(), bare.thumbprint()), (None, key.thumbprint()));
        }
    }

    #[test]
    fn our_own_keys_are_named_by_their_thumbprint() {
        let key = parse(RFC_8037).expect("an example");
        let key = VerifyingKey::new(key.material().clone(), Algorithm::EdDsa).expect("fits");
        assert_eq!(key.id(), Some(key.thumbprint().as_str()));
        assert_eq!(
            VerifyingKey::new(key.material().clone(), Algorithm::Rs256).err(),
            Some(JwkError::WrongAlgorithm)
        );
    }

    #[test]
    fn a_key_is_pinned_to_its_alg_or_to_its_type() {
        let pinned = parse(RFC_7638).expect("RS256");
        assert!(pinned.allows(Algorithm::Rs256) && !pinned.allows(Algorithm::Ps256));
        let free = parse(&RFC_7638.replace(r#""alg":"RS256","#, "")).expect("no alg");
        assert!(free.allows(Algorithm::Ps512));
        assert!(!free.allows(Algorithm::Hs256) && !free.allows(Algorithm::EdDsa));
        assert_eq!(
            parse(&with(P256, r#""alg":"ES384""#)).err(),
            Some(JwkError::WrongAlgorithm)
        );
        assert_eq!(
            parse(&with(P256, r#""alg":"none""#)).err(),
            Some(JwkError::WrongAlgorithm)
        );
    }

    #[test]
    fn use_and_key_ops_are_respected() {
        for (more, fits) in [
            (r#""use":"sig""#, true),
            (r#""use":"enc""#, false),
            (r#""key_ops":["verify"]"#, true),
            (r#""key_ops":["sign","verify"]"#, true),
            (r#""key_ops":["encrypt"]"#, false),
            (r#""key_ops":[]"#, false),
            (r#""use":"enc","key_ops":["verify"]"#, false),
        ] {
            assert_eq!(parse(&with(P256, more)).is_ok(), fits, "{more}");
        }
    }

    #[test]
    fn a_private_key_is_not_taken_for_a_public_one() {
        for name in ["d", "p", "q", "dp", "dq", "qi", "oth"] {
            assert_eq!(
                parse(&with(P256, &format!(r#""{name}":"AA""#))).err(),
                Some(JwkError::Private)
            );
        }
    }

    #[test]
    fn numbers_have_their_exact_form() {
        let short = P256.replace("f83O", "");
        assert_eq!(parse(&short).err(), Some(JwkError::BadNumber));
        assert_eq!(
            parse(&RFC_8037.replace("URo\"", "UQ\"")).err(),
            Some(JwkError::BadNumber)
        );
        for (e, expected) in [
            ("AQAB", None),
            ("Aw", None),
            ("AQ", Some(JwkError::BadExponent)),
            ("Ag", Some(JwkError::BadExponent)),
            ("AAEAAQ", Some(JwkError::BadNumber)),
            ("", Some(JwkError::BadNumber)),
            ("AQAAAAE", Some(JwkError::BadExponent)),
        ] {
            let jwk = RFC_7638.replace("AQAB", e);
            assert_eq!(parse(&jwk).err(), expected, "{e}");
        }
    }

    #[test]
    fn a_shared_secret_is_long_enough_and_never_leaves() {
        let oct = |bytes: usize| {
            format!(
                r#"{{"kty":"oct","k":"{}","alg":"HS256"}}"#,
                base64url::encode(&vec![7; bytes])
            )
        };
        assert_eq!(parse(&oct(31)).err(), Some(JwkError::ShortSecret));
        let key = parse(&oct(32)).expect("32 bytes are enough");
        assert_eq!(key.to_jwk(), None);
        assert!(!format!("{key:?}").contains("BwcH"));
    }

    #[test]
    fn unknown_types_and_broken_json_are_refused() {
        assert_eq!(parse("[]").err(), Some(JwkError::Malformed));
        assert_eq!(parse(r#"{"kty":1}"#).err(), Some(JwkError::Malformed));
        assert_eq!(
            parse(&with(P256, r#""kty":"EC""#)).err(),
            Some(JwkError::Malformed)
        );
        for jwk in [
            r#"{"kty":"EC","crv":"secp256k1","x":"","y":""}"#,
            r#"{"kty":"OKP","crv":"X25519","x":""}"#,
            r#"{"kty":"AKP"}"#,
        ] {
            assert_eq!(parse(jwk).err(), Some(JwkError::UnsupportedType), "{jwk}");
        }
        for kid in ["1", r#""""#, &format!("\"{}\"", "k".repeat(257))] {
            assert_eq!(
                parse(&with(P256, &format!(r#""kid":{kid}"#))).err(),
                Some(JwkError::BadKeyId)
            );
        }
    }
}
