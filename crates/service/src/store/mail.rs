//! What is kept about mail: what waits to be sent, and the tokens in what was.

use portcullis_core::audit::AuditEvent;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::mail::{MailKind, MailPurpose, MailTokenDigest, PendingToken};
use portcullis_core::time::UnixTime;

use super::{Account, StoreError, WriteOutcome};

/// A mail that is to be sent. It holds no secret, and nothing was looked up for it: it is the same
/// whether the address has an account or not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutboxMail {
    /// Its name; the token that it will hold comes of it.
    pub id: Id,
    /// What it is about.
    pub kind: MailKind,
    /// The address in question. Its normal form finds the account, and the mail goes to the
    /// address that the account has.
    pub email: EmailAddress,
    /// The account it must be, where that is known: an address may pass to another.
    pub user_id: Option<Id>,
    /// When it was asked for.
    pub asked_at: UnixTime,
}

/// A mail that waits, as it was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutboxEntry {
    /// The mail.
    pub mail: OutboxMail,
    /// How often somebody set out to send it.
    pub attempts: u64,
    /// Nobody touches it before: a claim moves this to the claim's end, a failure to the next try.
    pub due_at: UnixTime,
}

/// Keeps mail until it is sent.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own store, so Send is inferred there"
)]
pub trait OutboxStore {
    /// Puts a mail in the outbox, with its audit row, all or none.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn enqueue(&self, mail: &OutboxMail, event: &AuditEvent) -> Result<(), StoreError>;

    /// What is due at `now`, the oldest of each shard first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn due_mail(&self, now: UnixTime) -> Result<Vec<OutboxEntry>, StoreError>;

    /// Puts `next`, the same mail, in the place of `read`. [`WriteOutcome::Conflict`] if that is not
    /// what stands there any more: somebody else has the mail.
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

    /// Removes a mail that was sent or is not to be. If somebody else has claimed it since, it
    /// stays theirs.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn remove(&self, claimed: &OutboxEntry) -> Result<(), StoreError>;

    /// Removes a mail that is given up, with its audit row, all or none. If somebody else has
    /// claimed it since, it stays theirs.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn give_up(&self, claimed: &OutboxEntry, event: &AuditEvent) -> Result<(), StoreError>;
}

/// A token that an account is to take from now on.
#[derive(Clone, Debug)]
pub struct NewMailToken {
    /// What it is good for; it replaces the one there was for that.
    pub purpose: MailPurpose,
    /// What is kept of it, and its end.
    pub pending: PendingToken,
    /// When its mail was asked for: what was asked for later is not replaced.
    pub asked_at: UnixTime,
}

/// Keeps what accounts know of the tokens in their mail.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own store, so Send is inferred there"
)]
pub trait MailTokenStore {
    /// The account of `user_id` and the token for `purpose` that it would take, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn pending_token(
        &self,
        user_id: &Id,
        purpose: MailPurpose,
    ) -> Result<Option<(Account, Option<PendingToken>)>, StoreError>;

    /// Gives `account` a token, with its audit row. [`WriteOutcome::Conflict`] if a mail that was asked
    /// for later has replaced it, or if this very token was used: it is good once, however often
    /// its mail is sent.
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

/// A token on which a change of its account hangs: it is spent with the change, or neither is.
#[derive(Clone, Copy, Debug)]
pub struct SpentToken<'a> {
    /// What it is for.
    pub purpose: MailPurpose,
    /// What the account must know of it.
    pub digest: &'a MailTokenDigest,
}
