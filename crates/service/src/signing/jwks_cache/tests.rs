//! How long the document is cached here, and the set at its readers.

use core::cell::{Cell, RefCell};

use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_core::keys::material::KeyMaterial;
use portcullis_core::token::algorithm::Algorithm;

use super::*;
use crate::test_support::ready;

const NOON: UnixTime = UnixTime::from_secs(1_764_000_000);

fn five_minutes() -> JwksCache {
    JwksCache::new(Duration::from_secs(300))
}

fn set_at(keys: &JwksCache, store: &Store, now: UnixTime) -> Result<PublishedSet, StoreError> {
    let known = ready(keys.known(store, now))?;
    assert_eq!(known.error.is_some(), store.down.get());
    Ok(keys.set(&known, now))
}

fn after(secs: u64) -> UnixTime {
    NOON.plus(Duration::from_secs(secs))
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
}

#[test]
fn the_cached_key_document_is_read_again_after_ten_seconds() {
    let (keys, store) = (five_minutes(), Store::default());
    for (at, reads) in [(NOON, 1), (after(9), 1), (after(10), 2), (NOON, 3)] {
        set_at(&keys, &store, at).expect("read");
        assert_eq!(store.reads.get(), reads, "{at}");
    }
}

#[test]
fn a_stale_key_document_bridges_a_store_failure_for_five_minutes() {
    let (keys, store) = (five_minutes(), Store::default());
    set_at(&keys, &store, NOON).expect("read");
    store.down.set(true);
    // A reader of our cached copy may keep it only for the rest of its time.
    let set = set_at(&keys, &store, after(299)).expect("bridged");
    assert_eq!(set.max_age, Duration::from_secs(1));
    assert!(set_at(&keys, &store, after(300)).is_err());
    assert!(set_at(&five_minutes(), &store, NOON).is_err());
}

#[test]
fn the_max_age_of_the_jwk_set_ends_with_its_first_key() {
    let material = KeyMaterial::Ed25519 { x: [7; 32] };
    let key = VerifyingKey::new(material, Algorithm::EdDsa).expect("fits");
    let jwk = key.to_jwk().expect("public");
    let end = after(60).as_secs();
    let json = format!(r#"{{"version":1,"keys":[{{"jwk":{jwk},"sign_from":0,"ends_at":{end}}}]}}"#);
    let store = Store::default();
    *store.document.borrow_mut() = KeyDocument::parse(json.as_bytes()).expect("a document");
    for (at, max_age, held) in [
        (NOON, 60, true),
        (after(59), 1, true),
        (after(60), 300, false),
    ] {
        let set = set_at(&five_minutes(), &store, at).expect("read");
        assert_eq!(set.max_age, Duration::from_secs(max_age), "{at}");
        assert_eq!(set.json.contains("kid"), held, "{at}");
    }
}
