//! Which key a host signs with: the two versions of the secret and the key document, each kept for
//! a while, as the Lambda host keeps them.

use std::cell::RefCell;
use std::time::Duration;

use portcullis_core::keys::document::KeyDocument;
use portcullis_core::keys::rotation::{SignWith, sign_with};
use portcullis_core::time::UnixTime;
use portcullis_service::rotate::ports::{Keysmith as _, SecretStore as _, Stage};
use portcullis_service::store::{KeyStore as _, StoreError};

use crate::crypto::SimKey;
use crate::mutation::Mutation;
use crate::store::View;
use crate::world::HOST_CACHE;

/// How old the document may be before it is read again.
const FRESH: Duration = Duration::from_secs(5);

/// How long a secret that could not be read keeps the next reading waiting.
const RETRY: Duration = Duration::from_secs(2);

/// What a host knows of keys.
#[derive(Default)]
pub(super) struct Keys {
    document: RefCell<Option<(UnixTime, KeyDocument)>>,
    held: RefCell<Option<Held>>,
}

#[derive(Clone)]
struct Held {
    versions: Versions,
    read_at: UnixTime,
    tried_at: UnixTime,
}

#[derive(Clone)]
struct Versions {
    current: Option<SimKey>,
    previous: Option<SimKey>,
}

impl Keys {
    /// The key to sign with at `now`, if the document lets one sign.
    pub(super) async fn ready(
        &self,
        store: &View,
        secrets: &View,
        now: UnixTime,
    ) -> Result<Option<SimKey>, StoreError> {
        let document = self.document(store, now).await?;
        let held = self.held.borrow().clone();
        let usable = held
            .as_ref()
            .and_then(|held| choose(store, &held.versions, &document, now));
        let is_due = held
            .as_ref()
            .is_none_or(|held| now.since(held.read_at) >= HOST_CACHE);
        let tried = held
            .as_ref()
            .is_some_and(|held| now.since(held.tried_at) < RETRY);
        if let Some(key) = usable.clone().filter(|_| !is_due || tried) {
            return Ok(Some(key));
        }
        let versions = match read(secrets).await {
            Ok(versions) => {
                self.hold(&versions, now, now);
                versions
            }
            Err(error) => match (held, &usable) {
                // What was read last has to do, as long as it may sign.
                (Some(held), Some(_)) => {
                    self.hold(&held.versions, held.read_at, now);
                    held.versions
                }
                _ => return Err(error),
            },
        };
        if let Some(key) = choose(store, &versions, &document, now) {
            return Ok(Some(key));
        }
        // What was published or withdrawn a moment ago.
        let document = self.read_document(store, now).await?;
        Ok(choose(store, &versions, &document, now))
    }

    async fn document(&self, store: &View, now: UnixTime) -> Result<KeyDocument, StoreError> {
        if let Some(held) = self.younger_than(FRESH, now) {
            return Ok(held);
        }
        match self.read_document(store, now).await {
            Ok(document) => Ok(document),
            Err(error) => self.younger_than(HOST_CACHE, now).ok_or(error),
        }
    }

    async fn read_document(&self, store: &View, now: UnixTime) -> Result<KeyDocument, StoreError> {
        let document = store.key_document().await?;
        *self.document.borrow_mut() = Some((now, document.clone()));
        Ok(document)
    }

    fn younger_than(&self, limit: Duration, now: UnixTime) -> Option<KeyDocument> {
        let held = self.document.borrow();
        let (read_at, document) = held.as_ref()?;
        (*read_at <= now && now.since(*read_at) < limit).then(|| document.clone())
    }

    fn hold(&self, versions: &Versions, read_at: UnixTime, tried_at: UnixTime) {
        *self.held.borrow_mut() = Some(Held {
            versions: versions.clone(),
            read_at,
            tried_at,
        });
    }
}

async fn read(secrets: &View) -> Result<Versions, StoreError> {
    let stages = secrets.stages().await?;
    let key = async |stage| match stages.version(stage) {
        Some(version) => {
            let kept = secrets.value(version).await?;
            Ok(kept.and_then(|kept| secrets.world.read(&kept).ok()))
        }
        None => Ok(None),
    };
    Ok(Versions {
        current: key(Stage::Current).await?,
        previous: key(Stage::Previous).await?,
    })
}

fn choose(
    store: &View,
    versions: &Versions,
    document: &KeyDocument,
    now: UnixTime,
) -> Option<SimKey> {
    let (current, previous) = (&versions.current, &versions.previous);
    if store.world.mutation == Some(Mutation::SignNewest) {
        return current.clone();
    }
    let name = |key: &Option<SimKey>| key.as_ref().map(|key| key.name().to_owned());
    let (current_id, previous_id) = (name(current), name(previous));
    let lifetime = store.world.plan.lifetime;
    match sign_with(
        document,
        current_id.as_deref(),
        previous_id.as_deref(),
        lifetime,
        now,
    ) {
        SignWith::Current => current.clone(),
        SignWith::Previous => previous.clone(),
        SignWith::Neither => None,
    }
}
