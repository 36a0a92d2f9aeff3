//! The signing key: loaded on first need, and published before it signs.

mod file;
mod published;

use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_aws::error::CallError;
use portcullis_aws::secrets_manager::{SecretsManager, Stage, Version};
use portcullis_aws::transport::Transport;
use portcullis_core::id::Id;
use portcullis_core::time::UnixTime;
use portcullis_jwt::{SigningKey, SigningKeyError};
use portcullis_service::ports::Signer as _;
use portcullis_service::store::{KeyStore, StoreError, Written};
use thiserror::Error;
use tokio::sync::OnceCell;
use tracing::{error, info};

use crate::config::{DYNAMODB_ENDPOINT, KeySource};
use crate::failure::Chain;
use crate::host::AwsClient;
pub use crate::keys::file::KeyFileError;
pub use crate::keys::published::{JWKS_MAX_AGE, PublishedKeys, PublishedSet};
use crate::problem::Problem;

/// How often a publication gives way to another host's before it is given up.
const PUBLICATIONS: usize = 8;

/// The signing key of this host.
#[derive(Debug)]
pub struct SigningKeys {
    source: KeySource,
    // Loading and publishing are one step: for as long as either fails, the next need begins
    // anew, so that a key that was put right is taken up without a restart.
    ready: OnceCell<SigningKey>,
}

