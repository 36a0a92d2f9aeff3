//! The confidential clients of this host, read from Secrets Manager or a file on first use and again
//! after the cache time of secrets.

use core::time::Duration;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_core::client::{OAuthClients, OAuthClientsError};
use portcullis_core::time::UnixTime;
use portcullis_service::signing::RETRY;
use thiserror::Error;
use tokio::sync::Mutex;
use tracing::error;

use crate::error_chain::ErrorChain;
use crate::regular_file;
use crate::secret_source::{SecretError, SecretSource, current_version};
use crate::transport::AwsClient;

const VARIABLE: &str = "PORTCULLIS_CLIENTS_SECRET";

/// The maximum size of the file in bytes. The longest list needs a tenth of it.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The clients that the operator configured.
#[derive(Debug)]
pub struct HostClients {
    source: Option<SecretSource>,
    /// The cache time of the list.
    cache: Duration,
    // Held while one call reads; the others wait for its result.
    cached: Mutex<Option<CachedClients>>,
}

/// The clients as last read.
#[derive(Debug)]
struct CachedClients {
    clients: Arc<OAuthClients>,
    read_at: UnixTime,
    tried_at: UnixTime,
}

/// The clients cannot be loaded. Never quotes their document.
#[derive(Debug, Error)]
pub enum HostClientsError {
    /// The file cannot be read.
    #[error("PORTCULLIS_CLIENTS_FILE names {} and it cannot be read", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// Secrets Manager returned no current version.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The document is no valid list of clients.
    #[error("the clients cannot be used")]
    Clients(#[from] OAuthClientsError),
}

impl HostClients {
    /// The clients in `source`, or none; the list is cached for `cache`. Nothing is read yet.
    pub const fn new(source: Option<SecretSource>, cache: Duration) -> Self {
        Self {
            source,
            cache,
            cached: Mutex::const_new(None),
        }
    }

    /// The clients as they were at most the cache time before `now`.
    ///
    /// If the list cannot be read again or is invalid, the last valid one stays in use. The failure
    /// is logged, and the next read is after [`RETRY`].
    ///
    /// # Errors
    ///
    /// [`HostClientsError`] while there is no valid list; the next call retries.
    // SECURITY: no call uses a list beyond its cache time while another call reads. A removed
    // client is refused from that second on.
    pub async fn known(
        &self,
        client: &AwsClient,
        now: UnixTime,
    ) -> Result<Arc<OAuthClients>, HostClientsError> {
        let Some(source) = &self.source else {
            return Ok(Arc::default());
        };
        let mut cached = self.cached.lock().await;
        if let Some(current) = cached.as_ref().filter(|it| !it.is_due(self.cache, now)) {
            return Ok(Arc::clone(&current.clients));
        }
        match (load(source, client, now).await, cached.as_mut()) {
            (Ok(clients), _) => {
                let clients = Arc::new(clients);
                *cached = Some(CachedClients {
                    clients: Arc::clone(&clients),
                    read_at: now,
                    tried_at: now,
                });
                Ok(clients)
            }
            (Err(error), Some(last)) => {
                error!(
                    error = %ErrorChain(&error),
                    "the clients cannot be read again; the last valid list stays in use"
                );
                last.tried_at = now;
                Ok(Arc::clone(&last.clients))
            }
            (Err(error), None) => Err(error),
        }
    }
}

impl CachedClients {
    /// Whether the list must be read again at `now`. A clock that was set back makes it due: its age
    /// is unknown then. A request that began some seconds before the read does not.
    fn is_due(&self, cache: Duration, now: UnixTime) -> bool {
        let has_passed =
            |since: UnixTime, span| now.since(since) >= span || since.since(now) >= RETRY;
        has_passed(self.read_at, cache) && has_passed(self.tried_at, RETRY.min(cache))
    }
}

async fn load(
    source: &SecretSource,
    client: &AwsClient,
    now: UnixTime,
) -> Result<OAuthClients, HostClientsError> {
    match source {
        SecretSource::File(path) => {
            let document = read(path);
            let document = document.map_err(|error| HostClientsError::File(path.clone(), error))?;
            Ok(OAuthClients::parse(&document)?)
        }
        SecretSource::Secret(name) => {
            let document = current_version(name, VARIABLE, client, now).await?;
            Ok(OAuthClients::parse(document.expose().as_bytes())?)
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut document = Vec::new();
    let file = regular_file::open(path)?;
    file.take(MAX_FILE_BYTES.saturating_add(1))
        .read_to_end(&mut document)?;
    if u64::try_from(document.len()).is_ok_and(|length| length <= MAX_FILE_BYTES) {
        Ok(document)
    } else {
        Err(io::Error::from(io::ErrorKind::FileTooLarge))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CACHE: Duration = Duration::from_secs(300);
    const NOON: UnixTime = UnixTime::from_secs(43_200);

    fn cached(read_at: UnixTime, tried_at: UnixTime) -> CachedClients {
        CachedClients {
            clients: Arc::default(),
            read_at,
            tried_at,
        }
    }

    #[test]
    fn a_client_list_is_due_from_the_second_in_which_its_cache_time_ends() {
        let fresh = cached(NOON, NOON);
        let after = |seconds| NOON.plus(Duration::from_secs(seconds));
        assert!(!fresh.is_due(CACHE, NOON));
        assert!(!fresh.is_due(CACHE, after(299)));
        assert!(fresh.is_due(CACHE, after(300)));
        let one = Duration::from_secs(1);
        assert!(!fresh.is_due(one, NOON));
        assert!(fresh.is_due(one, after(1)));
    }

    #[test]
    fn a_failed_read_of_the_client_list_is_retried_after_ten_seconds() {
        let after = |seconds| NOON.plus(Duration::from_secs(seconds));
        let failed = cached(NOON, after(300));
        assert!(!failed.is_due(CACHE, after(300)));
        assert!(!failed.is_due(CACHE, after(309)));
        assert!(failed.is_due(CACHE, after(310)));
    }

    #[test]
    fn a_clock_set_back_makes_the_client_list_due() {
        let fresh = cached(NOON, NOON);
        assert!(fresh.is_due(CACHE, NOON.minus(Duration::from_secs(10))));
        let waited = NOON.minus(Duration::from_secs(9));
        assert!(!fresh.is_due(CACHE, waited), "a request that waited");
    }
}
