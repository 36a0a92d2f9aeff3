//! JWK Sets ([RFC 7517 §5]): the content of `/.well-known/jwks.json`.
//!
//! [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5

use crate::json::Json;
use crate::keys::jwk::{JwkError, KeyMaterial, VerifyingKey};

/// The keys of one issuer, in its order.
#[derive(Clone, Debug, Default)]
pub struct JwkSet {
    keys: Vec<VerifyingKey>,
}

impl JwkSet {
    /// Parses the set in `json`. Unsupported keys are skipped, as [RFC 7517 §5] requires, so an
    /// issuer can also publish encryption keys or new types.
    ///
    /// # Errors
    ///
    /// [`JwkError::Malformed`] if the text is no object with an array `keys`, repeats a member, or
    /// has two supported keys with the same `kid`. Also if the set mixes a shared secret with a
    /// public key.
    ///
    /// [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5
    pub fn parse(json: &[u8]) -> Result<Self, JwkError> {
        Self::from_json(&Json::parse(json).map_err(|_| JwkError::Malformed)?)
    }

    /// Converts parsed JSON into a set.
    ///
    /// # Errors
    ///
    /// As [`JwkSet::parse`].
    pub fn from_json(json: &Json) -> Result<Self, JwkError> {
        let members = json.as_object().ok_or(JwkError::Malformed)?;
        let keys = members
            .get("keys")
            .and_then(Json::as_array)
            .ok_or(JwkError::Malformed)?;
        if keys.iter().any(|key| key.as_object().is_none()) {
            return Err(JwkError::Malformed);
        }
        let keys: Vec<_> = keys
            .iter()
            .filter_map(|key| VerifyingKey::from_json(key).ok())
            .collect();
        for (place, key) in keys.iter().enumerate() {
            let earlier = keys.iter().take(place);
            if key.id().is_some() && earlier.into_iter().any(|other| other.id() == key.id()) {
                return Err(JwkError::Malformed);
            }
        }
        // SECURITY: a public set must not hold a shared secret, because every reader could sign
        // with it.
        let shared = |key: &&VerifyingKey| matches!(key.material(), KeyMaterial::Hmac(_));
        if (1..keys.len()).contains(&keys.iter().filter(shared).count()) {
            return Err(JwkError::Malformed);
        }
        Ok(Self { keys })
    }

    /// The keys of the set in `json` that [`JwkSet::from_json`] skips: the place in the set, the
    /// `kid` and the reason of each.
    pub fn skipped(json: &Json) -> Vec<(usize, Option<&str>, JwkError)> {
        let members = json.as_object();
        let keys = members.and_then(|members| members.get("keys"));
        let keys = keys.and_then(Json::as_array).unwrap_or_default();
        let mut skipped = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            if let Err(error) = VerifyingKey::from_json(key) {
                let id = key.as_object().and_then(|members| members.get("kid"));
                skipped.push((place, id.and_then(Json::as_text), error));
            }
        }
        skipped
    }

    /// The keys.
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// The key with the `kid` `id`; without `id`, the only key of the set.
    pub fn find(&self, id: Option<&str>) -> Option<&VerifyingKey> {
        match (id, self.keys.as_slice()) {
            (Some(_), keys) => keys.iter().find(|key| key.id() == id),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}

impl FromIterator<VerifyingKey> for JwkSet {
    fn from_iter<I: IntoIterator<Item = VerifyingKey>>(keys: I) -> Self {
        Self {
            keys: keys.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OKP: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}"#;

    #[test]
    fn unsupported_keys_in_a_jwk_set_are_skipped() {
        let set =
            format!(r#"{{"keys":[{{"kty":"new"}},{OKP},{{"kty":"EC","use":"enc"}}],"more":1}}"#);
        let set = JwkSet::parse(set.as_bytes()).expect("one good key");
        assert_eq!(set.keys().len(), 1);
        assert!(set.find(Some("a")).is_some() && set.find(None).is_some());
        assert!(set.find(Some("b")).is_none());
    }

    #[test]
    fn a_duplicate_kid_is_rejected() {
        let twice = format!(r#"{{"keys":[{OKP},{OKP}]}}"#);
        assert_eq!(
            JwkSet::parse(twice.as_bytes()).err(),
            Some(JwkError::Malformed)
        );
        for bad in [
            "[]",
            "{}",
            r#"{"keys":{}}"#,
            r#"{"keys":[1]}"#,
            r#"{"keys":[],"keys":[]}"#,
        ] {
            assert_eq!(
                JwkSet::parse(bad.as_bytes()).err(),
                Some(JwkError::Malformed),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_shared_secret_beside_a_public_key_is_rejected() {
        let oct = format!(r#"{{"kty":"oct","k":"{}"}}"#, "A".repeat(43));
        let mixed = format!(r#"{{"keys":[{OKP},{oct}]}}"#);
        assert_eq!(
            JwkSet::parse(mixed.as_bytes()).err(),
            Some(JwkError::Malformed)
        );
        let alone = format!(r#"{{"keys":[{oct}]}}"#);
        assert!(JwkSet::parse(alone.as_bytes()).is_ok_and(|set| set.keys().len() == 1));
    }
}
