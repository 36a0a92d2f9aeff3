//! The private keys of the edge for its assertions: a JWK Set of one or two ([RFC 7517 §5]). The
//! first signs, and the public halves of all are published, so a new key can be published before it
//! signs.
//!
//! [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5

use core::fmt;

use crate::base64url;
use crate::json::{Json, Object};
use crate::keys::jwk::VerifyingKey;
use crate::secret::Secret;
use crate::token::algorithm::Algorithm;

/// The key that signs, and the published keys.
pub struct AssertionKeys {
    /// The algorithm of the key that signs: `EdDSA` or `ES256`.
    pub algorithm: Algorithm,
    /// The `kid` of the key that signs.
    pub key_id: String,
    /// The key that signs, as a private JWK.
    pub private_jwk: Secret<String>,
    /// The public JWK Set.
    pub public_set: String,
}

impl AssertionKeys {
    /// Parses the set in `json`. `None` unless it has one or two private keys, each with `kid` and
    /// with `alg` `EdDSA` or `ES256`, and no `kid` twice. Unlike a published set, an unusable key
    /// is never skipped.
    pub fn parse(json: &str) -> Option<Self> {
        let keys = Json::parse_object(json.as_bytes()).ok()?;
        let mut keys = keys.get("keys")?.as_array()?.iter();
        let first = SigningKey::parse(keys.next()?)?;
        let mut public_set = [r#"{"keys":["#, &first.public_jwk].concat();
        if let Some(second) = keys.next() {
            let second = SigningKey::parse(second)?;
            if second.id == first.id || keys.next().is_some() {
                return None;
            }
            for part in [",", &second.public_jwk] {
                public_set.push_str(part);
            }
        }
        public_set.push_str("]}");
        Some(Self {
            algorithm: first.algorithm,
            key_id: first.id,
            private_jwk: first.private_jwk,
            public_set,
        })
    }
}

/// One key of the set.
struct SigningKey {
    algorithm: Algorithm,
    id: String,
    public_jwk: String,
    private_jwk: Secret<String>,
}

impl SigningKey {
    fn parse(jwk: &Json) -> Option<Self> {
        let mut public = Object::default();
        // The private members stay behind, and `key_ops` too: it is `sign` for the private key
        // (RFC 7517 §4.3).
        for name in ["kty", "crv", "x", "y", "kid", "alg", "use"] {
            if let Some(value) = jwk.get(name) {
                public.insert(name, value.clone());
            }
        }
        let public = Json::Object(public);
        let key = VerifyingKey::from_json(&public).ok()?;
        let algorithm = key.algorithm()?;
        if !matches!(algorithm, Algorithm::EdDsa | Algorithm::Es256) {
            return None;
        }
        // RFC 7518 §6.2.2.1, RFC 8037 §2: 32 octets for both curves.
        let scalar = jwk.get("d")?.as_text()?;
        if base64url::decode(scalar).map(Secret::new)?.expose().len() != 32 {
            return None;
        }
        let public_jwk = public.to_string();
        let members = public_jwk.strip_suffix('}')?;
        Some(Self {
            algorithm,
            id: key.id()?.to_owned(),
            private_jwk: Secret::new([members, r#","d":""#, scalar, r#""}"#].concat()),
            public_jwk,
        })
    }
}

/// Prints the public half only.
impl fmt::Debug for AssertionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionKeys")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::set::JwkSet;

    // RFC 8037 A.1, RFC 6979 A.2.5.
    const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"one","alg":"EdDSA","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    const P256: &str = r#"{"kty":"EC","crv":"P-256","kid":"two","alg":"ES256","key_ops":["sign"],"x":"YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y","y":"eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk","d":"ya-p2EW6dRZrXCFXZ7HWk05Qw9s26JsSe4piKxIPZyE"}"#;

    fn set(keys: &[&str]) -> String {
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    #[test]
    fn the_first_key_signs_and_the_public_halves_of_all_are_published() {
        let keys = AssertionKeys::parse(&set(&[P256, ED25519])).expect("a set");
        assert_eq!(
            (keys.algorithm, keys.key_id.as_str()),
            (Algorithm::Es256, "two")
        );
        let private = keys.private_jwk.expose();
        assert!(
            private.contains("ya-p2EW6") && !private.contains("key_ops"),
            "{private}"
        );
        let public = JwkSet::parse(keys.public_set.as_bytes()).expect("a public set");
        let ids: Vec<_> = public.keys().iter().map(VerifyingKey::id).collect();
        assert_eq!(ids, [Some("two"), Some("one")]);
        assert!(!keys.public_set.contains(r#""d""#), "{}", keys.public_set);
        assert!(!format!("{keys:?}").contains("ya-p"));
        let keys = AssertionKeys::parse(&set(&[ED25519])).expect("a set");
        assert_eq!(
            (keys.algorithm, keys.key_id.as_str()),
            (Algorithm::EdDsa, "one")
        );
    }

    #[test]
    fn a_set_with_an_unusable_key_is_rejected_as_a_whole() {
        let third = P256.replace("two", "three");
        for bad in [
            "",
            "[]",
            "{}",
            &set(&[]),
            &set(&["1"]),
            ED25519,
            &set(&[ED25519, P256, &third]),
            &set(&[ED25519, &P256.replace("two", "one")]),
            &set(&[ED25519, &P256.replace(r#""kid":"two","#, "")]),
            &set(&[&ED25519.replace(r#""alg":"EdDSA","#, "")]),
            &set(&[&ED25519.replace("EdDSA", "ES256")]),
            &set(&[&ED25519.replace(r#""d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","#, "")]),
            &set(&[&ED25519.replace("nWGxne_9", "")]),
            &set(&[&ED25519.replace("nWGxne_9", "\\\"")]),
            &set(&[&ED25519.replacen('{', r#"{"use":"enc","#, 1)]),
            &set(&[
                r#"{"kty":"oct","kid":"a","alg":"HS256","d":"AAAA","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
            ]),
        ] {
            assert!(AssertionKeys::parse(bad).is_none(), "{bad}");
        }
        assert!(AssertionKeys::parse(&set(&[P256, ED25519])).is_some());
    }
}
