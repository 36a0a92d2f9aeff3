//! Verifies signatures with `crypto.subtle`; every key is imported once.

use std::cell::RefCell;
use std::collections::VecDeque;

use js_sys::futures::JsFuture;
use js_sys::{Array, JSON, Object, Reflect, Uint8Array};
use portcullis_core::keys::jwk::KeyMaterial;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_core::token::signature::{SignatureCheck, SignatureVerdict};
use portcullis_jwt::hmac;
use portcullis_jwt::precheck::{self, Precheck};
use portcullis_service::ports::{SignatureVerifier, UnusableKey};
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{CryptoKey, SubtleCrypto, WorkerGlobalScope};

/// The maximum number of imported keys in an isolate: more than the issuers of any policy use at a
/// time.
const MAX_KEYS: usize = 32;

/// Verifies signatures with the platform's `crypto.subtle`. HMAC runs in wasm, because a call
/// across the boundary costs more than the computation.
#[derive(Debug, Default)]
pub struct WebCryptoVerifier {
    // Found by the key itself and not by its `kid`, which may be reused for another key.
    imported: RefCell<VecDeque<Imported>>,
}

#[derive(Debug)]
struct Imported {
    material: KeyMaterial,
    algorithm: Algorithm,
    key: CryptoKey,
}

impl SignatureVerifier for WebCryptoVerifier {
    async fn check(&self, check: &SignatureCheck<'_>) -> Result<SignatureVerdict, UnusableKey> {
        if precheck::precheck(check)? == Precheck::Invalid {
            return Ok(SignatureVerdict::Invalid);
        }
        if let KeyMaterial::Hmac(secret) = check.key().material() {
            return Ok(hmac::check(
                secret.expose(),
                check.signing_input(),
                check.signature(),
            ));
        }
        let valid = self.verify(check).await.map_err(|_| UnusableKey)?;
        Ok(if valid {
            SignatureVerdict::Valid
        } else {
            SignatureVerdict::Invalid
        })
    }
}

impl WebCryptoVerifier {
    async fn verify(&self, check: &SignatureCheck<'_>) -> Result<bool, JsValue> {
        let subtle = subtle()?;
        let key = self
            .key(&subtle, check.key().material(), check.algorithm())
            .await?;
        let verified = subtle.verify_with_object_and_js_u8_array_and_js_u8_array(
            &verify_parameters(check.algorithm())?,
            &key,
            &Uint8Array::from(check.signature()),
            &Uint8Array::from(check.signing_input()),
        )?;
        Ok(JsFuture::from(verified).await?.is_truthy())
    }

    async fn key(
        &self,
        subtle: &SubtleCrypto,
        material: &KeyMaterial,
        algorithm: Algorithm,
    ) -> Result<CryptoKey, JsValue> {
        if let Some(kept) = self.kept(material, algorithm) {
            return Ok(kept);
        }
        let jwk = material.to_bare_jwk().ok_or(JsValue::NULL)?;
        let imported = subtle.import_key_with_object(
            "jwk",
            JSON::parse(&jwk)?.unchecked_ref(),
            &import_parameters(algorithm)?,
            false,
            &Array::of1(&"verify".into()),
        )?;
        let key: CryptoKey = JsFuture::from(imported).await?.unchecked_into();
        let mut kept = self.imported.borrow_mut();
        kept.truncate(MAX_KEYS.saturating_sub(1));
        kept.push_front(Imported {
            material: material.clone(),
            algorithm,
            key: key.clone(),
        });
        Ok(key)
    }

    fn kept(&self, material: &KeyMaterial, algorithm: Algorithm) -> Option<CryptoKey> {
        let kept = self.imported.borrow();
        let same = |held: &&Imported| {
            held.algorithm == algorithm && held.material.is_same_public_key(material)
        };
        kept.iter().find(same).map(|held| held.key.clone())
    }
}

pub(crate) fn subtle() -> Result<SubtleCrypto, JsValue> {
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    Ok(scope.crypto()?.subtle())
}

/// The [WebCrypto §18] names of `algorithm` and its hash.
///
/// [WebCrypto §18]: https://www.w3.org/TR/WebCryptoAPI/#algorithms
const fn names(algorithm: Algorithm) -> (&'static str, &'static str) {
    match algorithm {
        Algorithm::EdDsa => ("Ed25519", ""),
        Algorithm::Es256 => ("ECDSA", "SHA-256"),
        Algorithm::Es384 => ("ECDSA", "SHA-384"),
        Algorithm::Rs256 => ("RSASSA-PKCS1-v1_5", "SHA-256"),
        Algorithm::Rs384 => ("RSASSA-PKCS1-v1_5", "SHA-384"),
        Algorithm::Rs512 => ("RSASSA-PKCS1-v1_5", "SHA-512"),
        Algorithm::Ps256 => ("RSA-PSS", "SHA-256"),
        Algorithm::Ps384 => ("RSA-PSS", "SHA-384"),
        Algorithm::Ps512 => ("RSA-PSS", "SHA-512"),
        Algorithm::Hs256 => ("HMAC", "SHA-256"),
    }
}

fn import_parameters(algorithm: Algorithm) -> Result<Object, JsValue> {
    let (name, hash) = names(algorithm);
    let curve = match algorithm {
        Algorithm::Es256 => Some("P-256"),
        Algorithm::Es384 => Some("P-384"),
        Algorithm::EdDsa
        | Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512
        | Algorithm::Hs256 => None,
    };
    let parameters = Object::new();
    Reflect::set(&parameters, &"name".into(), &name.into())?;
    match curve {
        Some(curve) => Reflect::set(&parameters, &"namedCurve".into(), &curve.into())?,
        None if hash.is_empty() => true,
        None => Reflect::set(&parameters, &"hash".into(), &hash.into())?,
    };
    Ok(parameters)
}

fn verify_parameters(algorithm: Algorithm) -> Result<Object, JsValue> {
    let (name, hash) = names(algorithm);
    let parameters = Object::new();
    Reflect::set(&parameters, &"name".into(), &name.into())?;
    // RFC 7518 §3.5: the salt is as long as the hash.
    let salt = match algorithm {
        Algorithm::Ps256 => Some(32),
        Algorithm::Ps384 => Some(48),
        Algorithm::Ps512 => Some(64),
        Algorithm::EdDsa
        | Algorithm::Es256
        | Algorithm::Es384
        | Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Hs256 => None,
    };
    if let Some(length) = salt {
        Reflect::set(&parameters, &"saltLength".into(), &length.into())?;
    }
    if name == "ECDSA" {
        Reflect::set(&parameters, &"hash".into(), &hash.into())?;
    }
    Ok(parameters)
}
