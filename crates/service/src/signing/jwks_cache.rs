//! The published keys as others read them, kept for a moment so that nobody can make us read the
//! store at will.

use core::time::Duration;
use std::sync::{Arc, PoisonError, RwLock};

use portcullis_core::keys::document::{KeyDocument, PublishedKey};
use portcullis_core::time::UnixTime;

use crate::store::{KeyStore, StoreError};

/// How old the document may be before it is read again.
const FRESH: Duration = Duration::from_secs(10);

/// The key document as it was last read.
#[derive(Debug)]
pub struct JwksCache {
    /// How old anybody's knowledge of the set may become, ours included.
    max_age: Duration,
    last: RwLock<Option<Known>>,
}

/// The key document, and since when it is known.
#[derive(Debug)]
pub struct Known {
    /// When its reading began.
    pub read_at: UnixTime,
    /// The document.
    pub document: Arc<KeyDocument>,
    /// Why it was not read anew though it was time, for the log.
    pub error: Option<StoreError>,
}

/// A JWK Set, ready to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublishedSet {
    /// The set's JSON.
    pub json: String,
    /// How long it may be kept.
    pub max_age: Duration,
}

impl JwksCache {
    /// Keys that are known to nobody for longer than `max_age` after they were read: a rotation
    /// waits that long before the new one signs.
    pub fn new(max_age: Duration) -> Self {
        Self {
            max_age,
            last: RwLock::default(),
        }
    }

    /// The keys that verify at `now`, of the document as it is `known`.
    pub fn set(&self, known: &Known, now: UnixTime) -> PublishedSet {
        let keys = known.document.keys().iter();
        let good = keys.filter(|published| published.verifies(now));
        // Nobody may keep the set beyond the end of a key in it, nor for longer than it may be
        // relied on since it was read.
        let ends = good
            .filter_map(|published: &PublishedKey| published.remaining(now))
            .min();
        let left = self.max_age.saturating_sub(now.since(known.read_at));
        PublishedSet {
            json: known.document.to_jwks(now),
            max_age: ends.map_or(left, |end| end.min(left)),
        }
    }

    /// The document, if it need not be read for that.
    pub fn fresh(&self, now: UnixTime) -> Option<Known> {
        self.younger_than(FRESH.min(self.max_age), now)
    }

    /// The document, a few seconds old at the most while the store answers.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer and what was last read is too old.
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

    /// The document as it is now.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer.
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
