//! The signing key: which one signs now, read on first need and again as its time runs out.

mod file;
mod published;
mod versions;

use core::time::Duration;
use std::sync::{Arc, PoisonError, RwLock};

use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_aws::error::CallError;
use portcullis_core::id::Id;
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::keys::rotation::{SignWith, sign_with};
use portcullis_core::time::UnixTime;
use portcullis_jwt::{SigningKey, SigningKeyError};
use portcullis_service::ports::Signer as _;
use portcullis_service::store::{KeyStore, StoreError, Written};
use thiserror::Error;
use tokio::sync::Mutex;
use tracing::{error, info, warn};

use crate::config::{DYNAMODB_ENDPOINT, KeySource, RotationConfig};
use crate::failure::Chain;
use crate::host::AwsClient;
pub use crate::keys::file::KeyFileError;
pub use crate::keys::published::{PublishedKeys, PublishedSet};
use crate::keys::versions::Versions;
use crate::problem::Problem;

/// How often a publication gives way to another host's before it is given up.
const PUBLICATIONS: usize = 8;

/// How long a secret that could not be read keeps the next reading waiting.
const RETRY: Duration = Duration::from_secs(10);

/// The signing keys of this host: the version in force and the one before it, and the rule which
/// of them signs. What is put right in the store or in Secrets Manager is taken up without a
/// restart.
#[derive(Debug)]
pub struct SigningKeys {
    source: KeySource,
    /// How long the tokens live that are signed.
    lifetime: Duration,
    /// How long the versions are relied on before they are read again.
    cache: Duration,
    held: RwLock<Option<Held>>,
    reading: Mutex<()>,
}

/// The versions as they were last read.
#[derive(Clone, Debug)]
struct Held {
    versions: Versions,
    read_at: UnixTime,
    tried_at: UnixTime,
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
    /// Neither version of the secret signs now: not published by a rotation, withdrawn, or ended.
    #[error("the key document lets neither version of the signing key sign now")]
    NoneSigns,
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
            | KeyError::NoneSigns
            | KeyError::Contended => Self::KeyUnavailable,
        }
    }
}

impl SigningKeys {
    /// The keys that `source` holds, by the times of `rotation`; nothing is read yet.
    pub fn new(source: KeySource, rotation: &RotationConfig) -> Self {
        Self {
            source,
            lifetime: rotation.bounds.token_lifetime,
            cache: rotation.secret_cache,
            held: RwLock::default(),
            reading: Mutex::default(),
        }
    }

    /// Where they are kept.
    pub const fn source(&self) -> &KeySource {
        &self.source
    }

    /// The key to sign with at `now`, by what the key document of `published` says.
    ///
    /// # Errors
    ///
    /// [`KeyError`]; the next call tries again.
    pub async fn ready(
        &self,
        published: &PublishedKeys,
        client: &AwsClient,
        now: UnixTime,
        request_id: &Id,
    ) -> Result<Arc<SigningKey>, KeyError> {
        let store = DynamoStore::at(client, now);
        let mut document = published.document(&store, now).await?;
        let held = self.held();
        let usable = held
            .as_ref()
            .and_then(|held| self.choose(&held.versions, &document, now));
        let is_due = held
            .as_ref()
            .is_none_or(|held| now.since(held.read_at) >= self.cache);
        let tried = held
            .as_ref()
            .is_some_and(|held| now.since(held.tried_at) < RETRY);
        if let Some(key) = usable.as_ref().filter(|_| !is_due || tried) {
            return Ok(Arc::clone(key));
        }
        // One reads; whoever has a key meanwhile does not wait for that.
        let reading = match (&usable, self.reading.try_lock()) {
            (_, Ok(reading)) => reading,
            (Some(key), Err(_)) => return Ok(Arc::clone(key)),
            (None, Err(_)) => self.reading.lock().await,
        };
        let held = self.held();
        let fresh = held.as_ref().filter(|held| held.read_at == now);
        let versions = match fresh {
            Some(held) => held.versions.clone(),
            None => {
                self.read(held.as_ref(), usable.is_some(), client, now)
                    .await?
            }
        };
        if self.must_publish(&versions, &document) {
            publish(&versions.current, &store, now, request_id).await?;
            document = published.read(&store, now).await?;
        }
        if let Some(key) = self.choose(&versions, &document, now) {
            return Ok(key);
        }
        drop(reading);
        // What was published or withdrawn a moment ago.
        let document = published.read(&store, now).await?;
        self.choose(&versions, &document, now)
            .ok_or(KeyError::NoneSigns)
    }

    /// The versions as they are now; where they cannot be read but one of them still signs, as
    /// they were.
    async fn read(
        &self,
        held: Option<&Held>,
        usable: bool,
        client: &AwsClient,
        now: UnixTime,
    ) -> Result<Versions, KeyError> {
        let known = held.map(|held| &held.versions);
        let (versions, read_at) = match Versions::read(&self.source, known, client, now).await {
            Ok(versions) => (versions, now),
            Err(error) => match held.filter(|_| usable) {
                Some(held) => {
                    warn!(error = %Chain(&error), "the signing secret as last read has to do");
                    (held.versions.clone(), held.read_at)
                }
                None => return Err(error),
            },
        };
        let held = Held {
            versions: versions.clone(),
            read_at,
            tried_at: now,
        };
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
        Ok(versions)
    }

    /// Whether a host may publish its key by itself: the first ever, and that of its own file. All
    /// others come by a rotation.
    fn must_publish(&self, versions: &Versions, document: &KeyDocument) -> bool {
        let is_new = versions
            .current_id()
            .is_none_or(|id| document.find(id).is_none());
        let may = match self.source {
            KeySource::File(_) => true,
            KeySource::Secret(_) => document.version() == 0,
        };
        is_new && may
    }

    fn choose(
        &self,
        versions: &Versions,
        document: &KeyDocument,
        now: UnixTime,
    ) -> Option<Arc<SigningKey>> {
        let (current, previous) = (versions.current_id(), versions.previous_id());
        match sign_with(document, current, previous, self.lifetime, now) {
            SignWith::Current => Some(Arc::clone(&versions.current)),
            SignWith::Previous => versions.previous.clone(),
            SignWith::Neither => None,
        }
    }

    fn held(&self) -> Option<Held> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.clone()
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
        if document.is_withdrawn(id) {
            return Err(KeyError::Retired);
        }
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
