//! The key factory of hosts and rotations: generates, parses and serializes private keys.

use portcullis_core::secret::Secret;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_service::signing::key_factory::KeyFactory;

use crate::{SigningKey, SigningKeyError};

/// Creates keys with a publishable public half, serialized as private JWKs.
#[derive(Clone, Copy, Debug, Default)]
pub struct JwkKeyFactory;

impl KeyFactory for JwkKeyFactory {
    type Key = SigningKey;
    type Error = SigningKeyError;

    fn make(&self, algorithm: Algorithm) -> Result<SigningKey, SigningKeyError> {
        if algorithm.is_symmetric() {
            return Err(SigningKeyError::Unsupported);
        }
        SigningKey::generate(algorithm)
    }

    fn read(&self, stored: &Secret<String>) -> Result<SigningKey, SigningKeyError> {
        SigningKey::from_jwk(stored)
    }

    fn write(&self, key: &SigningKey) -> Secret<String> {
        key.to_jwk()
    }
}

#[cfg(test)]
mod tests {
    use portcullis_service::ports::Signer as _;

    use super::*;

    #[test]
    fn a_key_is_generated_for_asymmetric_algorithms_and_survives_serialization() {
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256] {
            let made = JwkKeyFactory.make(algorithm).expect("made");
            let read = JwkKeyFactory
                .read(&JwkKeyFactory.write(&made))
                .expect("read");
            assert_eq!(made.key().id(), read.key().id());
            assert_eq!(read.key().algorithm(), Some(algorithm));
        }
        let shared = JwkKeyFactory.make(Algorithm::Hs256).map(|_| ());
        assert_eq!(shared, Err(SigningKeyError::Unsupported));
        let text = Secret::new("hunter2".to_owned());
        assert_eq!(
            JwkKeyFactory.read(&text).map(|_| ()),
            Err(SigningKeyError::Malformed)
        );
    }
}
