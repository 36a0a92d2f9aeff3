//! The ports of a rotation: the versions of one secret, new keys, the key document.

use std::collections::BTreeMap;

use portcullis_core::audit::AuditEvent;
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::revocation::Revocation;
use portcullis_core::secret::Secret;
use portcullis_core::time::UnixTime;
use portcullis_core::token::algorithm::Algorithm;
use thiserror::Error;

use crate::ports::Signer;
use crate::store::{KeyStore, StoreError, WriteOutcome};

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

/// Changes the key document after its first version.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait KeyChangeStore: KeyStore {
    /// Replaces version `document.version() - 1` and writes an audit entry in one transaction. If a
    /// key is revoked (`revocation`), the same transaction writes its revocation and a feed row
    /// with the given stamp. Returns [`WriteOutcome::Conflict`] if the version has changed.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn change_keys(
        &self,
        document: &KeyDocument,
        revocation: Option<(&Revocation, UnixTime)>,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError>;
}
