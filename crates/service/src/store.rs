//! The store ports: the atomic operations that the use cases need, independent of the storage.
//!
//! Each atomic operation is one call. Each write carries the identifier of its request, so a retry
//! after a lost response recognises its own write.

use portcullis_core::account_claims::AccountClaims;
use portcullis_core::audit::AuditEvent;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::password::PasswordHash;
use portcullis_core::refresh::RefreshHead;
use portcullis_core::revocation::{Revocation, Revocations, TokenIds};
use portcullis_core::session::Session;
use portcullis_core::time::UnixTime;
use thiserror::Error;

mod audit;
mod change;
mod domains;
mod factors;
mod keys;
mod limits;
mod mail;
mod packs;

pub use audit::{AuditReader, StoredEntry};
pub use change::{AccountChange, KeptSession, RetainedSession, SessionsEnd, TokensEnd};
pub use domains::{AccountPage, DomainPage, DomainStore, PageCursor};
pub use factors::{FactorStore, Factors, TotpFactor};
pub use keys::{KeyChangeStore, KeyStore};
pub use limits::{Bucket, BucketGroup, BucketState, Counted, LimitAdminStore, LimitStore};
pub use mail::{MailTokenStore, NewMailToken, OutboxEntry, OutboxMail, OutboxStore, SpentToken};
pub use packs::PackStore;

/// A store operation failed.
#[derive(Debug, Error)]
#[error("{operation} failed in the store")]
pub struct StoreError {
    operation: &'static str,
    source: Box<dyn core::error::Error + Send + Sync>,
    is_damage: bool,
}

impl StoreError {
    /// Names the attempted operation; `source` is the cause.
    pub fn new(
        operation: &'static str,
        source: impl core::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            operation,
            source: Box::new(source),
            is_damage: false,
        }
    }

    /// The stored data is invalid: a retry returns the same.
    pub fn corrupt(
        operation: &'static str,
        source: impl core::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            is_damage: true,
            ..Self::new(operation, source)
        }
    }

    /// Whether the error was created by [`StoreError::corrupt`].
    pub const fn is_corrupt(&self) -> bool {
        self.is_damage
    }

    /// The attempted operation.
    pub const fn operation(&self) -> &'static str {
        self.operation
    }
}

/// A stored account.
#[derive(Clone, Debug)]
pub struct Account {
    /// The stable subject of its tokens (`sub`).
    pub user_id: Id,
    /// The address it was created with, in both forms.
    pub email: EmailAddress,
    /// The hash of its password.
    pub password: PasswordHash,
    /// Whether the password was accepted only because the account had a second factor. A hash does
    /// not tell the length.
    pub short_password: bool,
    /// Whether it is active.
    pub status: AccountStatus,
    /// The time of its creation.
    pub created_at: UnixTime,
    /// The time when its address was verified, if it was.
    pub verified_at: Option<UnixTime>,
    /// Incremented to revoke every session of the subject.
    pub generation: u64,
    /// Incremented to revoke every access token of the subject: with its sessions, or alone. Its
    /// tokens carry it (`gen`).
    pub token_generation: u64,
    /// The scopes, roles and custom claims of its access tokens.
    pub claims: AccountClaims,
    /// Incremented by every write.
    pub version: u64,
}

/// Whether an account is active.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AccountStatus {
    /// Active.
    Active,
    /// Closed by an operator.
    Disabled,
}

/// The current state of a session, with its account.
#[derive(Clone, Debug)]
pub struct SessionWithAccount {
    /// The session.
    pub session: Session,
    /// The account under the address that the session was opened with, if it exists.
    pub account: Option<Account>,
}

/// The outcome of a conditional write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum WriteOutcome {
    /// It is applied, now or by an earlier attempt of the same request.
    Applied,
    /// A concurrent write was first; nothing was written.
    Conflict,
}

/// The outcome of writing an imported account.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum ImportWrite {
    /// The account is created, now or by an earlier attempt of the same request.
    Applied,
    /// The address has an account under this user id; nothing was written.
    AddressTaken(Id),
    /// The user id belongs to an account of another address; nothing was written.
    UserIdTaken,
}

/// The outcome of a repeated announcement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Announced {
    /// A new feed row is written.
    Written,
    /// An earlier feed row is committed and recent; nothing was written.
    Before,
}

