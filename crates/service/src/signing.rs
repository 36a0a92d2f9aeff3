//! Chooses the key a host signs with: the key document selects the current or the previous version
//! of the secret. Both are read on first use and again after their cache time.
//!
//! INVARIANT: never more than these two versions. A repair of the store or the secret takes effect
//! without a restart.

mod error;
pub mod jwks_cache;
pub mod key_factory;
mod ports;
pub mod secret;

use core::time::Duration;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::lock::Mutex;
use portcullis_core::audit::{AuditKind, KeyAct};
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::keys::rotation::{SignWith, sign_with};
use portcullis_core::time::UnixTime;

use crate::ports::Signer;
pub use crate::signing::error::SigningError;
use crate::signing::jwks_cache::JwksCache;
use crate::signing::key_factory::KeyFactory;
use crate::signing::ports::KeyOf;
pub use crate::signing::ports::{SigningEvent, SigningPorts};
use crate::signing::secret::{SecretStore as _, SecretVersion, Stage, VersionSelector};
use crate::store::{KeyChangeStore as _, KeyStore as _, WriteOutcome};

/// The attempts to publish after concurrent publications of other hosts.
const MAX_ATTEMPTS: usize = 8;

/// The wait after a failed read of the secret before the next read.
pub const RETRY: Duration = Duration::from_secs(10);

/// The signing keys of a host, and the rule for choosing one.
#[derive(Debug)]
pub struct SigningKeys<K> {
    /// The lifetime of the signed tokens.
    lifetime: Duration,
    /// The cache time of the versions.
    cache: Duration,
    cached: RwLock<Option<CachedVersions<K>>>,
    reading: Mutex<()>,
}

/// The two versions that a host may sign with.
#[derive(Debug)]
struct Versions<K> {
    /// Its version id, which changes with every new current version.
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

/// The versions as last read.
#[derive(Debug)]
struct CachedVersions<K> {
    versions: Versions<K>,
    read_at: UnixTime,
    tried_at: UnixTime,
}

impl<K: Signer> SigningKeys<K> {
    /// Keys for tokens with `lifetime`; the versions are cached for `cache`. Nothing is read yet.
    pub fn new(lifetime: Duration, cache: Duration) -> Self {
        Self {
            lifetime,
            cache,
            cached: RwLock::default(),
            reading: Mutex::default(),
        }
    }

    /// The key to sign with at `now`, selected by the key document, which `published` caches.
    ///
    /// # Errors
    ///
    /// [`SigningError`]; the next call retries.
    pub async fn ready<P: SigningPorts<Factory: KeyFactory<Key = K>>>(
        &self,
        published: &JwksCache,
        ports: &P,
        now: UnixTime,
    ) -> Result<Arc<K>, SigningError<P::Error>> {
        let documents = ports.store();
        let known = published.known(documents, now).await?;
        if let Some(error) = &known.error {
            ports.on_event(SigningEvent::LastDocument(error));
        }
        let mut document = known.document;
        let (usable, is_due) = self.usable(&document, now);
        if let Some(key) = usable.as_ref().filter(|_| !is_due) {
            return Ok(Arc::clone(key));
        }
        // One call reads; a call that has a usable key does not wait for it.
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
            None => self.read(ports, &document, now).await?,
        };
        if must_publish(&versions, ports.is_sole_holder(), &document) {
            publish(&*versions.current, ports, now).await?;
            document = published.read(documents, now).await?;
        }
        if let Some(key) = self.choose(&versions, &document, now) {
            return Ok(key);
        }
        drop(reading);
        // Picks up a publication or revocation of the last seconds.
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

    /// The cached key that signs at `now`, and whether the versions are due to be read again.
    fn usable(&self, document: &KeyDocument, now: UnixTime) -> (Option<Arc<K>>, bool) {
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
        let Some(cached) = cached.as_ref() else {
            return (None, true);
        };
        let is_due = now.since(cached.read_at) >= self.cache;
        let was_tried = now.since(cached.tried_at) < RETRY;
        let usable = self.choose(&cached.versions, document, now);
        (usable, is_due && !was_tried)
    }

    /// The versions, if a concurrent call read them in this very second.
    fn read_at(&self, now: UnixTime) -> Option<Versions<K>> {
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
        let fresh = cached.as_ref().filter(|cached| cached.read_at == now);
        fresh.map(|cached| cached.versions.clone())
    }

