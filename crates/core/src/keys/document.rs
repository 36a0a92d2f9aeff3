//! The key document: every public key of this issuer with its validity times.
//!
//! Hosts update it by a conditional write on its version; the edge and the JWKS endpoint read it.

use core::fmt::Write as _;
use core::time::Duration;

use thiserror::Error;

use crate::json::Json;
use crate::keys::jwk::{JwkError, VerifyingKey};
use crate::time::UnixTime;

/// The public keys of this issuer, as stored.
#[derive(Clone, Debug, Default)]
pub struct KeyDocument {
    version: u64,
    keys: Vec<PublishedKey>,
    revoked: Vec<String>,
}

/// A key with its validity times.
#[derive(Clone, Debug)]
pub struct PublishedKey {
    /// The public key; it always has a `kid`.
    pub key: VerifyingKey,
    /// The time from which hosts sign with the key. It verifies from its publication on.
    pub sign_from: UnixTime,
    /// The time when the key stops verifying; `None` while no successor is known.
    pub ends_at: Option<UnixTime>,
}

/// The stored text is no valid key document. Never quotes it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum KeyDocumentError {
    /// The text lacks the expected structure.
    #[error("malformed key document")]
    Malformed,
    /// A key is invalid. Parsing fails instead of skipping the key, because hosts wrote the
    /// document.
    #[error("invalid key in the key document: {0}")]
    Key(#[from] JwkError),
}

impl KeyDocument {
    /// Parses the document's JSON:
    /// `{"version": 1, "keys": [{"jwk": {..}, "sign_from": 0, "ends_at": 0}], "withdrawn": ["kid"]}`,
    /// times in seconds. `ends_at` and `withdrawn` are optional; unknown members are ignored.
    ///
    /// # Errors
    ///
    /// [`KeyDocumentError`] for a missing or malformed member, a key without a `kid`, a duplicate
    /// `kid`, or a key that is also listed as revoked.
    pub fn parse(json: &[u8]) -> Result<Self, KeyDocumentError> {
        let members = Json::parse_object(json).map_err(|_| KeyDocumentError::Malformed)?;
        let version = members.get("version").and_then(Json::as_whole);
        let mut document = Self {
            version: version.ok_or(KeyDocumentError::Malformed)?,
            keys: vec![],
            revoked: vec![],
        };
        if let Some(revoked) = members.get("withdrawn") {
            let names = revoked.as_array().ok_or(KeyDocumentError::Malformed)?;
            for name in names {
                let name = name.as_text().ok_or(KeyDocumentError::Malformed)?;
                document.revoked.push(name.to_owned());
            }
        }
        let keys = members
            .get("keys")
            .and_then(Json::as_array)
            .ok_or(KeyDocumentError::Malformed)?;
        for entry in keys {
            let published = PublishedKey::from_json(entry)?;
            let id = published.key.id().ok_or(KeyDocumentError::Malformed)?;
            if document.find(id).is_some() || document.is_revoked(id) {
                return Err(KeyDocumentError::Malformed);
            }
            document.keys.push(published);
        }
        Ok(document)
    }

    /// The number of writes; 0 before the first.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The keys, oldest first.
    pub fn keys(&self) -> &[PublishedKey] {
        &self.keys
    }

    /// The key with the `kid` `id`, current or expired.
    pub fn find(&self, id: &str) -> Option<&PublishedKey> {
        self.keys
            .iter()
            .find(|published| published.key.id() == Some(id))
    }

    /// Whether hosts sign with the key `id` at `now`, as far as the document tells: a key without an end
    /// from its `sign_from` on, else the last key with an end. Several keys without an end are those of
    /// an unfinished rotation; the secret tells which of them signs.
    pub fn is_signing(&self, id: &str, now: UnixTime) -> bool {
        let can_sign = |key: &&PublishedKey| key.sign_from <= now && key.verifies(now);
        let Some(key) = self.find(id).filter(can_sign) else {
            return false;
        };
        let mut others = self.keys.iter().filter(can_sign);
        key.ends_at.is_none()
            || !others.any(|other| other.ends_at.is_none() || key.sign_from < other.sign_from)
    }

    /// The time from which another key signs in place of those that sign at `now`; `None` if no key
    /// waits for its `sign_from`.
    pub fn next_signing_at(&self, now: UnixTime) -> Option<UnixTime> {
        let waiting = self.keys.iter().filter(|key| now < key.sign_from);
        let waiting = waiting.filter(|key| key.ends_at.is_none());
        waiting.map(|key| key.sign_from).min()
    }

