//! The confidential clients of this host, loaded on first use from Secrets Manager or a file.

use std::path::PathBuf;

use portcullis_core::client::{OAuthClients, OAuthClientsError};
use portcullis_core::time::UnixTime;
use thiserror::Error;
use tokio::sync::OnceCell;

use crate::secret_source::{SecretError, SecretSource, current_version};
use crate::transport::AwsClient;

const VARIABLE: &str = "PORTCULLIS_CLIENTS_SECRET";

/// The clients that the operator configured.
#[derive(Debug)]
pub struct HostClients {
    source: Option<SecretSource>,
    // A failed load is retried at the next use.
    known: OnceCell<OAuthClients>,
}

/// The clients cannot be loaded. Never quotes their document.
#[derive(Debug, Error)]
pub enum HostClientsError {
    /// The file cannot be read.
    #[error("PORTCULLIS_CLIENTS_FILE names {} and it cannot be read", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    /// Secrets Manager returned no current version.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The document is no valid list of clients.
    #[error("the clients cannot be used")]
    Clients(#[from] OAuthClientsError),
}

impl HostClients {
    /// The clients in `source`, or none. Nothing is read yet.
    pub const fn new(source: Option<SecretSource>) -> Self {
        Self {
            source,
            known: OnceCell::const_new(),
        }
    }

    /// The clients, loaded at the first call.
    ///
    /// # Errors
    ///
    /// [`HostClientsError`]; the next call retries.
    pub async fn known(
        &self,
        client: &AwsClient,
        now: UnixTime,
    ) -> Result<&OAuthClients, HostClientsError> {
        self.known
            .get_or_try_init(async || match &self.source {
                None => Ok(OAuthClients::default()),
                Some(source) => load(source, client, now).await,
            })
            .await
    }
}

async fn load(
    source: &SecretSource,
    client: &AwsClient,
    now: UnixTime,
) -> Result<OAuthClients, HostClientsError> {
    match source {
        SecretSource::File(path) => {
            let document = std::fs::read(path);
            let document = document.map_err(|error| HostClientsError::File(path.clone(), error))?;
            Ok(OAuthClients::parse(&document)?)
        }
        SecretSource::Secret(name) => {
            let document = current_version(name, VARIABLE, client, now).await?;
            Ok(OAuthClients::parse(document.expose().as_bytes())?)
        }
    }
}
