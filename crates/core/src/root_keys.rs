//! The root keys: host-only keys for MACs, encryption and password peppers.
//!
//! There is one current root key and a list of replaced ones. HKDF ([RFC 5869]) derives a separate
//! key for each purpose, so a value created for one purpose is invalid for another. Random bits are
//! passed as arguments.
//!
//! [RFC 5869]: https://www.rfc-editor.org/rfc/rfc5869

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::base64url;
use crate::json::{Json, Object};
use crate::secret::Secret;

/// The minimum length of a root key, in characters: at least 128 bits in any encoding.
const MIN_KEY_CHARACTERS: usize = 32;

/// The maximum length of a root key, in characters.
const MAX_KEY_CHARACTERS: usize = 512;

/// The maximum number of replaced root keys, which only verify and decrypt.
const MAX_PREVIOUS: usize = 8;

/// The maximum length of a root key identifier, in characters.
const MAX_ID_CHARACTERS: usize = 16;

/// The length of a MAC, in bytes.
pub const MAC_BYTES: usize = 32;

/// The length of the nonce of each encryption, in bytes: long enough for random nonces
/// ([draft-irtf-cfrg-xchacha §2]).
///
/// [draft-irtf-cfrg-xchacha §2]: https://datatracker.ietf.org/doc/html/draft-irtf-cfrg-xchacha#section-2
pub const NONCE_BYTES: usize = 24;

/// The purpose of a derived key; a value created for one purpose is invalid for another.
///
/// Exhaustive on purpose: each purpose has its label, and a label never changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// The MAC at the end of a refresh token.
    RefreshToken,
    /// The successor of a refresh token, encrypted for the grace window.
    RefreshSuccessor,
    /// The keyed hash of rate-limit keys, so that their rows hold no address.
    LimitKey,
    /// The MAC of an audit entry and of a day's digest.
    Audit,
    /// The secret in a mailed link.
    MailToken,
    /// The MAC of a device cookie.
    DeviceCookie,
    /// The token that connects the first login step with the second factor.
    LoginChallenge,
    /// The secret of a second factor at rest.
    FactorSecret,
    /// Recovery codes at rest.
    RecoveryCode,
    /// The pepper of password hashes.
    Pepper,
    /// The CSRF token that a browser must send beside its cookie.
    CsrfToken,
    /// The MAC of a registration cookie.
    RegistrationCookie,
}

impl Purpose {
    const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::RefreshToken => b"portcullis/1/refresh-token",
            Self::RefreshSuccessor => b"portcullis/1/refresh-successor",
            Self::LimitKey => b"portcullis/1/limit-key",
            Self::Audit => b"portcullis/1/audit",
            Self::MailToken => b"portcullis/1/mail-token",
            Self::DeviceCookie => b"portcullis/1/device-cookie",
            Self::LoginChallenge => b"portcullis/1/login-challenge",
            Self::FactorSecret => b"portcullis/1/factor-secret",
            Self::RecoveryCode => b"portcullis/1/recovery-code",
            Self::Pepper => b"portcullis/1/pepper",
            Self::CsrfToken => b"portcullis/1/csrf-token",
            Self::RegistrationCookie => b"portcullis/1/registration-cookie",
        }
    }
}

/// The root keys of a deployment: the current one creates all values; replaced ones verify and
/// decrypt their own earlier values.
#[derive(Clone, Debug)]
pub struct RootKeys {
    current: RootKey,
    previous: Vec<RootKey>,
}

#[derive(Clone, Debug)]
struct RootKey {
    id: String,
    /// The HKDF-extracted key, so that each use is one expansion.
    pseudorandom: Secret<[u8; 32]>,
}

/// The document is invalid. Never quotes it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum RootKeysError {
    /// The text is not a JSON object of `id`, `key` and an optional `previous`.
    #[error(
        r#"the host's secret is a JSON object: {{"id": "..", "key": "..", "previous": [{{"id", "key"}}]}}"#
    )]
    Malformed,
    /// An identifier is empty, too long, not alphanumeric, or used twice.
    #[error("each root key needs a unique id of 1 to 16 letters and digits")]
    BadId,
    /// A key is too short, too long or not printable.
    #[error("a root key is 32 to 512 printable ASCII characters")]
    BadKey,
    /// There are too many replaced keys.
    #[error("a host's secret has at most 8 previous root keys")]
    TooMany,
}

/// Decryption failed: wrong key, wrong purpose or context, or modified data.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("decryption failed: wrong key, wrong context or modified data")]
pub struct OpenError;

