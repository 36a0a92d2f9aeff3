//! The stored mail data: the outbox, and the tokens in sent mails.

use portcullis_core::audit::AuditEvent;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::mail::{MailKind, MailPurpose, MailTokenDigest, PendingToken};
use portcullis_core::time::UnixTime;

use super::{Account, StoreError, WriteOutcome};

/// A mail to be sent. It contains no secret, and no account was looked up for it: it is the same
/// whether the address is registered or not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutboxMail {
    /// Its identifier; its token is derived from it.
    pub id: Id,
    /// Its kind.
    pub kind: MailKind,
    /// The address. Its normal form finds the account, and the mail goes to the address of the
    /// account.
    pub email: EmailAddress,
    /// The expected account, if it is known: an address may pass to another account.
    pub user_id: Option<Id>,
    /// The time of the request.
    pub asked_at: UnixTime,
}

/// An outbox entry, as read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutboxEntry {
    /// The mail.
    pub mail: OutboxMail,
    /// The number of started attempts.
    pub attempts: u64,
    /// Not processed before this time: a lease sets it to the end of the lease, a failure to the
    /// next attempt.
    pub due_at: UnixTime,
}

/// Stores mails until they are sent.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait OutboxStore {
    /// Adds a mail to the outbox with its audit row, atomically.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn enqueue(&self, mail: &OutboxMail, event: &AuditEvent) -> Result<(), StoreError>;

    /// The mails due at `now`, the oldest of each shard first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn due_mail(&self, now: UnixTime) -> Result<Vec<OutboxEntry>, StoreError>;

    /// Replaces `read` by `next`, the same mail. Returns [`WriteOutcome::Conflict`] if the entry
    /// has changed: another dispatcher holds the lease.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn reserve(
        &self,
        read: &OutboxEntry,
        next: &OutboxEntry,
        request_id: &Id,
    ) -> Result<WriteOutcome, StoreError>;

    /// Removes a mail that was sent or is no longer needed. If another dispatcher has leased it
    /// since, it stays.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn remove(&self, claimed: &OutboxEntry) -> Result<(), StoreError>;

    /// Removes a mail that is given up, with its audit row, atomically. If another dispatcher has
    /// leased it since, it stays.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn give_up(&self, claimed: &OutboxEntry, event: &AuditEvent) -> Result<(), StoreError>;
}

/// A token that an account accepts from now on.
#[derive(Clone, Debug)]
pub struct NewMailToken {
    /// Its purpose; it replaces the previous token for that purpose.
    pub purpose: MailPurpose,
    /// Its stored form and its end.
    pub pending: PendingToken,
    /// The time of the request for its mail: a token of a later request is not replaced.
    pub asked_at: UnixTime,
}

/// Stores the accounts' side of the tokens in their mails.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait MailTokenStore {
    /// The account of `user_id` and its stored token for `purpose`, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn pending_token(
        &self,
        user_id: &Id,
        purpose: MailPurpose,
    ) -> Result<Option<(Account, Option<PendingToken>)>, StoreError>;

    /// The account of `user_id` and its used token for `purpose`, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn used_token(
        &self,
        user_id: &Id,
        purpose: MailPurpose,
    ) -> Result<Option<(Account, PendingToken)>, StoreError>;

    /// Gives `account` a token, with its audit row. Returns [`WriteOutcome::Conflict`] if the token
    /// of a later request has replaced it, or this token was used: a token works once, even if its
    /// mail is sent several times.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn issue_token(
        &self,
        account: &Account,
        token: &NewMailToken,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError>;
}

/// A token that a change of its account depends on: the change and its use are atomic.
#[derive(Clone, Copy, Debug)]
pub struct SpentToken<'a> {
    /// Its purpose.
    pub purpose: MailPurpose,
    /// The expected stored token of the account.
    pub digest: &'a MailTokenDigest,
}