    /// Whether the key `id` was revoked. A revoked key is never published again.
    pub fn is_revoked(&self, id: &str) -> bool {
        self.revoked.iter().any(|revoked| revoked == id)
    }

    /// The next version, with its keys modified by `change`, which neither adds keys nor changes a
    /// `kid`.
    #[must_use]
    pub(in crate::keys) fn changed(mut self, change: impl FnOnce(&mut Vec<PublishedKey>)) -> Self {
        self.version = self.version.saturating_add(1);
        self.revised(change)
    }

    /// The same version, not yet written, with its keys modified by `change`.
    #[must_use]
    pub(in crate::keys) fn revised(mut self, change: impl FnOnce(&mut Vec<PublishedKey>)) -> Self {
        change(&mut self.keys);
        self
    }

    /// The next version without the key `id`, which is permanently revoked.
    #[must_use]
    pub(in crate::keys) fn without(mut self, id: &str) -> Self {
        self.version = self.version.saturating_add(1);
        self.keys.retain(|published| published.key.id() != Some(id));
        if !self.is_revoked(id) {
            self.revoked.push(id.to_owned());
        }
        self
    }

    /// The next version, in which `key` signs from `sign_from` on. A key without a `kid`, a shared
    /// secret, a revoked key or an already published key leaves the document unchanged.
    #[must_use]
    pub fn with(mut self, key: VerifyingKey, sign_from: UnixTime) -> Self {
        let is_new = |id| self.find(id).is_none() && !self.is_revoked(id);
        if key.id().is_some_and(is_new) && key.to_jwk().is_some() {
            self.version = self.version.saturating_add(1);
            self.keys.push(PublishedKey {
                key,
                sign_from,
                ends_at: None,
            });
        }
        self
    }

