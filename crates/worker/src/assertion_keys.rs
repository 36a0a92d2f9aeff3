//! Assertions with the signature of a private key, computed by `crypto.subtle`.

use std::cell::RefCell;

use js_sys::futures::JsFuture;
use js_sys::{Array, JSON, Uint8Array};
use portcullis_core::assertion::AssertionDraft;
use portcullis_core::assertion::signing_keys::AssertionKeys;
use portcullis_core::secret::Secret;
use portcullis_core::token::algorithm::Algorithm;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::CryptoKey;

use crate::origin_proof_error::OriginProofError;
use crate::signatures::subtle;

/// The private key of this isolate; it is imported once.
#[derive(Debug)]
pub struct AssertionSigner {
    keys: AssertionKeys,
    imported: RefCell<Option<CryptoKey>>,
}

impl AssertionSigner {
    /// Parses the keys.
    ///
    /// # Errors
    ///
    /// [`OriginProofError::Keys`].
    pub fn of(keys: &Secret<String>) -> Result<Self, OriginProofError> {
        let keys = AssertionKeys::parse(keys.expose()).ok_or(OriginProofError::Keys)?;
        Ok(Self {
            keys,
            imported: RefCell::default(),
        })
    }

    /// The public JWK Set.
    pub const fn public_set(&self) -> &str {
        self.keys.public_set.as_str()
    }

    /// The signed assertion.
    ///
    /// # Errors
    ///
    /// The platform's, if it cannot use the private key.
    pub async fn sign(&self, draft: &AssertionDraft<'_>) -> Result<Secret<String>, JsValue> {
        let input = draft.signing_input(self.keys.algorithm, Some(&self.keys.key_id));
        let subtle = subtle()?;
        // The parameters of `importKey` and `sign` together; each ignores those of the other.
        let parameters = JSON::parse(if self.keys.algorithm == Algorithm::EdDsa {
            r#"{"name":"Ed25519"}"#
        } else {
            r#"{"name":"ECDSA","namedCurve":"P-256","hash":"SHA-256"}"#
        })?;
        let parameters = parameters.unchecked_ref();
        let held = self.imported.borrow().clone();
        let key = match held {
            Some(key) => key,
            None => {
                let imported = subtle.import_key_with_object(
                    "jwk",
                    JSON::parse(self.keys.private_jwk.expose())?.unchecked_ref(),
                    parameters,
                    false,
                    &Array::of1(&"sign".into()),
                )?;
                let key: CryptoKey = JsFuture::from(imported).await?.unchecked_into();
                *self.imported.borrow_mut() = Some(key.clone());
                key
            }
        };
        let signature = subtle.sign_with_object_and_js_u8_array(
            parameters,
            &key,
            &Uint8Array::from(input.as_bytes()),
        )?;
        let signature = Uint8Array::new(&JsFuture::from(signature).await?);
        Ok(input.with_signature(&signature.to_vec()))
    }
}