/// There is no key to sign with. Never quotes one.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read, made, or understood.
    #[error("PORTCULLIS_SIGNING_KEY_FILE")]
    File(#[source] KeyFileError),
    /// Secrets Manager does not give the secret.
    #[error("PORTCULLIS_SIGNING_SECRET cannot be read")]
    Secret(#[source] CallError),
    /// Secrets Manager knows no such secret, or no version in force.
    #[error("PORTCULLIS_SIGNING_SECRET names a secret without a current version")]
    NoSecret,
    /// The secret holds no signing key.
    #[error("PORTCULLIS_SIGNING_SECRET")]
    Key(#[source] SigningKeyError),
    /// The key cannot be verified by anyone else: it is a shared secret.
    #[error("the signing key is a shared secret, which cannot be published")]
    Unpublishable,
    /// The document says that the key's time is over.
    #[error("the signing key has been retired in the key document")]
    Retired,
    /// Other hosts kept changing the document.
    #[error("the key document kept changing while the signing key was published")]
    Contended,
    /// The store holds up the publication.
    #[error("the signing key could not be published ({DYNAMODB_ENDPOINT})")]
    Store(#[from] StoreError),
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        error!(error = %Chain(&error), "there is no key to sign with");
        match error {
            KeyError::Store(_) => Self::StoreUnavailable,
            KeyError::File(_)
            | KeyError::Secret(_)
            | KeyError::NoSecret
            | KeyError::Key(_)
            | KeyError::Unpublishable
            | KeyError::Retired
            | KeyError::Contended => Self::KeyUnavailable,
        }
    }
}

impl SigningKeys {
    /// The key that `source` holds; nothing is read yet.
    pub const fn new(source: KeySource) -> Self {
        Self {
            source,
            ready: OnceCell::const_new(),
        }
    }

    /// The key, once everybody who reads the key document can verify with it.
    ///
    /// # Errors
    ///
    /// [`KeyError`]; the next call tries again.
    pub async fn ready(
        &self,
        client: &AwsClient,
        now: UnixTime,
        request_id: &Id,
    ) -> Result<&SigningKey, KeyError> {
        let store = DynamoStore::at(client, now);
        self.ready
            .get_or_try_init(async || {
                let key = load(&self.source, client, now).await?;
                // INVARIANT: a key is published before it signs.
                publish(&key, &store, now, request_id).await?;
                Ok(key)
            })
            .await
    }
}

async fn load<T: Transport>(
    source: &KeySource,
    client: &portcullis_aws::client::Client<T>,
    now: UnixTime,
) -> Result<SigningKey, KeyError> {
    match source {
        KeySource::File(path) => file::load_or_make(path).map_err(KeyError::File),
        KeySource::Secret(name) => {
            let version = SecretsManager::at(client, now)
                .value(name, Version::Stage(Stage::Current))
                .await
                .map_err(KeyError::Secret)?;
            let version = version.ok_or(KeyError::NoSecret)?;
            SigningKey::from_jwk(&version.value).map_err(KeyError::Key)
        }
    }
}

/// Puts the public half of `key` into the key document, if it is not there yet. Hosts that start
/// together write one after the other: each writes the version after the one it read.
async fn publish(
    key: &SigningKey,
    store: &impl KeyStore,
    now: UnixTime,
    request_id: &Id,
) -> Result<(), KeyError> {
    let public = key.key();
    let id = public.id().ok_or(KeyError::Unpublishable)?;
    for _ in 0..PUBLICATIONS {
        let document = store.key_document().await?;
        if let Some(published) = document.find(id) {
            return if published.verifies(now) {
                Ok(())
            } else {
                Err(KeyError::Retired)
            };
        }
        let document = document.with(public.clone(), now);
        if store.publish(&document, request_id).await? == Written::Done {
            info!(
                key_id = id,
                version = document.version(),
                "published the signing key"
            );
            return Ok(());
        }
    }
    Err(KeyError::Contended)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use portcullis_core::keys::document::KeyDocument;
    use portcullis_core::token::algorithm::Algorithm;

    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_764_000_000);

    /// A document that others write `rivals` times just before us.
    #[derive(Default)]
    struct Contended {
        document: Mutex<KeyDocument>,
        rivals: Mutex<usize>,
    }

    impl KeyStore for Contended {
        async fn key_document(&self) -> Result<KeyDocument, StoreError> {
            Ok(self.document.lock().expect("whole").clone())
        }

        async fn publish(&self, next: &KeyDocument, _: &Id) -> Result<Written, StoreError> {
            let mut held = self.document.lock().expect("whole");
            let mut rivals = self.rivals.lock().expect("whole");
            if *rivals > 0 {
                *rivals = rivals.saturating_sub(1);
                *held = held.clone().with(key().key().clone(), NOON);
            }
            if next.version().checked_sub(1) != Some(held.version()) {
                return Ok(Written::Conflict);
            }
            *held = next.clone();
            Ok(Written::Done)
        }
    }

    fn key() -> SigningKey {
        SigningKey::generate(Algorithm::EdDsa).expect("entropy")
    }

    #[tokio::test]
    async fn a_publication_gives_way_and_loses_nobodys_key() {
        let store = Contended {
            rivals: Mutex::new(3),
            ..Contended::default()
        };
        let (ours, id) = (key(), Id::from_random([1; 16]));
        publish(&ours, &store, NOON, &id)
            .await
            .expect("published at last");
        publish(&ours, &store, NOON, &id)
            .await
            .expect("found published");
        let document = store.document.lock().expect("whole");
        assert_eq!((document.keys().len(), document.version()), (4, 4));
        assert!(document.find(ours.key().id().expect("named")).is_some());
    }

    #[tokio::test]
    async fn a_publication_that_never_gets_its_turn_says_so() {
        let store = Contended {
            rivals: Mutex::new(usize::MAX),
            ..Contended::default()
        };
        let end = publish(&key(), &store, NOON, &Id::from_random([1; 16])).await;
        assert!(matches!(end, Err(KeyError::Contended)));
    }

    #[tokio::test]
    async fn a_shared_secret_and_a_retired_key_never_sign() {
        let (store, id) = (Contended::default(), Id::from_random([1; 16]));
        let shared = SigningKey::generate(Algorithm::Hs256).expect("entropy");
        let end = publish(&shared, &store, NOON, &id).await;
        assert!(matches!(end, Err(KeyError::Unpublishable)));

        let ours = key();
        let (jwk, end) = (ours.key().to_jwk().expect("public"), NOON.as_secs());
        let json =
            format!(r#"{{"version":1,"keys":[{{"jwk":{jwk},"sign_from":0,"ends_at":{end}}}]}}"#);
        *store.document.lock().expect("whole") =
            KeyDocument::parse(json.as_bytes()).expect("a document");
        let end = publish(&ours, &store, NOON, &id).await;
        assert!(matches!(end, Err(KeyError::Retired)));
    }
}
