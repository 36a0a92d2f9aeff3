//! The host's own secrets: loaded on first need, from Secrets Manager or a file.

use portcullis_aws::error::CallError;
use portcullis_aws::secrets_manager::{SecretsManager, Stage, Version};
use portcullis_core::root_keys::{RootKeys, VaultError};
use portcullis_core::time::UnixTime;
use portcullis_service::ports::{NoEntropy, SecureRandom as _};
use thiserror::Error;
use tokio::sync::OnceCell;
use tracing::error;

use crate::config::KeySource;
use crate::error_mapping::ErrorChain;
use crate::host::AwsClient;
use crate::owned_file::{self, OwnedFileError};
use crate::problem::Problem;
use crate::random::SystemRandom;

/// The vault of this host.
#[derive(Debug)]
pub struct RootKeyCache {
    source: KeySource,
    // For as long as loading fails, the next need begins anew.
    open: OnceCell<RootKeys>,
}

/// The host's own secrets are not to be had. Never quotes them.
#[derive(Debug, Error)]
pub enum HostVaultError {
    /// The file cannot be read or made.
    #[error("PORTCULLIS_HOST_SECRET_FILE")]
    File(#[from] OwnedFileError),
    /// Secrets Manager does not give the secret.
    #[error("PORTCULLIS_HOST_SECRET cannot be read")]
    Secret(#[source] CallError),
    /// Secrets Manager knows no such secret, or no version in force.
    #[error("PORTCULLIS_HOST_SECRET names a secret without a current version")]
    NoSecret,
    /// It holds no root keys.
    #[error("the host's secret holds no root keys")]
    Vault(#[from] VaultError),
    /// No root key could be drawn.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

impl From<HostVaultError> for Problem {
    fn from(error: HostVaultError) -> Self {
        error!(error = %ErrorChain(&error), "the host's own secrets are not to be had");
        Self::KeyUnavailable
    }
}

impl RootKeyCache {
    /// The root keys that `source` holds; nothing is read yet.
    pub const fn new(source: KeySource) -> Self {
        Self {
            source,
            open: OnceCell::const_new(),
        }
    }

    /// The vault, loaded now if it was not before.
    ///
    /// # Errors
    ///
    /// [`HostVaultError`]; the next call tries again.
    pub async fn open(
        &self,
        client: &AwsClient,
        now: UnixTime,
    ) -> Result<&RootKeys, HostVaultError> {
        self.open
            .get_or_try_init(async || load(&self.source, client, now).await)
            .await
    }
}

async fn load(
    source: &KeySource,
    client: &AwsClient,
    now: UnixTime,
) -> Result<RootKeys, HostVaultError> {
    let document = match source {
        KeySource::File(path) => owned_file::load_or_make(path, || {
            Ok::<_, HostVaultError>(RootKeys::document(&SystemRandom.secret()?))
        })?,
        KeySource::Secret(name) => {
            let version = SecretsManager::at(client, now)
                .value(name, Version::Stage(Stage::Current))
                .await
                .map_err(HostVaultError::Secret)?;
            version.ok_or(HostVaultError::NoSecret)?.value
        }
    };
    Ok(RootKeys::parse(document.expose().as_bytes())?)
}
