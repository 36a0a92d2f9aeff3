//! The private keys of this host: the versions of a secret, or one key in a file.

mod file;
mod secret;

use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_jwt::{JwkKeyFactory, SigningKeyError};
use portcullis_service::context::ServiceContext;
use portcullis_service::ports::RequestMeta;
use portcullis_service::settings::Settings;
use portcullis_service::signing::{SigningError, SigningEvent, SigningPorts};
use thiserror::Error;
use tracing::{info, warn};

use crate::error_chain::ErrorChain;
pub use crate::keys::file::KeyFileError;
pub use crate::keys::secret::{HostSecret, HostSecretError};
use crate::random::SystemRandom;
use crate::root_keys::{HostRootKeysError, RootKeyCache};
use crate::settings::PORTCULLIS_DYNAMODB_ENDPOINT;
use crate::transport::{AwsClient, HyperTransport};

/// The actor in the audit trail when a host publishes its key.
pub(crate) const ACTOR: &str = "host";

/// A version yields no key, or the key cannot be published. Never quotes a key.
#[derive(Debug, Error)]
pub enum HostSigningError {
    /// The secret cannot be read.
    #[error(transparent)]
    Secret(#[from] HostSecretError),
    /// The secret contains no signing key.
    #[error("PORTCULLIS_SIGNING_SECRET")]
    Key(#[from] SigningKeyError),
    /// The root keys, which authenticate audit entries, are unavailable.
    #[error("the host's root keys are unavailable")]
    RootKeys(#[source] HostRootKeysError),
}

/// No key to sign with is available.
pub type KeyError = SigningError<HostSigningError>;

/// The variable that an operator checks first.
pub const fn setting(error: &KeyError) -> &'static str {
    match error {
        KeyError::Document(_) | KeyError::Publication(_) => PORTCULLIS_DYNAMODB_ENDPOINT,
        KeyError::Outlived => "PORTCULLIS_ACCESS_LIFETIME",
        KeyError::Port(HostSigningError::Secret(HostSecretError::File(_))) => {
            "PORTCULLIS_SIGNING_KEY_FILE"
        }
        KeyError::Port(HostSigningError::RootKeys(_)) | KeyError::Entropy(_) => {
            "PORTCULLIS_HOST_SECRET"
        }
        KeyError::Port(
            HostSigningError::Secret(HostSecretError::Secret(_)) | HostSigningError::Key(_),
        )
        | KeyError::NoCurrent
        | KeyError::Unpublishable
        | KeyError::Retired
        | KeyError::NoneSigns
        | KeyError::Contended => "PORTCULLIS_SIGNING_SECRET",
    }
}

/// The ports of this host for one request.
#[derive(Debug)]
pub struct HostSigning<'a> {
    /// The versions of the secret.
    pub secret: HostSecret<'a>,
    /// The store of the key document.
    pub store: DynamoStore<'a, HyperTransport>,
    /// The client that reads the root keys.
    pub client: &'a AwsClient,
    /// The root keys, which authenticate audit entries.
    pub root_keys: &'a RootKeyCache,
    /// The operator's settings.
    pub settings: &'a Settings,
    /// The request, with this host as its actor.
    pub call: RequestMeta,
}

impl<'a> SigningPorts for HostSigning<'a> {
    type Secret = HostSecret<'a>;
    type Factory = JwkKeyFactory;
    type Store = DynamoStore<'a, HyperTransport>;
    type Random = SystemRandom;
    type Error = HostSigningError;

    fn secret(&self) -> &HostSecret<'a> {
        &self.secret
    }

    fn factory(&self) -> &JwkKeyFactory {
        &JwkKeyFactory
    }

    fn store(&self) -> &DynamoStore<'a, HyperTransport> {
        &self.store
    }

    async fn context(
        &self,
    ) -> Result<ServiceContext<'_, DynamoStore<'a, HyperTransport>, SystemRandom>, HostSigningError>
    {
        let root_keys = self.root_keys.open(self.client, self.call.now).await;
        Ok(ServiceContext {
            store: &self.store,
            random: &SystemRandom,
            root_keys: root_keys.map_err(HostSigningError::RootKeys)?,
            settings: self.settings,
            call: &self.call,
        })
    }

    fn is_sole_holder(&self) -> bool {
        match self.secret {
            HostSecret::File(_) => true,
            HostSecret::Secret(_) => false,
        }
    }

    fn on_event(&self, notice: SigningEvent<'_, HostSigningError>) {
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