    /// The current versions. After a failed read the previous result is kept while one of its keys
    /// still signs.
    async fn read<P: SigningPorts<Factory: KeyFactory<Key = K>>>(
        &self,
        ports: &P,
        document: &KeyDocument,
        now: UnixTime,
    ) -> Result<Versions<K>, SigningError<P::Error>> {
        let known = {
            let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
            cached
                .as_ref()
                .map(|cached| (cached.versions.clone(), cached.read_at))
        };
        // Without a signing key the previous version is read again, even if the current version id
        // is unchanged: an operator may have repaired it.
        let known = known.filter(|(versions, _)| self.choose(versions, document, now).is_some());
        let before = known.as_ref().map(|(versions, _)| versions);
        let (versions, read_at) = match (versions(ports, before).await, known) {
            (Ok(versions), _) => (versions, now),
            (Err(error), Some((versions, read_at))) => {
                ports.on_event(SigningEvent::LastVersions(&error));
                (versions, read_at)
            }
            (Err(error), None) => return Err(error),
        };
        let cached = CachedVersions {
            versions: versions.clone(),
            read_at,
            tried_at: now,
        };
        *self.cached.write().unwrap_or_else(PoisonError::into_inner) = Some(cached);
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

/// The key of `versions` that signs at `now` a token with `lifetime`.
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

/// Reads the two versions. If the current version of `before` is unchanged, nothing else is read.
async fn versions<P: SigningPorts>(
    ports: &P,
    before: Option<&Versions<KeyOf<P>>>,
) -> Result<Versions<KeyOf<P>>, SigningError<P::Error>> {
    let version = async |stage| {
        let version = ports.secret().version(VersionSelector::Stage(stage)).await;
        version.map_err(|error| SigningError::Port(error.into()))
    };
    let decode = |version: &SecretVersion| -> Result<_, P::Error> {
        Ok(Arc::new(ports.factory().read(&version.value)?))
    };
    let current = version(Stage::Current)
        .await?
        .ok_or(SigningError::NoCurrent)?;
    if let Some(before) = before.filter(|before| before.current_id == current.id) {
        return Ok(before.clone());
    }
    let previous = version(Stage::Previous).await?.and_then(|version| {
        let unusable =
            |error: &P::Error| ports.on_event(SigningEvent::NoKey(Stage::Previous, error));
        decode(&version).inspect_err(unusable).ok()
    });
    let (key, previous) = match (decode(&current), previous) {
        (Ok(key), previous) => (key, previous),
        // SECURITY: an unreadable version does not stop logins while the previous one signs.
        (Err(error), Some(previous)) => {
            ports.on_event(SigningEvent::NoKey(Stage::Current, &error));
            (previous, None)
        }
        (Err(error), None) => return Err(SigningError::Port(error)),
    };
    Ok(Versions {
        current_id: current.id,
        current: key,
        previous,
    })
}

/// Whether a host may publish its key itself: only the first key of all, or a key that no other
/// host has. All others are published by a rotation.
fn must_publish<K: Signer>(
    versions: &Versions<K>,
    is_sole_holder: bool,
    document: &KeyDocument,
) -> bool {
    let id = versions.current.key().id();
    let is_new = id.is_none_or(|id| document.find(id).is_none());
    is_new && (is_sole_holder || document.version() == 0)
}

/// Adds the public half of `key` to the key document, if it is missing. Hosts that start together
/// write one after the other: each replaces the version that it read.
async fn publish<P: SigningPorts>(
    key: &KeyOf<P>,
    ports: &P,
    now: UnixTime,
) -> Result<(), SigningError<P::Error>> {
    let public = key.key();
    let id = public.id().ok_or(SigningError::Unpublishable)?;
    for _ in 0..MAX_ATTEMPTS {
        let document = ports.store().key_document().await?;
        if document.is_revoked(id) {
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
        let ctx = ports.context().await.map_err(SigningError::Port)?;
        let event = ctx.event(AuditKind::KeysChanged(KeyAct::Publish), None)?;
        let written = ctx.store.change_keys(&document, None, &event).await;
        if written.map_err(SigningError::Publication)? == WriteOutcome::Applied {
            ports.on_event(SigningEvent::Published {
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
