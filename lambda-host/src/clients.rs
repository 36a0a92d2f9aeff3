//! The confidential clients of this host: loaded on first need, from Secrets Manager or a file.

use std::path::PathBuf;

use portcullis_aws::error::CallError;
use portcullis_aws::secrets_manager::{SecretsManager, Stage, Version};
use portcullis_core::client::{Clients, ClientsError};
use portcullis_core::time::UnixTime;
use thiserror::Error;
use tokio::sync::OnceCell;
use tracing::error;

use crate::config::KeySource;
use crate::error_mapping::ErrorChain;
use crate::host::AwsClient;
use crate::problem::Problem;

/// The clients that the operator knows.
#[derive(Debug)]
pub struct HostClients {
    source: Option<KeySource>,
    // For as long as loading fails, the next need begins anew.
    known: OnceCell<Clients>,
}

/// The clients are not to be had. Never quotes their document.
#[derive(Debug, Error)]
pub enum HostClientsError {
    /// The file cannot be read.
    #[error("PORTCULLIS_CLIENTS_FILE names {} and it cannot be read", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    /// Secrets Manager does not give the secret.
    #[error("PORTCULLIS_CLIENTS_SECRET cannot be read")]
    Secret(#[source] CallError),
    /// Secrets Manager knows no such secret, or no version in force.
    #[error("PORTCULLIS_CLIENTS_SECRET names a secret without a current version")]
    NoSecret,
    /// It holds no clients.
    #[error("the clients cannot be used")]
    Clients(#[from] ClientsError),
}

impl From<HostClientsError> for Problem {
    fn from(error: HostClientsError) -> Self {
        error!(error = %ErrorChain(&error), "the clients of this host are not to be had");
        Self::KeyUnavailable
    }
}

impl HostClients {
    /// The clients that `source` holds, or none; nothing is read yet.
    pub const fn new(source: Option<KeySource>) -> Self {
        Self {
            source,
            known: OnceCell::const_new(),
        }
    }

    /// The clients, loaded now if they were not before.
    ///
    /// # Errors
    ///
    /// [`HostClientsError`]; the next call tries again.
    pub async fn known(
        &self,
        client: &AwsClient,
        now: UnixTime,
    ) -> Result<&Clients, HostClientsError> {
        self.known
            .get_or_try_init(async || match &self.source {
                None => Ok(Clients::default()),
                Some(source) => load(source, client, now).await,
            })
            .await
    }
}

async fn load(
    source: &KeySource,
    client: &AwsClient,
    now: UnixTime,
) -> Result<Clients, HostClientsError> {
    match source {
        KeySource::File(path) => {
            let document = std::fs::read(path);
            let document = document.map_err(|error| HostClientsError::File(path.clone(), error))?;
            Ok(Clients::parse(&document)?)
        }
        KeySource::Secret(name) => {
            let version = SecretsManager::at(client, now)
                .value(name, Version::Stage(Stage::Current))
                .await
                .map_err(HostClientsError::Secret)?;
            let document = version.ok_or(HostClientsError::NoSecret)?.value;
            Ok(Clients::parse(document.expose().as_bytes())?)
        }
    }
}
