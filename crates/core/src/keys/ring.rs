//! The key ring: the current verification keys of each issuer.

use std::collections::BTreeMap;

use crate::keys::document::{KeyDocument, PublishedKey};
use crate::keys::set::JwkSet;
use crate::time::UnixTime;

/// The keys of every trusted issuer, looked up by issuer and `kid` together. A `kid` is unique only
/// within its issuer.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    issuers: BTreeMap<String, Vec<PublishedKey>>,
}

impl KeyRing {
    /// Replaces the keys of `issuer` with those of a key document.
    pub fn put_document(&mut self, issuer: &str, document: &KeyDocument) {
        self.issuers
            .insert(issuer.to_owned(), document.keys().to_vec());
    }

    /// Replaces the keys of `issuer` with a fixed set; these keys do not expire.
    pub fn put_set(&mut self, issuer: &str, set: &JwkSet) {
        let published = set.keys().iter().map(|key| PublishedKey {
            key: key.clone(),
            sign_from: UnixTime::default(),
            ends_at: None,
        });
        self.issuers.insert(issuer.to_owned(), published.collect());
    }

    /// The key `key_id` of `issuer`, if it verifies at `now`.
    pub fn find(&self, issuer: &str, key_id: &str, now: UnixTime) -> Option<&PublishedKey> {
        self.issuers
            .get(issuer)?
            .iter()
            .find(|published| published.key.id() == Some(key_id) && published.verifies(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kid_is_found_only_under_its_own_issuer() {
        let set = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}]}"#;
        let mut ring = KeyRing::default();
        ring.put_set("https://one", &JwkSet::parse(set).expect("good"));
        let now = UnixTime::from_secs(1);
        assert!(ring.find("https://one", "a", now).is_some());
        assert!(ring.find("https://two", "a", now).is_none());
        assert!(ring.find("https://one", "b", now).is_none());
        ring.put_document("https://one", &KeyDocument::default());
        assert!(ring.find("https://one", "a", now).is_none());
    }
}
