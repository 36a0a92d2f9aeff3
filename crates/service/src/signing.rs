//! Which key a host signs with: the version of the secret in force and the one before it, by what
//! the key document says, read on first need and again as their time runs out.
//!
//! INVARIANT: never more than these two versions. What is put right in the store or in the secret is
//! taken up without a restart.

mod error;
pub mod jwks_cache;
mod key_source;

use core::time::Duration;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::lock::Mutex;
use portcullis_core::audit::{AuditKind, KeyAct};
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::keys::rotation::{SignWith, sign_with};
use portcullis_core::time::UnixTime;

use crate::ports::Signer;
use crate::rotate::ports::{KeyChangeStore, Stage};
pub use crate::signing::error::SigningError;
use crate::signing::jwks_cache::JwksCache;
pub use crate::signing::key_source::{SigningEvent, SigningKeySource, Version};
use crate::store::WriteOutcome;

/// How often a publication gives way to another host's before it is given up.
const MAX_ATTEMPTS: usize = 8;

/// How long a secret that could not be read keeps the next reading waiting.
pub const RETRY: Duration = Duration::from_secs(10);

/// The signing keys of a host, and the rule which of them signs.
#[derive(Debug)]
pub struct SigningKeys<K> {
    /// How long the tokens live that are signed.
    lifetime: Duration,
    /// How long the versions are relied on before they are read again.
    cache: Duration,
    held: RwLock<Option<Held<K>>>,
    reading: Mutex<()>,
}

/// The two versions that a host may sign with.
#[derive(Debug)]
struct Versions<K> {
    /// Of an id that changes whenever another version is put in force.
    current_id: String,
    current: Arc<K>,
    previous: Option<Arc<K>>,
}

impl<K> Clone for Versions<K> {
    fn clone(&self) -> Self {
        Self {
            current_id: self.current_id.clone(),
            current: Arc::clone(&self.current),
            previous: self.previous.clone(),
        }
    }
}

/// The versions as they were last read.
#[derive(Debug)]
struct Held<K> {
    versions: Versions<K>,
    read_at: UnixTime,
    tried_at: UnixTime,
}

impl<K: Signer> SigningKeys<K> {
    /// Keys for tokens that live for `lifetime`, whose versions are relied on for `cache`; nothing is
    /// read yet.
    pub fn new(lifetime: Duration, cache: Duration) -> Self {
        Self {
            lifetime,
            cache,
            held: RwLock::default(),
            reading: Mutex::default(),
        }
    }

    /// The key to sign with at `now`, by what the key document says, which `published` keeps.
    ///
    /// # Errors
    ///
    /// [`SigningError`]; the next call tries again.
    pub async fn ready<C: SigningKeySource<Key = K>>(
        &self,
        published: &JwksCache,
        custody: &C,
        documents: &impl KeyChangeStore,
        now: UnixTime,
    ) -> Result<Arc<K>, SigningError<C::Error>> {
        let known = published.known(documents, now).await?;
        if let Some(error) = &known.error {
            custody.on_event(SigningEvent::LastDocument(error));
        }
        let mut document = known.document;
        let (usable, is_due) = self.usable(&document, now);
        if let Some(key) = usable.as_ref().filter(|_| !is_due) {
            return Ok(Arc::clone(key));
        }
        // One reads; whoever has a key meanwhile does not wait for that.
        let reading = match (usable, self.reading.try_lock()) {
            (_, Some(reading)) => reading,
            (Some(key), None) => return Ok(key),
            (None, None) => {
                let reading = self.reading.lock().await;
                if let (Some(key), false) = self.usable(&document, now) {
                    return Ok(key);
                }
                reading
            }
        };
        let versions = match self.read_at(now) {
            Some(versions) => versions,
            None => self.read(custody, &document, now).await?,
        };
        if must_publish(&versions, custody.is_sole_holder(), &document) {
            publish(&*versions.current, custody, documents, now).await?;
            document = published.read(documents, now).await?;
        }
        if let Some(key) = self.choose(&versions, &document, now) {
            return Ok(key);
        }
        drop(reading);
        // What was published or withdrawn a moment ago.
        let document = published.read(documents, now).await?;
        self.choose(&versions, &document, now).ok_or_else(|| {
            let forever = choose(&versions, &document, Duration::ZERO, now).is_some();
            if forever {
                SigningError::Outlived
            } else {
                SigningError::NoneSigns
            }
        })
    }

    /// The key that signs at `now` by what is held, and whether that is to be read again.
    fn usable(&self, document: &KeyDocument, now: UnixTime) -> (Option<Arc<K>>, bool) {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = held.as_ref() else {
            return (None, true);
        };
        let is_due = now.since(held.read_at) >= self.cache;
        let was_tried = now.since(held.tried_at) < RETRY;
        let usable = self.choose(&held.versions, document, now);
        (usable, is_due && !was_tried)
    }

