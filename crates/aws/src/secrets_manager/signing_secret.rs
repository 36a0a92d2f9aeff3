//! The secret that a rotation changes, as its port defines it.

use portcullis_core::secret::Secret;
use portcullis_service::rotate::ports::{SecretStore, Stage, Stages};
use portcullis_service::store::{StoreError, WriteOutcome};

use crate::error_code::ErrorCode;
use crate::secrets_manager::{SecretsManager, Version};
use crate::transport::Transport;

/// The secret that holds the private signing key, at a given time.
#[derive(Debug)]
pub struct SigningSecret<'a, T> {
    manager: SecretsManager<'a, T>,
    name: &'a str,
}

impl<'a, T> SigningSecret<'a, T> {
    /// The secret with the name or ARN `name`.
    pub const fn new(manager: SecretsManager<'a, T>, name: &'a str) -> Self {
        Self { manager, name }
    }
}

impl<T: Transport> SecretStore for SigningSecret<'_, T> {
    async fn stages(&self) -> Result<Stages, StoreError> {
        let described = self.manager.describe(self.name).await;
        let described =
            described.map_err(|error| StoreError::new("describing the secret", error))?;
        let stages = [Stage::Current, Stage::Previous, Stage::Pending];
        let staged = stages.into_iter().filter_map(|stage| {
            let id = described.version_at(stage)?;
            Some((stage, id.to_owned()))
        });
        Ok(Stages(staged.collect()))
    }

    async fn value(&self, id: &str) -> Result<Option<Secret<String>>, StoreError> {
        let found = self.manager.value(self.name, Version::Id(id)).await;
        let found = found.map_err(|error| StoreError::new("reading the secret", error))?;
        Ok(found.map(|version| version.value))
    }

    async fn put_pending(
        &self,
        id: &str,
        value: &Secret<String>,
    ) -> Result<WriteOutcome, StoreError> {
        match self.manager.put(self.name, id, value, Stage::Pending).await {
            Ok(()) => Ok(WriteOutcome::Applied),
            Err(error)
                if error
                    .refusal()
                    .is_some_and(|it| *it.code() == ErrorCode::ResourceExists) =>
            {
                Ok(WriteOutcome::Conflict)
            }
            Err(error) => Err(StoreError::new("adding a version to the secret", error)),
        }
    }

    async fn promote(&self, from: Option<&str>, to: &str) -> Result<(), StoreError> {
        self.manager
            .move_stage(self.name, Stage::Current, from, to)
            .await
            .map_err(|error| StoreError::new("making a version of the secret current", error))
    }
}
