//! The published keys for clients and edges, cached briefly so that requests cannot cause unlimited
//! reads of the store.

use core::time::Duration;
use std::sync::{Arc, PoisonError, RwLock};

use portcullis_core::keys::document::{KeyDocument, PublishedKey};
use portcullis_core::time::UnixTime;

use crate::store::{KeyStore, StoreError};

/// The age at which the document is read again.
const FRESH: Duration = Duration::from_secs(10);

/// The key document as last read.
#[derive(Debug)]
pub struct JwksCache {
    /// The maximum age of the JWK Set at any reader, this host included.
    max_age: Duration,
    last: RwLock<Option<Known>>,
}

/// The key document, and the time of its read.
#[derive(Debug)]
pub struct Known {
    /// The start of its read.
    pub read_at: UnixTime,
    /// The document.
    pub document: Arc<KeyDocument>,
    /// The reason why a due read failed, for the log.
    pub error: Option<StoreError>,
}

/// A JWK Set, ready to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublishedSet {
    /// The JSON of the set.
    pub json: String,
    /// How long it may be cached.
    pub max_age: Duration,
}

impl JwksCache {
    /// A cache that no reader keeps for longer than `max_age` after its read. A rotation waits that
    /// long before the new key signs.
    pub fn new(max_age: Duration) -> Self {
        Self {
            max_age,
            last: RwLock::default(),
        }
    }

    /// The keys that verify at `now`, from the document in `known`.
    pub fn set(&self, known: &Known, now: UnixTime) -> PublishedSet {
        let keys = known.document.keys().iter();
        let good = keys.filter(|published| published.verifies(now));
        // A cached set must expire before any of its keys ends, and no later than the maximum age
        // after its read.
        let ends = good
            .filter_map(|published: &PublishedKey| published.remaining(now))
            .min();
        let left = self.max_age.saturating_sub(now.since(known.read_at));
        PublishedSet {
            json: known.document.to_jwks(now),
            max_age: ends.map_or(left, |end| end.min(left)),
        }
    }

    /// The cached document, if it is not due to be read again.
    pub fn fresh(&self, now: UnixTime) -> Option<Known> {
        self.younger_than(FRESH.min(self.max_age), now)
    }

    /// The document, at most a few seconds old while the store responds.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not respond and the cached document is too old.
    pub async fn known(&self, store: &impl KeyStore, now: UnixTime) -> Result<Known, StoreError> {
        if let Some(last) = self.fresh(now) {
            return Ok(last);
        }
        match self.read(store, now).await {
            Ok(document) => Ok(Known {
                read_at: now,
                document,
                error: None,
            }),
            Err(error) => match self.younger_than(self.max_age, now) {
                Some(last) => Ok(Known {
                    error: Some(error),
                    ..last
                }),
                None => Err(error),
            },
        }
    }

    /// The current document.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not respond.
    pub async fn read(
        &self,
        store: &impl KeyStore,
        now: UnixTime,
    ) -> Result<Arc<KeyDocument>, StoreError> {
        let document = Arc::new(store.key_document().await?);
        let last = Known {
            read_at: now,
            document: Arc::clone(&document),
            error: None,
        };
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some(last);
        Ok(document)
    }

    fn younger_than(&self, limit: Duration, now: UnixTime) -> Option<Known> {
        let last = self.last.read().unwrap_or_else(PoisonError::into_inner);
        let last = last.as_ref()?;
        let is_young = now.since(last.read_at) < limit && last.read_at <= now;
        is_young.then(|| Known {
            read_at: last.read_at,
            document: Arc::clone(&last.document),
            error: None,
        })
    }
}

#[cfg(test)]
mod tests;
