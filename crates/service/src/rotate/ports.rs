//! The ports of a rotation.

use crate::ports::{Clock, SecureRandom, SignatureVerifier};
use crate::signing::key_factory::KeyFactory;
use crate::signing::secret::SecretChangeStore;
use crate::store::KeyChangeStore;

/// The types of the ports of a rotation.
pub trait RotationPorts {
    /// The versions of the secret.
    type Secret: SecretChangeStore;
    /// The key factory.
    type Factory: KeyFactory;
    /// The verifier of the test signature.
    type Signatures: SignatureVerifier;
    /// The clock.
    type Clock: Clock;
    /// The store of the key document.
    type Store: KeyChangeStore;
    /// The source of random identifiers.
    type Random: SecureRandom;
}
