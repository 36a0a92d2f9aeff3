//! The host's root keys, loaded on first use from Secrets Manager or a file.

use portcullis_core::root_keys::{RootKeys, RootKeysError};
use portcullis_core::time::UnixTime;
use portcullis_service::ports::{NoEntropy, SecureRandom as _};
use thiserror::Error;
use tokio::sync::OnceCell;

use crate::owned_file::{self, OwnedFileError};
use crate::random::SystemRandom;
use crate::secret_source::{SecretError, SecretSource, current_version};
use crate::transport::AwsClient;

const VARIABLE: &str = "PORTCULLIS_HOST_SECRET";

/// The root keys of this host.
#[derive(Debug)]
pub struct RootKeyCache {
    source: SecretSource,
    // A failed load is retried at the next use.
    open: OnceCell<RootKeys>,
}

/// The host's root keys are unavailable. Never quotes them.
#[derive(Debug, Error)]
pub enum HostRootKeysError {
    /// The file cannot be read or created.
    #[error("PORTCULLIS_HOST_SECRET_FILE")]
    File(#[from] OwnedFileError),
    /// Secrets Manager returned no current version.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The document contains no root keys.
    #[error("the host's secret contains no root keys")]
    RootKeys(#[from] RootKeysError),
    /// No root key could be generated.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

impl RootKeyCache {
    /// The root keys in `source`. Nothing is read yet.
    pub const fn new(source: SecretSource) -> Self {
        Self {
            source,
            open: OnceCell::const_new(),
        }
    }

    /// The root keys, loaded at the first call.
    ///
    /// # Errors
    ///
    /// [`HostRootKeysError`]; the next call retries.
    pub async fn open(
        &self,
        client: &AwsClient,
        now: UnixTime,
    ) -> Result<&RootKeys, HostRootKeysError> {
        self.open
            .get_or_try_init(async || load(&self.source, client, now).await)
            .await
    }
}

async fn load(
    source: &SecretSource,
    client: &AwsClient,
    now: UnixTime,
) -> Result<RootKeys, HostRootKeysError> {
    let document = match source {
        SecretSource::File(path) => owned_file::load_or_make(path, || {
            Ok::<_, HostRootKeysError>(RootKeys::document(&SystemRandom.secret()?))
        })?,
        SecretSource::Secret(name) => current_version(name, VARIABLE, client, now).await?,
    };
    Ok(RootKeys::parse(document.expose().as_bytes())?)
}
