//! The two versions of the signing key that a host may sign with.

use std::sync::Arc;

use portcullis_aws::secrets_manager::{SecretVersion, SecretsManager, Stage, Version};
use portcullis_core::time::UnixTime;
use portcullis_jwt::SigningKey;
use portcullis_service::ports::Signer as _;
use tracing::warn;

use crate::config::KeySource;
use crate::failure::Chain;
use crate::host::AwsClient;
use crate::keys::{KeyError, file};

/// The version in force and the one before it. INVARIANT: never more than these two.
#[derive(Clone, Debug)]
pub(super) struct Versions {
    /// Of an id that changes whenever another version is put in force.
    version_id: String,
    pub(super) current: Arc<SigningKey>,
    pub(super) previous: Option<Arc<SigningKey>>,
}

impl Versions {
    /// Reads them; where `held` is still in force, nothing more than that is asked.
    pub(super) async fn read(
        source: &KeySource,
        held: Option<&Self>,
        client: &AwsClient,
        now: UnixTime,
    ) -> Result<Self, KeyError> {
        let name = match source {
            KeySource::File(path) => {
                return Ok(Self {
                    version_id: String::new(),
                    current: Arc::new(file::load_or_make(path).map_err(KeyError::File)?),
                    previous: None,
                });
            }
            KeySource::Secret(name) => name,
        };
        let manager = SecretsManager::at(client, now);
        let version = async |stage| {
            let found = manager.value(name, Version::Stage(stage)).await;
            found.map_err(KeyError::Secret)
        };
        let current = version(Stage::Current).await?.ok_or(KeyError::NoSecret)?;
        if let Some(held) = held.filter(|held| held.version_id == current.id) {
            return Ok(held.clone());
        }
        let previous = version(Stage::Previous).await?;
        let previous = previous.and_then(|version| {
            let key = key(&version);
            key.inspect_err(|error| warn!(error = %Chain(error), "AWSPREVIOUS is not used"))
                .ok()
        });
        match (key(&current), previous) {
            (Ok(key), previous) => Ok(Self {
                version_id: current.id,
                current: key,
                previous,
            }),
            // SECURITY: a version that cannot be read locks nobody out while the one before signs.
            (Err(error), Some(previous)) => {
                warn!(error = %Chain(&error), "AWSCURRENT is not used");
                Ok(Self {
                    version_id: current.id,
                    current: previous,
                    previous: None,
                })
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The name of the key in force.
    pub(super) fn current_id(&self) -> Option<&str> {
        self.current.key().id()
    }

    /// The name of the key before it.
    pub(super) fn previous_id(&self) -> Option<&str> {
        self.previous.as_ref()?.key().id()
    }
}

fn key(version: &SecretVersion) -> Result<Arc<SigningKey>, KeyError> {
    let key = SigningKey::from_jwk(&version.value);
    key.map(Arc::new).map_err(KeyError::Key)
}