impl RootKeys {
    /// Parses `{"id": "1", "key": "...", "previous": [{"id": "0", "key": "..."}]}`; `previous` is
    /// optional. A key has 32 to 512 random printable characters, such as Secrets Manager
    /// generates.
    ///
    /// # Errors
    ///
    /// [`RootKeysError`].
    pub fn parse(document: &[u8]) -> Result<Self, RootKeysError> {
        let mut members = Json::parse_object(document).map_err(|_| RootKeysError::Malformed)?;
        let previous = match members.remove("previous") {
            None => Vec::new(),
            Some(Json::Array(keys)) if keys.len() <= MAX_PREVIOUS => keys,
            Some(Json::Array(_)) => return Err(RootKeysError::TooMany),
            Some(_) => return Err(RootKeysError::Malformed),
        };
        let current = RootKey::read(members)?;
        let previous = previous
            .into_iter()
            .map(|key| RootKey::read(key.into_object().ok_or(RootKeysError::Malformed)?))
            .collect::<Result<Vec<_>, _>>()?;
        let root_keys = Self { current, previous };
        let mut ids: Vec<_> = root_keys.keys().map(|key| key.id.as_str()).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(RootKeysError::BadId);
        }
        Ok(root_keys)
    }

    /// A new document with one root key of `random` bits, for a single-machine host.
    pub fn document(random: &Secret<[u8; 32]>) -> Secret<String> {
        let key = Zeroizing::new(base64url::encode(random.expose()));
        Secret::new(format!(r#"{{"id":"1","key":"{}"}}"#, *key))
    }

    /// The identifier of the current root key.
    pub fn current_id(&self) -> &str {
        &self.current.id
    }

    /// The MAC of `parts` for `purpose`, under the current root key. Length framing makes the
    /// message of each list of parts unique.
    pub fn mac(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
        self.current.mac(purpose, parts)
    }

    /// Returns a MAC generator for `purpose` under the current root key. It gives its user no
    /// access to other root keys or purposes.
    pub fn sealer(&self, purpose: Purpose) -> AuditMac {
        AuditMac {
            root: self.current.id.clone(),
            key: Secret::new(*self.current.key(purpose.as_bytes())),
        }
    }

    /// The MAC under the root key `id`; `None` if that key was removed.
    pub fn code_under(
        &self,
        id: &str,
        purpose: Purpose,
        parts: &[&[u8]],
    ) -> Option<[u8; MAC_BYTES]> {
        let key = self.keys().find(|key| key.id == id)?;
        Some(key.mac(purpose, parts))
    }

    /// Whether `code` is the MAC of `parts` under any current or replaced root key. A truncated MAC
    /// is compared over its length and is invalid below 16 bytes.
    // SECURITY: compares in constant time, with every root key in turn.
    pub fn verify_mac(&self, purpose: Purpose, parts: &[&[u8]], code: &[u8]) -> bool {
        if !(16..=MAC_BYTES).contains(&code.len()) {
            return false;
        }
        self.keys().fold(false, |known, key| {
            let ours = key.mac(purpose, parts);
            let same = ours
                .get(..code.len())
                .is_some_and(|ours| bool::from(ours.ct_eq(code)));
            known | same
        })
    }

    /// Encrypts `plain` for `purpose` with XChaCha20-Poly1305. Decryption needs the same `context`.
    /// `nonce` is random for each call.
    ///
    /// The key is derived from the context. If the context holds a secret, decryption needs that
    /// secret in addition to the root key.
    ///
    /// The format: the length and the identifier of the root key, the nonce, the ciphertext; in
    /// base64url.
    pub fn seal(
        &self,
        purpose: Purpose,
        context: &[&[u8]],
        nonce: [u8; NONCE_BYTES],
        plain: &[u8],
    ) -> String {
        let id = self.current.id.as_bytes();
        let mut sealed = vec![u8::try_from(id.len()).unwrap_or_default()];
        sealed.extend_from_slice(id);
        sealed.extend_from_slice(&nonce);
        let mut text = Vec::with_capacity(plain.len().saturating_add(16));
        text.extend_from_slice(plain);
        let cipher = self.current.cipher(purpose, context);
        // Fails only for texts of many gigabytes; the result then never decrypts.
        if cipher
            .encrypt_in_place(&XNonce::from(nonce), b"", &mut text)
            .is_ok()
        {
            sealed.extend_from_slice(&text);
        }
        base64url::encode(&sealed)
    }

    /// Decrypts the result of [`RootKeys::seal`] for the same purpose and context, also under a
    /// replaced root key.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(
        &self,
        purpose: Purpose,
        context: &[&[u8]],
        sealed: &str,
    ) -> Result<Secret<Vec<u8>>, OpenError> {
        let sealed = base64url::decode(sealed).ok_or(OpenError)?;
        let (length, rest) = sealed.split_first().ok_or(OpenError)?;
        let (id, rest) = rest
            .split_at_checked(usize::from(*length))
            .ok_or(OpenError)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError)?;
        let key = self.keys().find(|key| key.id.as_bytes() == id);
        let cipher = key.ok_or(OpenError)?.cipher(purpose, context);
        let mut plain = Zeroizing::new(text.to_vec());
        cipher
            .decrypt_in_place(&XNonce::from(*nonce), b"", &mut *plain)
            .map_err(|_| OpenError)?;
        Ok(Secret::new(core::mem::take(&mut *plain)))
    }

    fn keys(&self) -> impl Iterator<Item = &RootKey> {
        core::iter::once(&self.current).chain(&self.previous)
    }
}

