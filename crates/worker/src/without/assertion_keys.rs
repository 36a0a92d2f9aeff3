//! A build without assertions by a private key.

use core::convert::Infallible;

use portcullis_core::assertion::AssertionDraft;
use portcullis_core::secret::Secret;
use wasm_bindgen::JsValue;

use crate::origin_proof_error::OriginProofError;

/// Does not exist.
#[derive(Debug)]
pub struct AssertionSigner(Infallible);

impl AssertionSigner {
    /// Rejects the setting.
    ///
    /// # Errors
    ///
    /// [`OriginProofError::NotBuilt`].
    // SECURITY: fails closed. A build without the feature must not ignore the setting.
    pub const fn of(_keys: &Secret<String>) -> Result<Self, OriginProofError> {
        Err(OriginProofError::NotBuilt)
    }

    /// The public JWK Set.
    pub const fn public_set(&self) -> &str {
        match self.0 {}
    }

    /// The signed assertion.
    ///
    /// # Errors
    ///
    /// None.
    #[expect(clippy::unused_async, reason = "the interface of the full build")]
    pub async fn sign(&self, _draft: &AssertionDraft<'_>) -> Result<Secret<String>, JsValue> {
        match self.0 {}
    }
}
