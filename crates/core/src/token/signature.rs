//! The one effect in verifying a token: the signature check, described here and executed by an
//! adapter.

use crate::denial::Denial;
use crate::keys::jwk::VerifyingKey;
use crate::token::algorithm::Algorithm;
use crate::token::jws::Jws;

/// One signature to check. The key already allows the algorithm.
#[derive(Clone, Copy)]
pub struct SignatureCheck<'a> {
    key: &'a VerifyingKey,
    algorithm: Algorithm,
    signing_input: &'a str,
    signature: &'a [u8],
}

/// The result of a signature check.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum SignatureVerdict {
    /// The key created the signature over this input.
    Valid,
    /// The signature does not match.
    Invalid,
}

impl<'a> SignatureCheck<'a> {
    /// The check of `jws` under `key`.
    ///
    /// # Errors
    ///
    /// [`Denial::AlgorithmNotAllowed`] if the key is pinned to an algorithm other than the header's
    /// ([RFC 8725 §3.1]).
    ///
    /// [RFC 8725 §3.1]: https://www.rfc-editor.org/rfc/rfc8725#section-3.1
    pub fn new(jws: &'a Jws<'_>, key: &'a VerifyingKey) -> Result<Self, Denial> {
        if !key.allows(jws.header.algorithm) {
            return Err(Denial::AlgorithmNotAllowed);
        }
        Ok(Self {
            key,
            algorithm: jws.header.algorithm,
            signing_input: jws.signing_input,
            signature: &jws.signature,
        })
    }

    /// The verification key.
    pub const fn key(&self) -> &'a VerifyingKey {
        self.key
    }

    /// The verification algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The signing input ([RFC 7515 §5.2] step 8).
    ///
    /// [RFC 7515 §5.2]: https://www.rfc-editor.org/rfc/rfc7515#section-5.2
    pub const fn signing_input(&self) -> &'a [u8] {
        self.signing_input.as_bytes()
    }

    /// The signature in JWS encoding: for ECDSA, `r` and `s` concatenated.
    pub const fn signature(&self) -> &'a [u8] {
        self.signature
    }
}

impl core::fmt::Debug for SignatureCheck<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SignatureCheck")
            .field("key", self.key)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
