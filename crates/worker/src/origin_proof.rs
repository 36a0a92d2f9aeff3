//! The proof to the origin that a request passed the edge: a shared secret, or a signed assertion
//! about the request. Every forwarded request carries it, on guarded and on open routes.

use portcullis_core::assertion::{AssertionDraft, is_edge_secret};
use portcullis_core::forwarding::{ASSERTION_HEADER, EDGE_SECRET_HEADER};
use portcullis_core::secret::Secret;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_jwt::hmac;
use wasm_bindgen::JsValue;

use crate::assertion_keys::AssertionSigner;
pub use crate::origin_proof_error::OriginProofError;

/// The settings, each as text; `None` if it is not set.
#[derive(Debug)]
pub struct ProofSettings {
    /// `PORTCULLIS_ORIGIN_PROOF`.
    pub kind: Option<String>,
    /// `PORTCULLIS_EDGE_SECRET`.
    pub secret: Option<Secret<String>>,
    /// `PORTCULLIS_ASSERTION_KEYS`.
    pub keys: Option<Secret<String>>,
}

/// The configured proof.
#[derive(Debug)]
pub enum OriginProof {
    /// The origin gets no proof.
    None,
    /// The shared secret itself.
    Secret(Secret<String>),
    /// An assertion with an HMAC under the shared secret.
    SharedKey(Secret<String>),
    /// An assertion with the signature of a private key.
    PrivateKey(AssertionSigner),
}

impl OriginProof {
    /// Validates the settings.
    ///
    /// # Errors
    ///
    /// The first [`OriginProofError`] that applies.
    pub fn of(settings: ProofSettings) -> Result<Self, OriginProofError> {
        let ProofSettings { kind, secret, keys } = settings;
        if secret
            .as_ref()
            .is_some_and(|secret| !is_edge_secret(secret.expose()))
        {
            return Err(OriginProofError::Secret);
        }
        let kind = kind.as_deref();
        match (kind, keys) {
            (Some("assertion"), Some(keys)) => AssertionSigner::of(&keys).map(Self::PrivateKey),
            (_, Some(_)) => Err(OriginProofError::UnusedKeys),
            (Some("assertion"), None) => secret
                .map(Self::SharedKey)
                .ok_or(OriginProofError::NoSecret),
            (Some("secret"), None) => secret.map(Self::Secret).ok_or(OriginProofError::NoSecret),
            (None, None) => Ok(secret.map_or(Self::None, Self::Secret)),
            (Some("none"), None) => Ok(Self::None),
            (Some(_), None) => Err(OriginProofError::Kind),
        }
    }

    /// The header for the request of `draft`; `None` without a proof.
    ///
    /// # Errors
    ///
    /// The platform's, if it cannot use the private key.
    pub async fn header<'r>(
        &self,
        draft: impl FnOnce() -> AssertionDraft<'r>,
    ) -> Result<Option<(&'static str, Secret<String>)>, JsValue> {
        let assertion = match self {
            Self::None => return Ok(None),
            Self::Secret(secret) => return Ok(Some((EDGE_SECRET_HEADER, secret.clone()))),
            Self::SharedKey(secret) => {
                let input = draft().signing_input(Algorithm::Hs256, None);
                let tag =
                    hmac::tag(secret.expose().as_bytes(), input.as_bytes()).ok_or(JsValue::NULL)?;
                input.with_signature(&tag)
            }
            Self::PrivateKey(signer) => signer.sign(&draft()).await?,
        };
        Ok(Some((ASSERTION_HEADER, assertion)))
    }

    /// Whether the proof is a statement about one request.
    pub const fn binds_request(&self) -> bool {
        matches!(self, Self::SharedKey(_) | Self::PrivateKey(_))
    }

    /// The public keys of the assertions as a JWK Set, if they have any.
    pub const fn public_keys(&self) -> Option<&str> {
        match self {
            Self::PrivateKey(signer) => Some(signer.public_set()),
            Self::None | Self::Secret(_) | Self::SharedKey(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn of(
        kind: Option<&str>,
        secret: Option<&str>,
        keys: Option<&str>,
    ) -> Result<OriginProof, OriginProofError> {
        let held = |text: &str| Secret::new(text.to_owned());
        OriginProof::of(ProofSettings {
            kind: kind.map(str::to_owned),
            secret: secret.map(held),
            keys: keys.map(held),
        })
    }

    #[test]
    fn a_secret_alone_is_sent_and_no_setting_means_no_proof() {
        assert!(matches!(
            of(None, Some(SECRET), None),
            Ok(OriginProof::Secret(_))
        ));
        assert!(matches!(
            of(Some("secret"), Some(SECRET), None),
            Ok(OriginProof::Secret(_))
        ));
        assert!(matches!(
            of(Some("assertion"), Some(SECRET), None),
            Ok(OriginProof::SharedKey(_))
        ));
        for (kind, secret) in [
            (None, None),
            (Some("none"), None),
            (Some("none"), Some(SECRET)),
        ] {
            assert!(
                matches!(of(kind, secret, None), Ok(OriginProof::None)),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn inconsistent_settings_of_the_proof_are_rejected_and_never_quoted() {
        use OriginProofError::{Keys, Kind, NoSecret, UnusedKeys};
        let short = SECRET.trim_start_matches('0');
        for (kind, secret, keys, expected) in [
            (Some("secret"), None, None, NoSecret),
            (Some("assertion"), None, None, NoSecret),
            (Some("Secret"), Some(SECRET), None, Kind),
            (Some("hmac"), None, None, Kind),
            (None, Some(short), None, OriginProofError::Secret),
            (Some("none"), Some(short), None, OriginProofError::Secret),
            (
                Some("assertion"),
                Some(short),
                Some("{}"),
                OriginProofError::Secret,
            ),
            (None, None, Some("{}"), UnusedKeys),
            (Some("secret"), Some(SECRET), Some("{}"), UnusedKeys),
            (Some("none"), None, Some("{}"), UnusedKeys),
            (Some("assertion"), None, Some("{}"), Keys),
        ] {
            let error = of(kind, secret, keys).expect_err("inconsistent");
            let absent = cfg!(not(feature = "assertion-keys")) && expected == Keys;
            assert_eq!(
                error,
                if absent {
                    OriginProofError::NotBuilt
                } else {
                    expected
                }
            );
            assert!(!error.to_string().contains(short));
        }
    }

    #[test]
    fn debug_prints_no_secret_of_the_proof() {
        for kind in ["secret", "assertion"] {
            let proof = of(Some(kind), Some(SECRET), None).expect("a proof");
            assert!(!format!("{proof:?}").contains(SECRET));
        }
    }
}