/// Stores accounts.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait AccountStore {
    /// The account under `email`, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn account(&self, email: &EmailAddress) -> Result<Option<Account>, StoreError>;

    /// The account of `user_id`, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn account_of(&self, user_id: &Id) -> Result<Option<Account>, StoreError>;

    /// Creates the account atomically: user, user by id and domain, its mail and the audit row.
    /// Returns [`WriteOutcome::Conflict`] if the address is registered.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn register(
        &self,
        account: &Account,
        mail: &OutboxMail,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError>;

    /// Creates an account from another system without a mail to its owner, atomically with its
    /// audit row. Changes nothing if its address or its user id belongs to an account.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn import(
        &self,
        account: &Account,
        event: &AuditEvent,
    ) -> Result<ImportWrite, StoreError>;

    /// Costs as many rows, bytes and units as creating `account`, but creates nothing: only the
    /// mail and the audit row are written, since the address is registered.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn register_decoy(
        &self,
        account: &Account,
        mail: &OutboxMail,
        event: &AuditEvent,
    ) -> Result<(), StoreError>;

    /// Applies `change` to `account` with its audit row, atomically. Returns
    /// [`WriteOutcome::Conflict`] if the account changed since it was read, or the retained session
    /// is gone.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: then nothing may be taken for changed.
    async fn change_account(
        &self,
        account: &Account,
        change: &AccountChange<'_>,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError>;

    /// Deletes `account` and all its rows: sessions and their locators, factors, the index by id
    /// and by domain. One last step removes the account and writes the audit row and the notice
    /// `mail`, so an aborted deletion can be repeated. Returns [`WriteOutcome::Conflict`] if the account changed since it
    /// was read. The account must be closed before.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: then it may be removed in part, but for the account itself.
    async fn erase(
        &self,
        account: &Account,
        mail: Option<&OutboxMail>,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError>;
}

/// The maximum of listed sessions per account.
pub const MAX_SESSIONS: u32 = 100;

/// Stores sessions.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait SessionStore {
    /// Opens a session atomically: its row, its locator and the audit row. Returns
    /// [`WriteOutcome::Conflict`] if the account's generation or status changed since it was read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn open_session(
        &self,
        session: &Session,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError>;

    /// The session and its account, read consistently; `None` if the session does not exist.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: then nothing is known of it.
    async fn family(&self, session_id: &Id) -> Result<Option<SessionWithAccount>, StoreError>;

    /// The session `retained` of `account`, read consistently; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn session_of(
        &self,
        account: &Account,
        retained: &RetainedSession,
    ) -> Result<Option<Session>, StoreError>;

    /// Replaces the head that `session` was read with by `next`, with the audit row. Returns
    /// [`WriteOutcome::Conflict`] if the head has changed or the session is gone. Of any number of
    /// hosts that advance one head, exactly one succeeds.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: then the head may be the old or the new one.
    async fn advance(
        &self,
        session: &Session,
        next: &RefreshHead,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError>;

    /// The sessions opened with `email`, the newest first and at most [`MAX_SESSIONS`], read
    /// consistently; some may have ended.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also if only part of them could be read.
    async fn sessions(&self, email: &EmailAddress) -> Result<Vec<Session>, StoreError>;

    /// Ends a session and revokes its remaining tokens atomically: deletes the session row and its
    /// locator, and writes each revocation with its feed row, stamped `stamp`, the notice `mail` and
    /// the audit row.
    /// If the session is already gone, the revocations are written all the same.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: then nothing may be taken for ended.
    async fn end_session(
        &self,
        session_id: &Id,
        revocations: &[Revocation],
        stamp: UnixTime,
        mail: Option<&OutboxMail>,
        event: &AuditEvent,
    ) -> Result<(), StoreError>;
}

/// Reads and writes revocations.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait RevocationStore {
    /// The revocations that affect this one token, read consistently from its own rows.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also if only part of it could be read.
    async fn revocations_of(&self, token: TokenIds<'_>) -> Result<Revocations, StoreError>;

    /// Every row of the feed stamped from `from` to `to`, read consistently: all shards, all pages.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also if only part of it could be read.
    async fn feed(&self, from: UnixTime, to: UnixTime) -> Result<Vec<Revocation>, StoreError>;

    /// Revokes tokens atomically: each revocation and its feed row, stamped `stamp`, and the audit
    /// row.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the caller must not report the revocation as done.
    async fn put_revocation(
        &self,
        revocations: &[Revocation],
        stamp: UnixTime,
        event: &AuditEvent,
    ) -> Result<(), StoreError>;

    /// Writes feed rows again with a new stamp, for revocations with a late first row.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: then they may not be taken for announced.
    async fn announce(
        &self,
        revocations: &[Revocation],
        stamp: UnixTime,
        request_id: &Id,
    ) -> Result<(), StoreError>;

    /// Writes `revocation` and a feed row stamped `stamp` atomically, unless a feed row that covers
    /// it has a stamp of `since` or later: then it writes nothing. Never lowers the generation of a
    /// subject.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: then it may not be taken for announced.
    async fn announce_again(
        &self,
        revocation: &Revocation,
        since: UnixTime,
        stamp: UnixTime,
        request_id: &Id,
    ) -> Result<Announced, StoreError>;
}

/// Stores audit entries of events that change no other state.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait AuditStore {
    /// Writes one entry.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn record(&self, event: &AuditEvent) -> Result<(), StoreError>;
}
