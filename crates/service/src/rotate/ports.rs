//! The ports of a rotation: the versions of one secret and new keys.

use std::collections::BTreeMap;

use portcullis_core::secret::Secret;
use portcullis_core::token::algorithm::Algorithm;
use thiserror::Error;

use crate::ports::{Clock, SecureRandom, SignatureVerifier, Signer};
use crate::store::{KeyChangeStore, StoreError, WriteOutcome};

/// The types of the ports of a rotation.
pub trait RotationPorts {
    /// The versions of the secret.
    type Secret: SecretStore;
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

/// The stage of a version of the secret. At most one version has each stage.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// The current version.
    Current,
    /// The previous version.
    Previous,
    /// The version that a rotation prepares.
    Pending,
}

/// The version ids of the secret by stage.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stages(pub BTreeMap<Stage, String>);

impl Stages {
    /// The version with `stage`.
    pub fn version(&self, stage: Stage) -> Option<&str> {
        self.0.get(&stage).map(String::as_str)
    }

    /// Whether the version `id` has `stage`.
    pub fn has(&self, id: &str, stage: Stage) -> bool {
        self.version(stage) == Some(id)
    }
}

/// Stores the versions of the secret with the private key.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait SecretStore {
    /// The current stages.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also if the secret does not exist.
    async fn stages(&self) -> Result<Stages, StoreError>;

    /// The value of the version `id`; `None` if it has no value yet.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn value(&self, id: &str) -> Result<Option<Secret<String>>, StoreError>;

    /// Gives the version `id` its value and [`Stage::Pending`]. Returns [`WriteOutcome::Conflict`]
    /// if it has another value already, which stays.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn put_pending(
        &self,
        id: &str,
        value: &Secret<String>,
    ) -> Result<WriteOutcome, StoreError>;

    /// Moves [`Stage::Current`] from `from` to the version `to`; `from` becomes
    /// [`Stage::Previous`].
    ///
    /// # Errors
    ///
    /// [`StoreError`], also if `from` is not current any more.
    async fn promote(&self, from: Option<&str>, to: &str) -> Result<(), StoreError>;
}

/// Creates private keys, and decodes and encodes their stored form.
pub trait KeyFactory {
    /// A private key.
    type Key: Signer;

    /// Creates a key.
    ///
    /// # Errors
    ///
    /// [`KeyFactoryError`] if `algorithm` is unsupported, or no random bytes are available.
    fn make(&self, algorithm: Algorithm) -> Result<Self::Key, KeyFactoryError>;

    /// Decodes a key.
    ///
    /// # Errors
    ///
    /// [`KeyFactoryError`] if it is invalid.
    fn read(&self, kept: &Secret<String>) -> Result<Self::Key, KeyFactoryError>;

    /// Encodes a key.
    fn write(&self, key: &Self::Key) -> Secret<String>;
}

/// No usable key. Never quotes its input.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum KeyFactoryError {
    /// The input is no signing key.
    #[error("the version of the secret holds no signing key")]
    NoKey,
    /// No key could be created.
    #[error("no signing key could be created for this algorithm")]
    NotMade,
}
