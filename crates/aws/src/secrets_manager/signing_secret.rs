//! The secret with the private signing keys, as its ports define it.

use portcullis_core::secret::Secret;
use portcullis_service::signing::secret::{
    SecretChangeStore, SecretStore, SecretVersion, Stage, Stages, VersionSelector,
};
use portcullis_service::store::{StoreError, WriteOutcome};

use crate::error::CallError;
use crate::error_code::ErrorCode;
use crate::secrets_manager::{SecretsManager, Version};
use crate::transport::Transport;

/// The secret in Secrets Manager, at a given time.
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

impl<T: Transport> SigningSecret<'_, T> {
    /// The selected version, in one call; `None` if no version has the stage, or the version has
    /// no value yet.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn read(
        &self,
        selector: VersionSelector<'_>,
    ) -> Result<Option<SecretVersion>, CallError> {
        let version = match selector {
            VersionSelector::Stage(stage) => Version::Stage(stage),
            VersionSelector::Id(id) => Version::Id(id),
        };
        let found = self.manager.value(self.name, version).await?;
        Ok(found.map(|found| SecretVersion {
            id: found.id,
            value: found.value,
        }))
    }
}

impl<T: Transport> SecretStore for SigningSecret<'_, T> {
    type Error = StoreError;

    async fn version(
        &self,
        selector: VersionSelector<'_>,
    ) -> Result<Option<SecretVersion>, StoreError> {
        let read = self.read(selector).await;
        read.map_err(|error| StoreError::new("reading the secret", error))
    }
}

impl<T: Transport> SecretChangeStore for SigningSecret<'_, T> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::script::{NOON, client, response};

    #[tokio::test]
    async fn a_version_is_read_by_stage_or_id_with_one_call() {
        let value = r#"{"VersionId":"v2","SecretString":"hunter2"}"#;
        let client = client([response(200, value), response(200, value)]);
        let secret = SigningSecret::new(SecretsManager::at(&client, NOON), "signing");
        for selector in [
            VersionSelector::Stage(Stage::Previous),
            VersionSelector::Id("v2"),
        ] {
            let found = secret.version(selector).await.unwrap().unwrap();
            assert_eq!(found.id, "v2");
            assert_eq!(found.value.expose(), "hunter2");
        }
        assert_eq!(
            client.transport().bodies(),
            [
                json!({"SecretId": "signing", "VersionStage": "AWSPREVIOUS"}),
                json!({"SecretId": "signing", "VersionId": "v2"}),
            ]
        );
    }
}
