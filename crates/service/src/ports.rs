//! The ports that are no store: time, chance, signatures, hashing and mail.

mod mailer;

pub use mailer::{Mail, MailError, Mailer, Subject};

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

/// What one call is made of besides its content.
#[derive(Clone, Debug)]
pub struct RequestMeta {
    /// The second at which the door took it.
    pub now: UnixTime,
    /// Its name; writes made for it bear it, so that a retry knows its own.
    pub request_id: Id,
    /// The client's address as the platform reports it, or empty where it reports none.
    pub client_address: String,
}

/// Reads the clock again after I/O, where an answer depends on how long that took.
pub trait Clock {
    /// The present second.
    fn now(&self) -> UnixTime;
}

/// Draws new names and secrets.
pub trait SecureRandom {
    /// 128 random bits as an id.
    ///
    /// # Errors
    ///
    /// [`NoEntropy`] if the platform has none to give; nothing may be named then.
    fn id(&self) -> Result<Id, NoEntropy>;

    /// 256 random bits that nobody may guess.
    ///
    /// # Errors
    ///
    /// [`NoEntropy`].
    fn secret(&self) -> Result<Secret<[u8; 32]>, NoEntropy>;

    /// A nonce for one sealing of the vault.
    ///
    /// # Errors
    ///
    /// [`NoEntropy`].
    fn nonce(&self) -> Result<[u8; NONCE_BYTES], NoEntropy>;
}

/// The platform gave no random bytes.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the platform gave no random bytes")]
pub struct NoEntropy;

/// Checks signatures on whatever the platform does that best with.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own implementation, so Send is inferred there"
)]
pub trait SignatureVerifier {
    /// Checks one signature. Implementations are held to the same answers by one corpus.
    ///
    /// # Errors
    ///
    /// [`UnusableKey`] if the platform does not take the key: a point off its curve, say.
    async fn check(&self, check: &SignatureCheck<'_>) -> Result<SignatureVerdict, UnusableKey>;
}

/// The platform does not take the key.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the platform does not take this key")]
pub struct UnusableKey;

/// Signs the tokens we issue.
pub trait Signer {
    /// The public half, named and pinned to one algorithm.
    fn key(&self) -> &VerifyingKey;

    /// Signs the bytes `header.payload`; the signature as JWS has it.
    ///
    /// # Errors
    ///
    /// [`SignError`] if the key or the platform's random source fails.
    fn sign(&self, signing_input: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// Nothing was signed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the signing key did not sign")]
pub struct SignError;

/// Whoever knows of breaches did not answer, and the operator wants no password without it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("breached passwords could not be asked about")]
pub struct ScreeningUnavailable;

/// Hashes passwords: slowly, within bounds, off the async threads.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own implementation, so Send is inferred there"
)]
pub trait PasswordHasher {
    /// Hashes a new password under a fresh salt and today's parameters.
    ///
    /// # Errors
    ///
    /// [`HashError`].
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HashError>;

    /// Compares `password` with a stored hash. Without one it takes as long over a decoy and
    /// answers [`HashVerdict::Differs`].
    ///
    /// # Errors
    ///
    /// [`HashError`].
    async fn verify(
        &self,
        password: &Password,
        stored: Option<&PasswordHash>,
    ) -> Result<HashVerdict, HashError>;

    /// Whether a hash that somebody else made can be checked here, within the bounds.
    fn can_check(&self, stored: &PasswordHash) -> bool;
}

/// What comparing a password with its hash gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum HashVerdict {
    /// It is the password, and its hash is as good as today's.
    Matches,
    /// It is the password, and its hash was made with lesser parameters.
    MatchesOutdated,
    /// It is not the password.
    Differs,
}

/// Nothing was hashed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum HashError {
    /// As many are being hashed as memory allows.
    #[error("too many passwords are being hashed")]
    Busy,
    /// The stored hash cannot be read, or the platform failed.
    #[error("the password could not be hashed")]
    Failed,
}
