//! What a rotation needs kept and made: the versions of one secret, new keys, the key document.

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

/// What a version of the secret stands for. At most one version has each.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// The version in force.
    Current,
    /// The version in force before.
    Previous,
    /// The version that a rotation is bringing up.
    Pending,
}

/// Which version of the secret has which stage, by the versions' ids.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stages(pub BTreeMap<Stage, String>);

impl Stages {
    /// The version that has `stage`.
    pub fn version(&self, stage: Stage) -> Option<&str> {
        self.0.get(&stage).map(String::as_str)
    }

    /// Whether the version `id` has `stage`.
    pub fn has(&self, id: &str, stage: Stage) -> bool {
        self.version(stage) == Some(id)
    }
}

/// Keeps the versions of the one secret that the private key is in.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own store, so Send is inferred there"
)]
pub trait SecretStore {
    /// The stages as they are.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also if there is no such secret.
    async fn stages(&self) -> Result<Stages, StoreError>;

    /// The value of the version `id`; none if it has none yet.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn value(&self, id: &str) -> Result<Option<Secret<String>>, StoreError>;

    /// Gives the version `id` its value and [`Stage::Pending`]. [`WriteOutcome::Conflict`] if it has
    /// another value already, which stays.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn put_pending(
        &self,
        id: &str,
        value: &Secret<String>,
    ) -> Result<WriteOutcome, StoreError>;

    /// Moves [`Stage::Current`] to the version `to`, away from `from`, which becomes
    /// [`Stage::Previous`].
    ///
    /// # Errors
    ///
    /// [`StoreError`], also if `from` is not in force any more.
    async fn promote(&self, from: Option<&str>, to: &str) -> Result<(), StoreError>;
}

/// Makes private keys, and reads and writes them in the form they are kept in.
pub trait KeyFactory {
    /// A private key.
    type Key: Signer;

    /// A new key.
    ///
    /// # Errors
    ///
    /// [`KeyFactoryError`] if no keys are made for `algorithm`, or no random bytes are to be had.
    fn make(&self, algorithm: Algorithm) -> Result<Self::Key, KeyFactoryError>;

    /// Reads a key.
    ///
    /// # Errors
    ///
    /// [`KeyFactoryError`] if it is none.
    fn read(&self, kept: &Secret<String>) -> Result<Self::Key, KeyFactoryError>;

    /// Writes a key.
    fn write(&self, key: &Self::Key) -> Secret<String>;
}

/// There is no key. Never quotes what was read.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum KeyFactoryError {
    /// What was read is no signing key.
    #[error("the version of the secret holds no signing key")]
    NoKey,
    /// None could be made.
    #[error("no signing key could be made for this algorithm")]
    NotMade,
}

/// Changes the key document after its first version.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own store, so Send is inferred there"
)]
pub trait KeyChangeStore: KeyStore {
    /// Replaces version `document.version() - 1`, with a line in the audit trail, in one step.
    /// Where a key is `called_back` for it, its revocation and a feed row of the stamp given come
    /// in the same step. [`WriteOutcome::Conflict`] if it is not that version any more.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn change_keys(
        &self,
        document: &KeyDocument,
        called_back: Option<(&Revocation, UnixTime)>,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError>;
}