/// Computes MACs for one purpose under one root key.
#[derive(Clone, Debug)]
pub struct AuditMac {
    root: String,
    key: Secret<[u8; 32]>,
}

impl AuditMac {
    /// The identifier of the root key.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The result of [`RootKeys::mac`] for the purpose.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
        authenticate(self.key.expose(), parts)
    }
}

impl Eq for AuditMac {}

impl PartialEq for AuditMac {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root && bool::from(self.key.expose().ct_eq(other.key.expose()))
    }
}

impl RootKey {
    fn read(mut members: Object) -> Result<Self, RootKeysError> {
        let mut text = |name| match members.remove(name) {
            Some(Json::Text(text)) => Ok(Zeroizing::new(text)),
            _ => Err(RootKeysError::Malformed),
        };
        let (id, key) = (text("id")?, text("key")?);
        if !members.is_empty() {
            return Err(RootKeysError::Malformed);
        }
        let fits = (1..=MAX_ID_CHARACTERS).contains(&id.len());
        if !fits || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(RootKeysError::BadId);
        }
        let fits = (MIN_KEY_CHARACTERS..=MAX_KEY_CHARACTERS).contains(&key.len());
        if !fits || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(RootKeysError::BadKey);
        }
        let (pseudorandom, _) = Hkdf::<Sha256>::extract(Some(b"portcullis/1"), key.as_bytes());
        Ok(Self {
            id: id.to_string(),
            pseudorandom: Secret::new(pseudorandom.into()),
        })
    }

    fn mac(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
        authenticate(&self.key(purpose.as_bytes()), parts)
    }

    fn cipher(&self, purpose: Purpose, context: &[&[u8]]) -> XChaCha20Poly1305 {
        let key = Zeroizing::new(self.mac(purpose, context));
        XChaCha20Poly1305::new((&*key).into())
    }

    fn key(&self, label: &[u8]) -> Zeroizing<[u8; 32]> {
        // Both steps are infallible: the key and the output have the hash's length. After a failure
        // the key would still be secret.
        let mut key = Zeroizing::new(*self.pseudorandom.expose());
        if let Ok(expander) = Hkdf::<Sha256>::from_prk(self.pseudorandom.expose()) {
            let _ = expander.expand(label, &mut *key);
        }
        key
    }
}