    /// The versions, if they were read in this very second: by whom one waited for.
    fn read_at(&self, now: UnixTime) -> Option<Versions<K>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let fresh = held.as_ref().filter(|held| held.read_at == now);
        fresh.map(|held| held.versions.clone())
    }

    /// The versions as they are now; where they cannot be read but one of them still signs, as
    /// they were.
    async fn read<C: SigningKeySource<Key = K>>(
        &self,
        custody: &C,
        document: &KeyDocument,
        now: UnixTime,
    ) -> Result<Versions<K>, SigningError<C::Error>> {
        let known = {
            let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
            held.as_ref()
                .map(|held| (held.versions.clone(), held.read_at))
        };
        // What does not sign may have been put right behind a version in force that is still the same.
        let known = known.filter(|(versions, _)| self.choose(versions, document, now).is_some());
        let before = known.as_ref().map(|(versions, _)| versions);
        let (versions, read_at) = match (versions(custody, before).await, known) {
            (Ok(versions), _) => (versions, now),
            (Err(error), Some((versions, read_at))) => {
                custody.on_event(SigningEvent::LastVersions(&error));
                (versions, read_at)
            }
            (Err(error), None) => return Err(error),
        };
        let held = Held {
            versions: versions.clone(),
            read_at,
            tried_at: now,
        };
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
        Ok(versions)
    }

    fn choose(
        &self,
        versions: &Versions<K>,
        document: &KeyDocument,
        now: UnixTime,
    ) -> Option<Arc<K>> {
        choose(versions, document, self.lifetime, now)
    }
}

/// Which of `versions` signs at `now` a token that lives for `lifetime`.
fn choose<K: Signer>(
    versions: &Versions<K>,
    document: &KeyDocument,
    lifetime: Duration,
    now: UnixTime,
) -> Option<Arc<K>> {
    let current = versions.current.key().id();
    let previous = versions.previous.as_ref().and_then(|key| key.key().id());
    match sign_with(document, current, previous, lifetime, now) {
        SignWith::Current => Some(Arc::clone(&versions.current)),
        SignWith::Previous => versions.previous.clone(),
        SignWith::Neither => None,
    }
}

/// Reads the two versions; where that of `before` is still in force, nothing more than that is asked.
async fn versions<C: SigningKeySource>(
    custody: &C,
    before: Option<&Versions<C::Key>>,
) -> Result<Versions<C::Key>, SigningError<C::Error>> {
    let version = async |stage| {
        let version = custody.version(stage).await;
        version.map_err(SigningError::SigningKeySource)
    };
    let current = version(Stage::Current)
        .await?
        .ok_or(SigningError::NoCurrent)?;
    if let Some(before) = before.filter(|before| before.current_id == current.id) {
        return Ok(before.clone());
    }
    let previous = version(Stage::Previous).await?.and_then(|version| {
        let unusable =
            |error: &C::Error| custody.on_event(SigningEvent::NoKey(Stage::Previous, error));
        version.key.inspect_err(unusable).ok()
    });
    let (key, previous) = match (current.key, previous) {
        (Ok(key), previous) => (key, previous),
        // SECURITY: a version that cannot be read locks nobody out while the one before signs.
        (Err(error), Some(previous)) => {
            custody.on_event(SigningEvent::NoKey(Stage::Current, &error));
            (previous, None)
        }
        (Err(error), None) => return Err(SigningError::SigningKeySource(error)),
    };
    Ok(Versions {
        current_id: current.id,
        current: key,
        previous,
    })
}

/// Whether a host may publish its key by itself: the first ever, and one that it alone has. All others
/// come by a rotation.
fn must_publish<K: Signer>(
    versions: &Versions<K>,
    is_sole_holder: bool,
    document: &KeyDocument,
) -> bool {
    let id = versions.current.key().id();
    let is_new = id.is_none_or(|id| document.find(id).is_none());
    is_new && (is_sole_holder || document.version() == 0)
}

/// Puts the public half of `key` into the key document, if it is not there yet. Hosts that start
/// together write one after the other: each writes the version after the one it read.
async fn publish<C: SigningKeySource>(
    key: &C::Key,
    custody: &C,
    documents: &impl KeyChangeStore,
    now: UnixTime,
) -> Result<(), SigningError<C::Error>> {
    let public = key.key();
    let id = public.id().ok_or(SigningError::Unpublishable)?;
    for _ in 0..MAX_ATTEMPTS {
        let document = documents.key_document().await?;
        if document.is_withdrawn(id) {
            return Err(SigningError::Retired);
        }
        if let Some(published) = document.find(id) {
            return if published.verifies(now) {
                Ok(())
            } else {
                Err(SigningError::Retired)
            };
        }
        let before = document.version();
        let document = document.with_own(public.clone(), now);
        if document.version() == before {
            return Err(SigningError::Unpublishable);
        }
        let event = custody.event(AuditKind::KeysChanged(KeyAct::Publish));
        let event = event.await.map_err(SigningError::SigningKeySource)?;
        let written = documents.change_keys(&document, None, &event).await;
        if written.map_err(SigningError::Publication)? == WriteOutcome::Applied {
            custody.on_event(SigningEvent::Published {
                key_id: id,
                version: document.version(),
            });
            return Ok(());
        }
    }
    Err(SigningError::Contended)
}

#[cfg(test)]
mod tests;
