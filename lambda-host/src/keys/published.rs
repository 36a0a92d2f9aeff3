//! The published keys as others read them, kept for a moment so that nobody can make us read the
//! store at will.

use core::time::Duration;
use std::sync::{Arc, PoisonError, RwLock};

use portcullis_core::keys::document::{KeyDocument, PublishedKey};
use portcullis_core::time::UnixTime;
use portcullis_service::store::{KeyStore, StoreError};
use tracing::warn;

use crate::failure::Chain;

/// How old the document may be before it is read again.
const FRESH: Duration = Duration::from_secs(10);

/// The key document as it was last read.
#[derive(Debug)]
pub struct PublishedKeys {
    /// How old anybody's knowledge of the set may become, ours included.
    max_age: Duration,
    last: RwLock<Option<(UnixTime, Arc<KeyDocument>)>>,
}

/// A JWK Set, ready to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublishedSet {
    /// The set's JSON.
    pub json: String,
    /// How long it may be kept.
    pub max_age: Duration,
}

impl PublishedKeys {
    /// Keys that are known to nobody for longer than `max_age` after they were read: a rotation
    /// waits that long before the new one signs.
    pub fn new(max_age: Duration) -> Self {
        Self {
            max_age,
            last: RwLock::default(),
        }
    }

    /// The keys that verify at `now`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer and what was last read is too old.
    pub async fn set(
        &self,
        store: &impl KeyStore,
        now: UnixTime,
    ) -> Result<PublishedSet, StoreError> {
        let (read_at, document) = self.dated(store, now).await?;
        Ok(self.made_of(read_at, &document, now))
    }

    /// The same, if it need not be read for that.
    pub fn fresh(&self, now: UnixTime) -> Option<PublishedSet> {
        let (read_at, document) = self.younger_than(FRESH.min(self.max_age), now)?;
        Some(self.made_of(read_at, &document, now))
    }

    /// The document, a few seconds old at the most while the store answers.
    ///
    /// # Errors
    ///
    /// As [`PublishedKeys::set`].
    pub async fn document(
        &self,
        store: &impl KeyStore,
        now: UnixTime,
    ) -> Result<Arc<KeyDocument>, StoreError> {
        Ok(self.dated(store, now).await?.1)
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
        let last = Some((now, Arc::clone(&document)));
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = last;
        Ok(document)
    }

    async fn dated(
        &self,
        store: &impl KeyStore,
        now: UnixTime,
    ) -> Result<(UnixTime, Arc<KeyDocument>), StoreError> {
        if let Some(last) = self.younger_than(FRESH.min(self.max_age), now) {
            return Ok(last);
        }
        match self.read(store, now).await {
            Ok(document) => Ok((now, document)),
            Err(error) => {
                let Some(last) = self.younger_than(self.max_age, now) else {
                    return Err(error);
                };
                warn!(error = %Chain(&error), "the last key document has to do");
                Ok(last)
            }
        }
    }

    fn younger_than(&self, limit: Duration, now: UnixTime) -> Option<(UnixTime, Arc<KeyDocument>)> {
        let last = self.last.read().unwrap_or_else(PoisonError::into_inner);
        let (read_at, document) = last.as_ref()?;
        let is_young = now.since(*read_at) < limit && *read_at <= now;
        is_young.then(|| (*read_at, Arc::clone(document)))
    }

    fn made_of(&self, read_at: UnixTime, document: &KeyDocument, now: UnixTime) -> PublishedSet {
        let good = document
            .keys()
            .iter()
            .filter(|published| published.verifies(now));
        // Nobody may keep the set beyond the end of a key in it, nor for longer than it may be
        // relied on since it was read.
        let ends = good
            .filter_map(|published: &PublishedKey| published.remaining(now))
            .min();
        let left = self.max_age.saturating_sub(now.since(read_at));
        PublishedSet {
            json: document.to_jwks(now),
            max_age: ends.map_or(left, |end| end.min(left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::cell::{Cell, RefCell};

    use portcullis_core::id::Id;
    use portcullis_core::token::algorithm::Algorithm;
    use portcullis_jwt::SigningKey;
    use portcullis_service::ports::Signer as _;
    use portcullis_service::store::Written;

    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_764_000_000);

    fn five_minutes() -> PublishedKeys {
        PublishedKeys::new(Duration::from_secs(300))
    }

    fn after(secs: u64) -> UnixTime {
        NOON.after(Duration::from_secs(secs))
    }

    #[derive(Default)]
    struct Store {
        document: RefCell<KeyDocument>,
        reads: Cell<u32>,
        down: Cell<bool>,
    }

    impl KeyStore for Store {
        async fn key_document(&self) -> Result<KeyDocument, StoreError> {
            self.reads.set(self.reads.get().saturating_add(1));
            if self.down.get() {
                return Err(StoreError::new("reading", std::io::Error::other("down")));
            }
            Ok(self.document.borrow().clone())
        }

        async fn publish(&self, _: &KeyDocument, _: &Id) -> Result<Written, StoreError> {
            Ok(Written::Conflict)
        }
    }

    #[tokio::test]
    async fn the_document_is_read_again_once_it_is_ten_seconds_old() {
        let (keys, store) = (five_minutes(), Store::default());
        for (at, reads) in [(NOON, 1), (after(9), 1), (after(10), 2), (NOON, 3)] {
            keys.set(&store, at).await.expect("read");
            assert_eq!(store.reads.get(), reads, "{at}");
        }
    }

    #[tokio::test]
    async fn a_store_that_is_down_is_bridged_for_five_minutes() {
        let (keys, store) = (five_minutes(), Store::default());
        keys.set(&store, NOON).await.expect("read");
        store.down.set(true);
        // Who keeps what we kept before keeps it for what is left of its time.
        let set = keys.set(&store, after(299)).await.expect("bridged");
        assert_eq!(set.max_age, Duration::from_secs(1));
        assert!(keys.set(&store, after(300)).await.is_err());
        assert!(five_minutes().set(&store, NOON).await.is_err());
    }

    #[tokio::test]
    async fn nobody_keeps_the_set_beyond_the_end_of_a_key() {
        let key = SigningKey::generate(Algorithm::EdDsa).expect("entropy");
        let jwk = key.key().to_jwk().expect("public");
        let end = after(60).as_secs();
        let json =
            format!(r#"{{"version":1,"keys":[{{"jwk":{jwk},"sign_from":0,"ends_at":{end}}}]}}"#);
        let store = Store::default();
        *store.document.borrow_mut() = KeyDocument::parse(json.as_bytes()).expect("a document");
        for (at, max_age, held) in [
            (NOON, 60, true),
            (after(59), 1, true),
            (after(60), 300, false),
        ] {
            let set = five_minutes().set(&store, at).await.expect("read");
            assert_eq!(set.max_age, Duration::from_secs(max_age), "{at}");
            assert_eq!(set.json.contains("kid"), held, "{at}");
        }
    }
}
