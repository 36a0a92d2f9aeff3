//! JSON Web Keys ([RFC 7517], [RFC 7518 §6], [RFC 8037 §2]), parsed strictly and written
//! canonically.
//!
//! This module parses verification keys only.
//!
//! [RFC 7517]: https://www.rfc-editor.org/rfc/rfc7517
//! [RFC 7518 §6]: https://www.rfc-editor.org/rfc/rfc7518#section-6
//! [RFC 8037 §2]: https://www.rfc-editor.org/rfc/rfc8037#section-2

use core::fmt;

use crate::json::{Json, Object};
pub use crate::keys::error::JwkError;
pub use crate::keys::material::KeyMaterial;
use crate::keys::material::{text, write};
use crate::token::algorithm::Algorithm;
use crate::token::jws::MAX_KEY_ID_BYTES;

/// A verification key, pinned to its permitted algorithms.
#[derive(Clone)]
pub struct VerifyingKey {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    material: KeyMaterial,
}

impl VerifyingKey {
    /// A key of this issuer, pinned to `algorithm`; its `kid` is its thumbprint.
    ///
    /// # Errors
    ///
    /// [`JwkError::WrongAlgorithm`] if the algorithm does not fit the key type.
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

    /// Parses the JWK in `json`.
    ///
    /// # Errors
    ///
    /// The first [`JwkError`] that applies.
    pub fn parse(json: &[u8]) -> Result<Self, JwkError> {
        Self::from_json(&Json::parse(json).map_err(|_| JwkError::Malformed)?)
    }

    /// Converts parsed JSON into a key.
    ///
    /// # Errors
    ///
    /// The first [`JwkError`] that applies.
    pub fn from_json(jwk: &Json) -> Result<Self, JwkError> {
        let members = jwk.as_object().ok_or(JwkError::Malformed)?;
        let material = KeyMaterial::from_members(members)?;
        check_use(members)?;
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

    /// The `kid`, if the key has one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The one algorithm that the JWK pins, if any.
    pub const fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// The key material.
    pub const fn material(&self) -> &KeyMaterial {
        &self.material
    }

    /// Whether the key may verify signatures of `algorithm`: the JWK's own `alg`, else any
    /// algorithm of the key type.
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithm.map_or_else(
            || self.material.fits(algorithm),
            |pinned| pinned == algorithm,
        )
    }

    /// Whether the key may verify signatures of at least one of `algorithms`.
    pub fn allows_any(&self, algorithms: &[Algorithm]) -> bool {
        algorithms.iter().any(|algorithm| self.allows(*algorithm))
    }

    /// The [RFC 7638] thumbprint, SHA-256 in base64url: the `kid` of this issuer's own keys.
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
        members.extend(self.algorithm.map(|alg| ("alg", alg.as_str().to_owned())));
        members.extend(self.id.clone().map(|id| ("kid", id)));
        Some(write(&members))
    }
}

/// SECURITY: prints `kid` and type only, so no shared secret reaches a log.
impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// `use` and `key_ops`, if present, must both allow signature verification ([RFC 7517 §4.2], §4.3).
///
/// [RFC 7517 §4.2]: https://www.rfc-editor.org/rfc/rfc7517#section-4.2
fn check_use(members: &Object) -> Result<(), JwkError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base64url;

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
    fn thumbprints_match_the_rfc_examples() {
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
    fn a_public_key_round_trips_through_jwk() {
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
    fn the_kid_of_our_own_key_is_its_thumbprint() {
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
    fn use_and_key_ops_must_allow_verification() {
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
    fn a_private_jwk_is_rejected_as_a_public_key() {
        for name in ["d", "p", "q", "dp", "dq", "qi", "oth"] {
            assert_eq!(
                parse(&with(P256, &format!(r#""{name}":"AA""#))).err(),
                Some(JwkError::Private)
            );
        }
    }

    #[test]
    fn key_members_must_be_canonical_base64url_of_exact_length() {
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
    fn a_shared_secret_has_a_minimum_length_and_is_never_exported() {
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
    fn unknown_key_types_and_malformed_json_are_rejected() {
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
