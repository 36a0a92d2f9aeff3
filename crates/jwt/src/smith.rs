//! Making, reading and writing private keys, as a rotation wants it.

use portcullis_core::secret::Secret;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_service::rotate::ports::{Keysmith, KeysmithError};

use crate::{SigningKey, SigningKeyError};

/// Makes keys whose public half can be published, kept as private JWKs.
#[derive(Clone, Copy, Debug, Default)]
pub struct JwkSmith;

impl Keysmith for JwkSmith {
    type Key = SigningKey;

    fn make(&self, algorithm: Algorithm) -> Result<SigningKey, KeysmithError> {
        if algorithm.is_symmetric() {
            return Err(KeysmithError::NotMade);
        }
        SigningKey::generate(algorithm).map_err(|_error| KeysmithError::NotMade)
    }

    fn read(&self, kept: &Secret<String>) -> Result<SigningKey, KeysmithError> {
        let key = SigningKey::from_jwk(kept);
        key.map_err(|_: SigningKeyError| KeysmithError::NoKey)
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
    fn a_key_is_made_for_what_can_be_published_and_survives_its_keeping() {
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256] {
            let made = JwkSmith.make(algorithm).expect("made");
            let read = JwkSmith.read(&JwkSmith.write(&made)).expect("read");
            assert_eq!(made.key().id(), read.key().id());
            assert_eq!(read.key().algorithm(), Some(algorithm));
        }
        let shared = JwkSmith.make(Algorithm::Hs256).map(|_| ());
        assert_eq!(shared, Err(KeysmithError::NotMade));
        let text = Secret::new("hunter2".to_owned());
        assert_eq!(JwkSmith.read(&text).map(|_| ()), Err(KeysmithError::NoKey));
    }
}
