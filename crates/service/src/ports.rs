//! The ports other than the store: time, randomness, signatures, hashing and mail.

mod mailer;

pub use mailer::{AUTO_SUBMITTED, Mail, MailError, Mailer, Subject};

use portcullis_core::id::Id;
use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_core::password::{Password, PasswordHash};
use portcullis_core::root_keys::NONCE_BYTES;
use portcullis_core::secret::Secret;
use portcullis_core::time::UnixTime;
use portcullis_core::token::signature::{SignatureCheck, SignatureVerdict};
use thiserror::Error;

mod cache;

pub use cache::{ImmutableCache, NoCache};

/// The metadata of one request.
#[derive(Clone, Debug)]
pub struct RequestMeta {
    /// The second at which the adapter received it.
    pub now: UnixTime,
    /// Its identifier. Every write for the request carries it, so a retry recognises its own write.
    // SECURITY: drawn by the host, never read from the request: it decides which writes are ours.
    pub request_id: Id,
    /// The client's address as the platform reports it, or empty without such a report.
    pub client_address: String,
}

/// Reads the clock again after I/O, where the result depends on the duration.
pub trait Clock {
    /// The current second.
    fn now(&self) -> UnixTime;
}

/// Generates random identifiers and secrets.
pub trait SecureRandom {
    /// 128 random bits as an id.
    ///
    /// # Errors
    ///
    /// [`NoEntropy`] if the platform returns no random bytes; nothing may be created then.
    fn id(&self) -> Result<Id, NoEntropy>;

    /// 256 random bits that an attacker cannot guess.
    ///
    /// # Errors
    ///
    /// [`NoEntropy`].
    fn secret(&self) -> Result<Secret<[u8; 32]>, NoEntropy>;

    /// A nonce for one encryption under the root keys.
    ///
    /// # Errors
    ///
    /// [`NoEntropy`].
    fn nonce(&self) -> Result<[u8; NONCE_BYTES], NoEntropy>;
}

/// The platform returned no random bytes.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the platform gave no random bytes")]
pub struct NoEntropy;

/// Verifies signatures with the best implementation of the platform.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own implementation, so Send is inferred there"
)]
pub trait SignatureVerifier {
    /// Verifies one signature. One test corpus holds all implementations to the same results.
    ///
    /// # Errors
    ///
    /// [`UnusableKey`] if the platform rejects the key, for example a point that is not on its
    /// curve.
    async fn check(&self, check: &SignatureCheck<'_>) -> Result<SignatureVerdict, UnusableKey>;
}

/// The platform rejects the key.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the platform does not take this key")]
pub struct UnusableKey;

/// Signs the tokens that this service issues.
pub trait Signer {
    /// The public key, with its `kid` and one fixed algorithm.
    fn key(&self) -> &VerifyingKey;

    /// Signs the bytes `header.payload`; returns the signature in JWS form.
    ///
    /// # Errors
    ///
    /// [`SignError`] if the key or the platform's random source fails.
    fn sign(&self, signing_input: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// Signing failed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the signing key failed to sign")]
pub struct SignError;

/// The breached-password service did not respond, and the operator allows no password without it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the breached-password service could not be queried")]
pub struct ScreeningUnavailable;

/// Hashes passwords: slowly, within limits, off the async threads.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own implementation, so Send is inferred there"
)]
pub trait PasswordHasher {
    /// Hashes a new password with a new salt and the current parameters.
    ///
    /// # Errors
    ///
    /// [`HashError`].
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HashError>;

    /// Compares `password` with a stored hash. Without one it takes as long over a decoy and
    /// returns [`HashVerdict::Differs`].
    ///
    /// # Errors
    ///
    /// [`HashError`].
    async fn verify(
        &self,
        password: &Password,
        stored: Option<&PasswordHash>,
    ) -> Result<HashVerdict, HashError>;

    /// Whether a hash of another system can be verified here, within the limits.
    fn can_check(&self, stored: &PasswordHash) -> bool;
}

/// The result of comparing a password with its hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum HashVerdict {
    /// The password is correct, and its hash has the current parameters.
    Matches,
    /// The password is correct, and its hash has weaker parameters.
    MatchesOutdated,
    /// The password is wrong.
    Differs,
}

/// Hashing failed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum HashError {
    /// The concurrent hashes use all of the allowed memory.
    #[error("too many concurrent password hashes")]
    Busy,
    /// The stored hash cannot be parsed, or the platform failed.
    #[error("the password could not be hashed")]
    Failed,
}