/// HMAC-SHA-256 ([RFC 2104]) of the parts, each prefixed by its length.
///
/// [RFC 2104]: https://www.rfc-editor.org/rfc/rfc2104
fn authenticate(key: &[u8; 32], parts: &[&[u8]]) -> [u8; MAC_BYTES] {
    // HMAC pads a key to its block size with zeros.
    let mut block = Zeroizing::new([0; 64]);
    for (place, byte) in block.iter_mut().zip(key) {
        *place = *byte;
    }
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new((&*block).into());
    for part in parts {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
#[expect(
    clippy::string_slice,
    reason = "the numbers and texts of a test are its own"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "fedcba9876543210fedcba9876543210";

    fn root_keys(document: &str) -> RootKeys {
        RootKeys::parse(document.as_bytes()).expect("a document")
    }

    fn first() -> RootKeys {
        root_keys(&format!(r#"{{"id":"1","key":"{KEY}"}}"#))
    }

    fn rotated() -> RootKeys {
        root_keys(&format!(
            r#"{{"id":"2","key":"{OTHER}","previous":[{{"id":"1","key":"{KEY}"}}]}}"#
        ))
    }

    /// Computed with Python's `hmac` by RFC 5869 and RFC 2104, step by step.
    #[test]
    fn macs_are_hmac_under_an_hkdf_derived_key() {
        let code = first().mac(Purpose::LimitKey, &[b"login", b"ann@example.com"]);
        assert_eq!(
            base64url::encode(&code),
            "2thCUY5jiJa8iP5o_7Kc2hWtusNl1cuuwLGO1zcBk6c"
        );
    }

    #[test]
    fn values_of_a_replaced_root_key_still_verify_and_decrypt() {
        let code = first().mac(Purpose::Audit, &[b"a"]);
        assert!(rotated().verify_mac(Purpose::Audit, &[b"a"], &code));
        assert!(!first().verify_mac(
            Purpose::Audit,
            &[b"a"],
            &rotated().mac(Purpose::Audit, &[b"a"])
        ));
        let sealed = first().seal(Purpose::FactorSecret, &[b"u1"], [7; NONCE_BYTES], b"plain");
        let opened = rotated().open(Purpose::FactorSecret, &[b"u1"], &sealed);
        assert_eq!(opened.expect("opened").expose(), b"plain");
    }

    #[test]
    fn a_mac_is_valid_only_for_its_purpose_and_context() {
        let root_keys = first();
        let code = root_keys.mac(Purpose::Audit, &[b"ab", b"c"]);
        assert!(root_keys.verify_mac(Purpose::Audit, &[b"ab", b"c"], &code));
        assert!(root_keys.verify_mac(Purpose::Audit, &[b"ab", b"c"], &code[..16]));
        assert!(!root_keys.verify_mac(Purpose::Audit, &[b"ab", b"c"], &code[..15]));
        assert!(!root_keys.verify_mac(Purpose::Audit, &[b"a", b"bc"], &code));
        assert!(!root_keys.verify_mac(Purpose::MailToken, &[b"ab", b"c"], &code));
        let sealed = root_keys.seal(Purpose::FactorSecret, &[b"u1"], [7; NONCE_BYTES], b"plain");
        for (purpose, context) in [
            (Purpose::FactorSecret, b"u2"),
            (Purpose::LoginChallenge, b"u1"),
        ] {
            let opened = root_keys.open(purpose, &[context], &sealed).map(|_| ());
            assert_eq!(opened, Err(OpenError));
        }
    }

    #[test]
    fn an_invalid_root_key_document_is_rejected_and_never_printed() {
        let short = &KEY[1..];
        let nine = vec![format!(r#"{{"id":"9","key":"{KEY}"}}"#); 9].join(",");
        for (document, error) in [
            (String::new(), RootKeysError::Malformed),
            (r#"{"id":"1"}"#.to_owned(), RootKeysError::Malformed),
            (
                format!(r#"{{"id":"1","key":"{KEY}","x":1}}"#),
                RootKeysError::Malformed,
            ),
            (
                format!(r#"{{"id":"","key":"{KEY}"}}"#),
                RootKeysError::BadId,
            ),
            (
                format!(r#"{{"id":"a-b","key":"{KEY}"}}"#),
                RootKeysError::BadId,
            ),
            (
                format!(r#"{{"id":"1","key":"{short}"}}"#),
                RootKeysError::BadKey,
            ),
            (
                format!(r#"{{"id":"1","key":"{KEY}","previous":[{{"id":"1","key":"{OTHER}"}}]}}"#),
                RootKeysError::BadId,
            ),
            (
                format!(r#"{{"id":"1","key":"{KEY}","previous":[{nine}]}}"#),
                RootKeysError::TooMany,
            ),
        ] {
            let read = RootKeys::parse(document.as_bytes()).map(|_| ());
            assert_eq!(read, Err(error), "{document}");
        }
        let printed = format!("{:?}", first());
        assert!(!printed.contains(KEY) && printed.contains("Secret(..)"));
    }

    #[test]
    fn a_generated_root_key_document_parses() {
        let document = RootKeys::document(&Secret::new([9; 32]));
        assert_eq!(root_keys(document.expose()).current_id(), "1");
    }

    proptest! {
        #[test]
        fn a_sealed_value_decrypts_and_a_modified_one_does_not(
            plain: Vec<u8>, place: prop::sample::Index, bit in 0_u8..8,
        ) {
            let root_keys = first();
            let sealed = root_keys.seal(Purpose::RefreshSuccessor, &[b"c"], [3; NONCE_BYTES], &plain);
            let opened = root_keys.open(Purpose::RefreshSuccessor, &[b"c"], &sealed).expect("ours");
            prop_assert_eq!(opened.expose(), &plain);
            let mut bytes = base64url::decode(&sealed).expect("ours");
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            let altered = base64url::encode(&bytes);
            prop_assert!(root_keys.open(Purpose::RefreshSuccessor, &[b"c"], &altered).is_err());
        }

        #[test]
        fn any_text_decrypts_or_is_rejected(text: String, bytes: Vec<u8>) {
            let _ = first().open(Purpose::LoginChallenge, &[], &text);
            let _ = first().open(Purpose::LoginChallenge, &[], &base64url::encode(&bytes));
            let _ = RootKeys::parse(&bytes);
        }
    }
}
