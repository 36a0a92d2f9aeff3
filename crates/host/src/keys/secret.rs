//! The signing secret of a host: a secret in Secrets Manager, or one key in a file.

use std::path::Path;

use portcullis_aws::error::CallError;
use portcullis_aws::secrets_manager::SecretsManager;
use portcullis_aws::secrets_manager::signing_secret::SigningSecret;
use portcullis_core::time::UnixTime;
use portcullis_service::ports::Signer as _;
use portcullis_service::signing::secret::{SecretStore, SecretVersion, Stage, VersionSelector};
use thiserror::Error;

use crate::keys::file::{self, KeyFileError};
use crate::secret_source::SecretSource;
use crate::transport::{AwsClient, HyperTransport};

/// The secret as one request reads it.
#[derive(Debug)]
pub enum HostSecret<'a> {
    /// A secret in Secrets Manager.
    Secret(SigningSecret<'a, HyperTransport>),
    /// A file with one key.
    File(&'a Path),
}

/// The secret cannot be read. Never quotes a value.
#[derive(Debug, Error)]
pub enum HostSecretError {
    /// The file cannot be read, created or parsed.
    #[error("PORTCULLIS_SIGNING_KEY_FILE")]
    File(#[source] KeyFileError),
    /// Secrets Manager returns no secret.
    #[error("PORTCULLIS_SIGNING_SECRET cannot be read")]
    Secret(#[source] CallError),
}

impl<'a> HostSecret<'a> {
    /// The secret in `source` at `now`.
    pub fn new(source: &'a SecretSource, client: &'a AwsClient, now: UnixTime) -> Self {
        match source {
            SecretSource::Secret(name) => {
                Self::Secret(SigningSecret::new(SecretsManager::at(client, now), name))
            }
            SecretSource::File(path) => Self::File(path),
        }
    }
}

impl SecretStore for HostSecret<'_> {
    type Error = HostSecretError;

    async fn version(
        &self,
        selector: VersionSelector<'_>,
    ) -> Result<Option<SecretVersion>, HostSecretError> {
        match (self, selector) {
            (Self::Secret(secret), _) => {
                secret.read(selector).await.map_err(HostSecretError::Secret)
            }
            (Self::File(path), VersionSelector::Stage(Stage::Current)) => {
                let key = file::load_or_make(path).map_err(HostSecretError::File)?;
                Ok(Some(SecretVersion {
                    // The file may later contain another key.
                    id: key.key().id().unwrap_or_default().to_owned(),
                    value: key.to_jwk(),
                }))
            }
            // A file has only a current version, which the rotation does not change.
            (
                Self::File(_),
                VersionSelector::Stage(Stage::Previous | Stage::Pending) | VersionSelector::Id(_),
            ) => Ok(None),
        }
    }
}
