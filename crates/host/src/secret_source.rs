//! The source of one of the host's secrets: a secret in Secrets Manager, or a file.

use std::path::PathBuf;

use portcullis_aws::error::CallError;
use portcullis_aws::secrets_manager::{SecretsManager, Version};
use portcullis_core::secret::Secret;
use portcullis_core::time::UnixTime;
use portcullis_service::signing::secret::Stage;
use thiserror::Error;

use crate::transport::AwsClient;

/// Where a secret of the host is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SecretSource {
    /// In Secrets Manager, by this name or ARN.
    Secret(String),
    /// In this file, for one host on its own machine.
    File(PathBuf),
}

/// Secrets Manager returned no current version. Never quotes a value.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The call failed.
    #[error("{variable} cannot be read")]
    Unreadable {
        /// The variable that names the secret.
        variable: &'static str,
        /// The failure of the call.
        source: CallError,
    },
    /// The secret does not exist or has no version labelled `AWSCURRENT`.
    #[error("{variable} names a secret without a current version")]
    NoCurrentVersion {
        /// The variable that names the secret.
        variable: &'static str,
    },
}

/// Reads the current version of the secret `name`, which `variable` names.
///
/// # Errors
///
/// [`SecretError`].
pub async fn current_version(
    name: &str,
    variable: &'static str,
    client: &AwsClient,
    now: UnixTime,
) -> Result<Secret<String>, SecretError> {
    let version = SecretsManager::at(client, now)
        .value(name, Version::Stage(Stage::Current))
        .await
        .map_err(|source| SecretError::Unreadable { variable, source })?;
    let version = version.ok_or(SecretError::NoCurrentVersion { variable })?;
    Ok(version.value)
}
