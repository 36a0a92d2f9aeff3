//! The store ports: what the use cases need kept, in whole steps, and nothing about where.
//!
//! What must be atomic is one call. Each write names the request it is made for, so that one that
//! is repeated after a lost answer recognises itself.

use portcullis_core::audit::AuditEvent;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::keys::document::KeyDocument;
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
mod limits;
mod mail;
mod packs;

pub use audit::{AuditReader, StoredEntry};
pub use change::{AccountChange, RetainedSession, SessionsEnd};
pub use domains::{DomainPage, DomainStore, PageCursor};
pub use factors::{FactorStore, Factors, TotpFactor};
pub use limits::{Bucket, Counted, LimitStore};
pub use mail::{MailTokenStore, NewMailToken, OutboxEntry, OutboxMail, OutboxStore, SpentToken};
pub use packs::PackStore;

/// The store did not do what it was asked.
#[derive(Debug, Error)]
#[error("{operation} failed in the store")]
pub struct StoreError {
    operation: &'static str,
    source: Box<dyn core::error::Error + Send + Sync>,
    is_damage: bool,
}

impl StoreError {
    /// Names what was attempted; `source` holds why it failed.
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

    /// What was asked for is there and makes no sense: asking again gives the same.
    pub fn corrupt(
        operation: &'static str,
        source: impl core::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            is_damage: true,
            ..Self::new(operation, source)
        }
    }

    /// Whether it was made by [`StoreError::damage`].
    pub const fn is_corrupt(&self) -> bool {
        self.is_damage
    }

    /// What was attempted.
    pub const fn operation(&self) -> &'static str {
        self.operation
    }
}

/// An account as it is kept.
#[derive(Clone, Debug)]
pub struct Account {
    /// The stable name tokens speak for (`sub`).
    pub user_id: Id,
    /// The address it was made with, in both forms.
    pub email: EmailAddress,
    /// The hash of its password.
    pub password: PasswordHash,
    /// Whether it may be used.
    pub status: AccountStatus,
    /// When it was made.
    pub created_at: UnixTime,
    /// When its address was verified, if it was.
    pub verified_at: Option<UnixTime>,
    /// Raised to end every session of the subject.
    pub generation: u64,
    /// Raised by every write.
    pub version: u64,
}

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AccountStatus {
    /// It may.
    Active,
    /// An operator closed it.
    Disabled,
}

/// A session as it stands, with the account it is of.
#[derive(Clone, Debug)]
pub struct SessionWithAccount {
    /// The session.
    pub session: Session,
    /// The account under the address it was opened with, if there is one.
    pub account: Option<Account>,
}

/// How a write that may be made once ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum WriteOutcome {
    /// It is done, now or by an earlier attempt of the same request.
    Applied,
    /// Somebody else was first; nothing was written.
    Conflict,
}

/// Keeps accounts.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own store, so Send is inferred there"
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

    /// Makes the account: user, user by id and domain, the mail that goes out about it and the
    /// audit row, all or none. [`WriteOutcome::Conflict`] if the address has one.
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

    /// Makes an account that another system knew, without a word to its owner.
    /// [`WriteOutcome::Conflict`] if the address has one.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn import(
        &self,
        account: &Account,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError>;

    /// Costs what making `account` costs, in rows, bytes and units, and makes none of it: only the
    /// mail and the audit row are written, since the address has an account.
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

    /// Changes `account` as `change` says, with its audit row, all or none. [`WriteOutcome::Conflict`]
    /// if the account changed since it was read, or the session that was to stay is gone.
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

    /// Removes `account` and all that stands beside it: sessions and their locators, factors, the
    /// way from its id, its place among its domain. The account itself and its audit row come
    /// last, in one step: what was cut off before can be repeated. [`WriteOutcome::Conflict`] if the
    /// account changed since it was read. Nobody may be able to log in to it any more.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: then it may be removed in part, but for the account itself.
    async fn erase(
        &self,
        account: &Account,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError>;
}

/// How many sessions of an account are listed.
pub const MAX_SESSIONS: u32 = 100;

/// Keeps sessions.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own store, so Send is inferred there"
)]
pub trait SessionStore {
    /// Opens a session: its row, its locator and the audit row, all or none. Refused with
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

    /// The session and its account, read consistently; `None` if there is no such session.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: then nothing is known of it.
    async fn family(&self, session_id: &Id) -> Result<Option<SessionWithAccount>, StoreError>;

    /// Puts `next` in the place of the head that `session` was read with, with the audit row.
    /// [`WriteOutcome::Conflict`] if it is not the head any more, or the session is gone: of any number
    /// of hosts that advance one head, one does.
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

    /// The sessions opened with `email`, the newest first and at most [`MOST_SESSIONS`], read
    /// consistently; some may be over.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also if only part of them could be read.
    async fn sessions(&self, email: &EmailAddress) -> Result<Vec<Session>, StoreError>;

    /// Ends a session and calls back what is left of it, in one step: the session row and its
    /// locator go, each revocation and its feed row, stamped `stamp`, and the audit row come.
    /// A session that is already gone is no error: what is called back is written all the same.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: then nothing may be taken for ended.
    async fn end_session(
        &self,
        session_id: &Id,
        revocations: &[Revocation],
        stamp: UnixTime,
        event: &AuditEvent,
    ) -> Result<(), StoreError>;
}

/// Knows what was called back.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own store, so Send is inferred there"
)]
pub trait RevocationStore {
    /// What stands against this one token, read consistently from its own rows.
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

    /// Calls tokens back: each revocation and its feed row, stamped `stamp`, and the audit row, all
    /// or none.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: then nothing may be taken for called back.
    async fn put_revocation(
        &self,
        revocations: &[Revocation],
        stamp: UnixTime,
        event: &AuditEvent,
    ) -> Result<(), StoreError>;

    /// Writes feed rows again, stamped afresh, for revocations whose first rows took too long.
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
}

/// Keeps the key document.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own store, so Send is inferred there"
)]
pub trait KeyStore {
    /// The document, read consistently; empty (version 0) before the first write.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; a document that does not parse is one too, with `KeyDocumentError` as source.
    async fn key_document(&self) -> Result<KeyDocument, StoreError>;
}

/// Keeps the audit trail of what changes no other state.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own store, so Send is inferred there"
)]
pub trait AuditStore {
    /// Writes one line.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn record(&self, event: &AuditEvent) -> Result<(), StoreError>;
}
