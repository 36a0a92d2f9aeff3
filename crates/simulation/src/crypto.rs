//! Fake signatures and hashes without cost and without security. Only this crate, which has no
//! secrets, accepts them.

use std::hash::{DefaultHasher, Hasher as _};

use portcullis_core::account_claims::AccountClaims;
use portcullis_core::base64url;
use portcullis_core::id::Id;
use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_core::password::{Password, PasswordHash};
use portcullis_core::root_keys::NONCE_BYTES;
use portcullis_core::secret::Secret;
use portcullis_core::session::Methods;
use portcullis_core::time::UnixTime;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_core::token::draft::AccessTokenDraft;
use portcullis_core::token::signature::{SignatureCheck, SignatureVerdict};
use portcullis_service::ports::{
    HashError, HashVerdict, NoEntropy, PasswordHasher, SecureRandom, SignError, SignatureVerifier,
    Signer, UnusableKey,
};
use portcullis_service::signing::key_factory::KeyFactory;
use thiserror::Error;

use crate::bounds::second;
use crate::bounds::{AUDIENCE, ISSUER};
use crate::world::SimWorld;

/// 64 bytes that depend on all of `parts`.
fn code(parts: &[&[u8]]) -> [u8; 64] {
    let mut code = [0; 64];
    for (place, chunk) in code.chunks_mut(8).enumerate() {
        let mut hasher = DefaultHasher::new();
        hasher.write_usize(place);
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        chunk.copy_from_slice(&hasher.finish().to_le_bytes());
    }
    code
}

/// A key that consists only of its name.
#[derive(Clone, Debug)]
pub(crate) struct SimKey(VerifyingKey);

impl SimKey {
    pub(crate) fn new(name: &str) -> Self {
        let point = base64url::encode(&code(&[name.as_bytes()])[..32]);
        let jwk = format!(
            r#"{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"{name}","x":"{point}"}}"#
        );
        Self(VerifyingKey::parse(jwk.as_bytes()).expect("the form of a key"))
    }

    pub(crate) fn name(&self) -> &str {
        self.0.id().unwrap_or_default()
    }
}

impl Signer for SimKey {
    fn key(&self) -> &VerifyingKey {
        &self.0
    }

    fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SignError> {
        let name = self.0.id().ok_or(SignError)?;
        Ok(code(&[name.as_bytes(), input]).to_vec())
    }
}

/// A valid token that no host issued, signed with the key called `key`: an attacker with the
/// private key can create it.
pub(crate) fn forge(world: &SimWorld, key: &str) -> String {
    let id = || world.id().expect("chance");
    let draft = AccessTokenDraft {
        issuer: ISSUER.to_owned(),
        subject: id(),
        audience: AUDIENCE.to_owned(),
        client_id: "simulation".to_owned(),
        token_id: id(),
        session_id: id(),
        generation: 0,
        authenticated_at: UnixTime::default(),
        methods: Methods::Password,
        // Early enough that no edge rejects it as issued in the future.
        issued_at: second(world.now(), -1_000),
        lifetime: world.plan.lifetime,
        account: AccountClaims::default(),
    };
    let input = draft.signing_input(Algorithm::EdDsa, key);
    let signature = SimKey::new(key)
        .sign(input.as_bytes())
        .expect("it is named");
    input.with_signature(&signature).expose().clone()
}

/// The stored text is no key.
#[derive(Debug, Error)]
#[error("the version of the secret holds no signing key")]
pub(crate) struct NoKey;

/// A key is stored as its name.
impl KeyFactory for SimWorld {
    type Key = SimKey;
    type Error = NoKey;

    fn make(&self, _: Algorithm) -> Result<SimKey, NoKey> {
        let number = self.keys.get() + 1;
        self.keys.set(number);
        Ok(SimKey::new(&format!("k{number}")))
    }

    fn read(&self, kept: &Secret<String>) -> Result<SimKey, NoKey> {
        let is_name = kept.expose().starts_with('k');
        is_name.then(|| SimKey::new(kept.expose())).ok_or(NoKey)
    }

    fn write(&self, key: &SimKey) -> Secret<String> {
        Secret::new(key.name().to_owned())
    }
}

/// Verifies the signatures of [`SimKey`].
pub(crate) struct SimSignatures;

impl SignatureVerifier for SimSignatures {
    async fn check(&self, check: &SignatureCheck<'_>) -> Result<SignatureVerdict, UnusableKey> {
        let name = check.key().id().ok_or(UnusableKey)?;
        let good = code(&[name.as_bytes(), check.signing_input()]);
        Ok(if check.signature() == good {
            SignatureVerdict::Valid
        } else {
            SignatureVerdict::Invalid
        })
    }
}

/// Hashes without delay.
pub(crate) struct SimHasher;

pub(crate) fn hash_of(password: &Password) -> PasswordHash {
    let hash = base64url::encode(&code(&[password.as_bytes()])[..16]);
    PasswordHash::parse(&format!("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ${hash}"))
        .expect("the form of a hash")
}

impl PasswordHasher for SimHasher {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HashError> {
        Ok(hash_of(password))
    }

    async fn verify(
        &self,
        password: &Password,
        stored: Option<&PasswordHash>,
    ) -> Result<HashVerdict, HashError> {
        let is_it = stored.is_some_and(|stored| stored.as_phc() == hash_of(password).as_phc());
        Ok(if is_it {
            HashVerdict::Matches
        } else {
            HashVerdict::Differs
        })
    }

    fn can_check(&self, _stored: &PasswordHash) -> bool {
        true
    }
}

impl SecureRandom for SimWorld {
    fn id(&self) -> Result<Id, NoEntropy> {
        Ok(Id::from_random(self.random.bytes()))
    }

    fn secret(&self) -> Result<Secret<[u8; 32]>, NoEntropy> {
        Ok(Secret::new(self.random.bytes()))
    }

    fn nonce(&self) -> Result<[u8; NONCE_BYTES], NoEntropy> {
        Ok(self.random.bytes())
    }
}