    /// The keys that verify at `now`, as the public JWK Set.
    pub fn to_jwks(&self, now: UnixTime) -> String {
        let good = self.keys.iter().filter(|published| published.verifies(now));
        let keys: Vec<_> = good
            .filter_map(|published| published.key.to_jwk())
            .collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    /// The document as stored.
    pub fn to_json(&self) -> String {
        let keys: Vec<_> = self.keys.iter().filter_map(PublishedKey::to_json).collect();
        let mut json = format!(
            r#"{{"version":{},"keys":[{}]"#,
            self.version,
            keys.join(",")
        );
        if !self.revoked.is_empty() {
            let names: Vec<_> = self.revoked.iter().map(|id| Json::quote(id)).collect();
            json.push_str(r#","withdrawn":["#);
            json.push_str(&names.join(","));
            json.push(']');
        }
        json.push('}');
        json
    }
}

impl PublishedKey {
    /// Whether the key verifies signatures at `now`: until the second before `ends_at`.
    pub fn verifies(&self, now: UnixTime) -> bool {
        self.ends_at.is_none_or(|end| now < end)
    }

    /// The time from `now` until the key expires; `None` while `ends_at` is open.
    pub fn remaining(&self, now: UnixTime) -> Option<Duration> {
        self.ends_at.map(|end| now.until(end))
    }

    fn from_json(entry: &Json) -> Result<Self, KeyDocumentError> {
        let members = entry.as_object().ok_or(KeyDocumentError::Malformed)?;
        let time = |name| {
            let value = members
                .get(name)
                .map(|value| value.as_whole().map(UnixTime::from_secs));
            value
                .map(|time| time.ok_or(KeyDocumentError::Malformed))
                .transpose()
        };
        Ok(Self {
            key: VerifyingKey::from_json(members.get("jwk").ok_or(KeyDocumentError::Malformed)?)?,
            sign_from: time("sign_from")?.ok_or(KeyDocumentError::Malformed)?,
            ends_at: time("ends_at")?,
        })
    }

    fn to_json(&self) -> Option<String> {
        let mut json = format!(
            r#"{{"jwk":{},"sign_from":{}"#,
            self.key.to_jwk()?,
            self.sign_from.as_secs()
        );
        if let Some(end) = self.ends_at {
            write!(json, r#","ends_at":{}"#, end.as_secs()).ok()?;
        }
        json.push('}');
        Some(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::algorithm::Algorithm;

    const NOON: UnixTime = UnixTime::from_secs(1_000);

    fn key() -> VerifyingKey {
        let jwk =
            br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let key = VerifyingKey::parse(jwk).expect("RFC 8037");
        VerifyingKey::new(key.material().clone(), Algorithm::EdDsa).expect("fits")
    }

    #[test]
    fn a_key_document_round_trips_through_json() {
        let mut document = KeyDocument::default().with(key(), NOON);
        document.keys[0].ends_at = Some(UnixTime::from_secs(2_000));
        let read = KeyDocument::parse(document.to_json().as_bytes()).expect("our own");
        assert_eq!(read.version(), 1);
        assert_eq!(read.to_json(), document.to_json());
    }

    /// A document of keys with these `sign_from` and `ends_at`, in seconds, named `0`, `1`, ...
    fn document(times: &[(u64, Option<u64>)]) -> KeyDocument {
        let keys = times.iter().enumerate().map(|(place, (from, end))| {
            let end = end.map(|end| format!(r#","ends_at":{end}"#));
            format!(
                r#"{{"jwk":{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"{place}","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}},"sign_from":{from}{}}}"#,
                end.unwrap_or_default()
            )
        });
        let keys: Vec<_> = keys.collect();
        let json = format!(r#"{{"version":1,"keys":[{}]}}"#, keys.join(","));
        KeyDocument::parse(json.as_bytes()).expect("a document")
    }

    #[test]
    fn a_key_with_an_end_signs_until_its_successor_does() {
        let signing = |document: &KeyDocument, now| {
            let now = UnixTime::from_secs(now);
            let all = ["0", "1", "2"].into_iter();
            let all = all.filter(|id| document.is_signing(id, now));
            (
                all.collect::<Vec<_>>(),
                document.next_signing_at(now).map(UnixTime::as_secs),
            )
        };
        let rotated = document(&[(100, Some(500)), (300, None)]);
        for (now, expected) in [
            (99, (vec![], Some(300))),
            (100, (vec!["0"], Some(300))),
            (299, (vec!["0"], Some(300))),
            (300, (vec!["1"], None)),
            (500, (vec!["1"], None)),
        ] {
            assert_eq!(signing(&rotated, now), expected, "{now}");
        }
        // Of two keys with an end, the later one signs.
        let twice = document(&[(100, Some(500)), (300, Some(900)), (700, None)]);
        assert_eq!(signing(&twice, 400), (vec!["1"], Some(700)));
        assert_eq!(signing(&twice, 700), (vec!["2"], None));
        // An unfinished rotation: the document does not tell which of the two is current.
        let unfinished = document(&[(100, None), (300, None)]);
        assert_eq!(signing(&unfinished, 299), (vec!["0"], Some(300)));
        assert_eq!(signing(&unfinished, 300), (vec!["0", "1"], None));
        // A key that has ended signs no more, also without a successor.
        assert_eq!(signing(&document(&[(100, Some(500))]), 500), (vec![], None));
    }

    #[test]
    fn a_revoked_key_cannot_be_published_again() {
        let document = KeyDocument::default().with(key(), NOON);
        let id = key().thumbprint();
        let document = document.without(&id).with(key(), NOON);
        assert!(document.find(&id).is_none() && document.is_revoked(&id));
        let json = document.to_json();
        let read = KeyDocument::parse(json.as_bytes()).expect("our own");
        assert!(read.is_revoked(&id));
        assert_eq!(read.to_json(), json);
        let jwk = key().to_jwk().expect("public");
        let both = json.replace("[]", &format!(r#"[{{"jwk":{jwk},"sign_from":0}}]"#));
        assert!(both.contains("sign_from") && KeyDocument::parse(both.as_bytes()).is_err());
    }

    #[test]
    fn publishing_an_existing_kid_changes_nothing() {
        let document = KeyDocument::default().with(key(), NOON);
        assert_eq!(
            document.clone().with(key(), NOON).to_json(),
            document.to_json()
        );
    }

    #[test]
    fn an_expired_key_leaves_the_jwk_set_in_the_second_of_its_end() {
        let mut document = KeyDocument::default().with(key(), NOON);
        document.keys[0].ends_at = Some(NOON);
        assert!(
            document
                .to_jwks(UnixTime::from_secs(999))
                .contains("11qYAYKx")
        );
        assert_eq!(document.to_jwks(NOON), r#"{"keys":[]}"#);
    }

    #[test]
    fn a_malformed_key_document_is_rejected() {
        let good = KeyDocument::default().with(key(), NOON).to_json();
        assert!(KeyDocument::parse(good.as_bytes()).is_ok());
        for bad in [
            "",
            "{}",
            r#"{"version":-1,"keys":[]}"#,
            r#"{"version":1,"keys":[{}]}"#,
            &good.replace("1000", "\"1000\""),
            &good.replace("Ed25519", "Ed448"),
            &good.replace("kid", "name"),
        ] {
            assert!(KeyDocument::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
