//! The private keys of this host: the versions of a secret, or one key in a file.

mod file;

use std::sync::Arc;

use portcullis_aws::error::CallError;
use portcullis_aws::secrets_manager::{self, SecretsManager};
use portcullis_core::audit::{AuditEvent, AuditKind};
use portcullis_core::id::Id;
use portcullis_core::root_keys::Purpose;
use portcullis_core::time::UnixTime;
use portcullis_jwt::{SigningKey, SigningKeyError};
use portcullis_service::ports::{NoEntropy, SecureRandom as _, Signer as _};
use portcullis_service::rotate::ports::Stage;
use portcullis_service::signing::{SigningError, SigningEvent, SigningKeySource, Version};
use thiserror::Error;
use tracing::{info, warn};

use crate::error_chain::ErrorChain;
pub use crate::keys::file::KeyFileError;
use crate::random::SystemRandom;
use crate::root_keys::{HostRootKeysError, RootKeyCache};
use crate::secret_source::SecretSource;
use crate::settings::PORTCULLIS_DYNAMODB_ENDPOINT;
use crate::transport::AwsClient;

/// The actor in the audit trail when a host publishes its key.
const ACTOR: &str = "host";

/// A version yields no key. Never quotes one.
#[derive(Debug, Error)]
pub enum SigningKeySourceError {
    /// The file cannot be read, created or parsed.
    #[error("PORTCULLIS_SIGNING_KEY_FILE")]
    File(#[source] KeyFileError),
    /// Secrets Manager returns no secret.
    #[error("PORTCULLIS_SIGNING_SECRET cannot be read")]
    Secret(#[source] CallError),
    /// The secret contains no signing key.
    #[error("PORTCULLIS_SIGNING_SECRET")]
    Key(#[source] SigningKeyError),
    /// The root keys, which authenticate audit entries, are unavailable.
    #[error("the host's root keys are unavailable")]
    RootKeys(#[source] HostRootKeysError),
    /// The platform gave no random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

/// No key to sign with is available.
pub type KeyError = SigningError<SigningKeySourceError>;

/// The variable that an operator checks first.
pub const fn setting(error: &KeyError) -> &'static str {
    match error {
        KeyError::Document(_) | KeyError::Publication(_) => PORTCULLIS_DYNAMODB_ENDPOINT,
        KeyError::Outlived => "PORTCULLIS_ACCESS_LIFETIME",
        KeyError::SigningKeySource(SigningKeySourceError::File(_)) => "PORTCULLIS_SIGNING_KEY_FILE",
        KeyError::SigningKeySource(
            SigningKeySourceError::RootKeys(_) | SigningKeySourceError::Entropy(_),
        ) => "PORTCULLIS_HOST_SECRET",
        KeyError::SigningKeySource(
            SigningKeySourceError::Secret(_) | SigningKeySourceError::Key(_),
        )
        | KeyError::NoCurrent
        | KeyError::Unpublishable
        | KeyError::Retired
        | KeyError::NoneSigns
        | KeyError::Contended => "PORTCULLIS_SIGNING_SECRET",
    }
}

/// The keys as one request accesses them.
#[derive(Debug)]
pub struct HostSigningKeys<'a> {
    /// The source of the private keys.
    pub source: &'a SecretSource,
    /// The client that reads the secret.
    pub client: &'a AwsClient,
    /// The root keys, which authenticate audit entries.
    pub root_keys: &'a RootKeyCache,
    /// The time of the request.
    pub now: UnixTime,
    /// The identifier of the request.
    pub request_id: &'a Id,
}

impl SigningKeySource for HostSigningKeys<'_> {
    type Key = SigningKey;
    type Error = SigningKeySourceError;

    async fn version(
        &self,
        stage: Stage,
    ) -> Result<Option<Version<SigningKey, SigningKeySourceError>>, SigningKeySourceError> {
        let name = match (self.source, stage) {
            (SecretSource::Secret(name), _) => name,
            (SecretSource::File(path), Stage::Current) => {
                let key = file::load_or_make(path).map_err(SigningKeySourceError::File)?;
                return Ok(Some(Version {
                    // The file may later contain another key.
                    id: key.key().id().unwrap_or_default().to_owned(),
                    key: Ok(Arc::new(key)),
                }));
            }
            (SecretSource::File(_), Stage::Previous | Stage::Pending) => return Ok(None),
        };
        let manager = SecretsManager::at(self.client, self.now);
        let found = manager
            .value(name, secrets_manager::Version::Stage(stage))
            .await;
        let found = found.map_err(SigningKeySourceError::Secret)?;
        Ok(found.map(|version| {
            let key = SigningKey::from_jwk(&version.value);
            Version {
                id: version.id,
                key: key.map(Arc::new).map_err(SigningKeySourceError::Key),
            }
        }))
    }

    fn is_sole_holder(&self) -> bool {
        match self.source {
            SecretSource::File(_) => true,
            SecretSource::Secret(_) => false,
        }
    }

    async fn event(&self, kind: AuditKind) -> Result<AuditEvent, SigningKeySourceError> {
        let root_keys = self.root_keys.open(self.client, self.now).await;
        let root_keys = root_keys.map_err(SigningKeySourceError::RootKeys)?;
        Ok(AuditEvent {
            id: SystemRandom.id()?,
            at: self.now,
            kind,
            user_id: None,
            session_id: None,
            client_address: ACTOR.to_owned(),
            request_id: self.request_id.clone(),
            sealer: root_keys.sealer(Purpose::Audit),
        })
    }

    fn on_event(&self, notice: SigningEvent<'_, SigningKeySourceError>) {
        match notice {
            SigningEvent::Published { key_id, version } => {
                info!(key_id, version, "published the signing key");
            }
            SigningEvent::NoKey(stage, error) => {
                warn!(error = %ErrorChain(error), ?stage, "a version of the signing secret is unusable");
            }
            SigningEvent::LastVersions(error) => {
                warn!(error = %ErrorChain(error), "the signing secret is unavailable; the host uses the last version it read");
            }
            SigningEvent::LastDocument(error) => {
                warn!(error = %ErrorChain(error), "the key document is unavailable; the host uses the last one it read");
            }
        }
    }
}
