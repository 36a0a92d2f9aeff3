//! The secret with the private signing keys: hosts read it, and a rotation changes it.

use core::error::Error;
use std::collections::BTreeMap;

use portcullis_core::secret::Secret;

use crate::store::{StoreError, WriteOutcome};

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

/// Selects a version of the secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VersionSelector<'a> {
    /// The version that has this stage now.
    Stage(Stage),
    /// The version with this id.
    Id(&'a str),
}

/// A version of the secret. Its value may be no valid key.
#[derive(Clone, Debug)]
pub struct SecretVersion {
    /// Its unique version id.
    pub id: String,
    /// Its value.
    pub value: Secret<String>,
}

/// Reads the versions of the secret. A host needs nothing else.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait SecretStore {
    /// The error of a failed read.
    type Error: Error + 'static;

    /// The selected version; `None` if no version has the stage, or the version has no value yet.
    ///
    /// # Errors
    ///
    /// If the secret cannot be read.
    async fn version(
        &self,
        selector: VersionSelector<'_>,
    ) -> Result<Option<SecretVersion>, Self::Error>;
}

/// Changes the versions of the secret. Only a rotation does.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait SecretChangeStore: SecretStore<Error = StoreError> {
    /// The current stages.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also if the secret does not exist.
    async fn stages(&self) -> Result<Stages, StoreError>;

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
