//! The published keys as others read them, kept for a moment so that nobody can make us read the
//! store at will.

use core::time::Duration;
use std::sync::{PoisonError, RwLock};

use portcullis_core::keys::document::{KeyDocument, PublishedKey};
use portcullis_core::time::UnixTime;
use portcullis_service::store::{KeyStore, StoreError};
use tracing::warn;

use crate::failure::Chain;

/// How long others may keep the JWK Set. A rotation waits that long before the new key signs.
pub const JWKS_MAX_AGE: Duration = Duration::from_secs(300);

/// How old the document may be before it is read again.
const FRESH: Duration = Duration::from_secs(10);

/// How old it may be while the store does not answer.
const STALE: Duration = JWKS_MAX_AGE;

/// The key document as it was last read.
#[derive(Debug, Default)]
pub struct PublishedKeys {
    last: RwLock<Option<(UnixTime, KeyDocument)>>,
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
        if let Some(set) = self.fresh(now) {
            return Ok(set);
        }
        let document = match store.key_document().await {
            Ok(document) => document,
            Err(error) => {
                let Some(last) = self.younger_than(STALE, now) else {
                    return Err(error);
                };
                warn!(error = %Chain(&error), "the last key document has to do");
                return Ok(PublishedSet::of(&last, now));
            }
        };
        let set = PublishedSet::of(&document, now);
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some((now, document));
        Ok(set)
    }

    /// The same, if it need not be read for that.
    pub fn fresh(&self, now: UnixTime) -> Option<PublishedSet> {
        let document = self.younger_than(FRESH, now)?;
        Some(PublishedSet::of(&document, now))
    }

    fn younger_than(&self, limit: Duration, now: UnixTime) -> Option<KeyDocument> {
        let last = self.last.read().unwrap_or_else(PoisonError::into_inner);
        let (read_at, document) = last.as_ref()?;
        (now.since(*read_at) < limit && *read_at <= now).then(|| document.clone())
    }
}

impl PublishedSet {
    fn of(document: &KeyDocument, now: UnixTime) -> Self {
        let good = document
            .keys()
            .iter()
            .filter(|published| published.verifies(now));
        // Nobody may keep the set beyond the end of a key in it.
        let ends = good
            .filter_map(|published: &PublishedKey| published.remaining(now))
            .min();
        let max_age = ends.unwrap_or(JWKS_MAX_AGE).min(JWKS_MAX_AGE);
        Self {
            json: document.to_jwks(now),
            max_age,
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
        let (keys, store) = (PublishedKeys::default(), Store::default());
        for (at, reads) in [(NOON, 1), (after(9), 1), (after(10), 2), (NOON, 3)] {
            keys.set(&store, at).await.expect("read");
            assert_eq!(store.reads.get(), reads, "{at}");
        }
    }

    #[tokio::test]
    async fn a_store_that_is_down_is_bridged_for_five_minutes() {
        let (keys, store) = (PublishedKeys::default(), Store::default());
        keys.set(&store, NOON).await.expect("read");
        store.down.set(true);
        assert!(keys.set(&store, after(299)).await.is_ok());
        assert!(keys.set(&store, after(300)).await.is_err());
        assert!(PublishedKeys::default().set(&store, NOON).await.is_err());
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
            let set = PublishedKeys::default()
                .set(&store, at)
                .await
                .expect("read");
            assert_eq!(set.max_age, Duration::from_secs(max_age), "{at}");
            assert_eq!(set.json.contains("kid"), held, "{at}");
        }
    }
}
