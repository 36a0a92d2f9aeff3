//! Tokens of mailed links: the user's row stores one token for each purpose.

use portcullis_core::audit::AuditEvent;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::mail::{MailPurpose, MailTokenDigest, PendingToken};
use portcullis_service::store::{
    Account, AccountChange, MailTokenStore, NewMailToken, SpentToken, StoreError, WriteOutcome,
};

use super::account_row::read_user;
use super::audit::audit_row;
use super::{DynamoStore, RowError, time};
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::table::Key;
use crate::dynamodb::write::Expression;
use crate::transport::Transport;

impl<T: Transport> MailTokenStore for DynamoStore<'_, T> {
    async fn pending_token(
        &self,
        user_id: &Id,
        purpose: MailPurpose,
    ) -> Result<Option<(Account, Option<PendingToken>)>, StoreError> {
        let stored = self.stored_token(user_id, purpose).await?;
        Ok(stored.map(|(account, token)| {
            let pending = token.filter(|token| !token.is_used);
            (account, pending.map(|token| token.token))
        }))
    }

    async fn used_token(
        &self,
        user_id: &Id,
        purpose: MailPurpose,
    ) -> Result<Option<(Account, PendingToken)>, StoreError> {
        let stored = self.stored_token(user_id, purpose).await?;
        Ok(stored.and_then(|(account, token)| {
            let used = token.filter(|token| token.is_used)?;
            Some((account, used.token))
        }))
    }

    async fn issue_token(
        &self,
        account: &Account,
        token: &NewMailToken,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        const OPERATION: &str = "issuing a mailed token";
        let names = Names::of(token.purpose);
        let digest = token.pending.digest.as_str();
        // Neither the version nor the request id changes, so a mail in progress does not conflict
        // with account changes.
        let change = Expression::set([
            (names.digest, Attribute::text(digest)),
            (
                names.ends_at,
                Attribute::number(token.pending.ends_at.as_secs()),
            ),
            (names.asked_at, Attribute::number(token.asked_at.as_secs())),
        ])
        .removing(names.used);
        // A used token leaves its request time behind: its mail may be sent again, but the token
        // does not become valid again.
        let latest = Expression::of(names.latest)
            .with(":owner", Attribute::text(account.user_id.as_str()))
            .with(":asked", Attribute::number(token.asked_at.as_secs()))
            .with(":same", Attribute::text(digest));
        let mut transaction = self.transaction();
        transaction.update_if(&Key::user(&account.email), &change, &latest);
        transaction.put(&Key::audit(event), audit_row(event));
        self.commit(OPERATION, transaction)
            .await?
            .write_outcome(OPERATION, |row| row.text(names.digest) == Ok(digest))
    }
}

impl<T: Transport> DynamoStore<'_, T> {
    /// The account of `user_id` and its token for `purpose`, also a used one, read consistently.
    async fn stored_token(
        &self,
        user_id: &Id,
        purpose: MailPurpose,
    ) -> Result<Option<(Account, Option<StoredToken>)>, StoreError> {
        const OPERATION: &str = "reading a mailed token";
        let failed = |error| StoreError::new(OPERATION, error);
        let row = self.client.row(&Key::user_by_id(user_id), self.now).await;
        let Some(row) = row.map_err(|error| StoreError::new(OPERATION, error))? else {
            return Ok(None);
        };
        let email = row.text("email").map_err(RowError::from).map_err(failed)?;
        let email = EmailAddress::parse(email);
        let email = email.map_err(|_| failed(RowError::Value("email")))?;
        let row = self.client.row(&Key::user(&email), self.now).await;
        let Some(row) = row.map_err(|error| StoreError::new(OPERATION, error))? else {
            return Ok(None);
        };
        let account = read_user(&row, &email).map_err(failed)?;
        if account.user_id != *user_id {
            return Ok(None);
        }
        let token = read_token(&row, Names::of(purpose)).map_err(failed)?;
        Ok(Some((account, token)))
    }
}

/// The attributes of one purpose in the user's row.
#[derive(Clone, Copy)]
struct Names {
    digest: &'static str,
    ends_at: &'static str,
    asked_at: &'static str,
    /// Present once the token was used.
    used: &'static str,
    /// The condition that the row is the owner's, no mail requested later has been sent and this
    /// token is unused.
    latest: &'static str,
    /// The condition that the row is unchanged since it was read and contains the token.
    unspent: &'static str,
}

impl Names {
    const fn of(purpose: MailPurpose) -> Self {
        match purpose {
            MailPurpose::Verify => Self {
                digest: "verify_token",
                ends_at: "verify_ends_at",
                asked_at: "verify_asked_at",
                used: "verify_used",
                latest: "#user_id = :owner AND (attribute_not_exists(#verify_asked_at) \
                         OR #verify_asked_at < :asked OR (#verify_token = :same AND attribute_not_exists(#verify_used)))",
                unspent: "#version = :read AND #verify_token = :token \
                          AND attribute_not_exists(#verify_used)",
            },
            MailPurpose::Reset => Self {
                digest: "reset_token",
                ends_at: "reset_ends_at",
                asked_at: "reset_asked_at",
                used: "reset_used",
                latest: "#user_id = :owner AND (attribute_not_exists(#reset_asked_at) \
                         OR #reset_asked_at < :asked OR (#reset_token = :same AND attribute_not_exists(#reset_used)))",
                unspent: "#version = :read AND #reset_token = :token \
                          AND attribute_not_exists(#reset_used)",
            },
            MailPurpose::Invite => Self {
                digest: "invite_token",
                ends_at: "invite_ends_at",
                asked_at: "invite_asked_at",
                used: "invite_used",
                latest: "#user_id = :owner AND (attribute_not_exists(#invite_asked_at) \
                         OR #invite_asked_at < :asked OR (#invite_token = :same AND attribute_not_exists(#invite_used)))",
                unspent: "#version = :read AND #invite_token = :token \
                          AND attribute_not_exists(#invite_used)",
            },
            MailPurpose::Unlock => Self {
                digest: "unlock_token",
                ends_at: "unlock_ends_at",
                asked_at: "unlock_asked_at",
                used: "unlock_used",
                latest: "#user_id = :owner AND (attribute_not_exists(#unlock_asked_at) \
                         OR #unlock_asked_at < :asked OR (#unlock_token = :same AND attribute_not_exists(#unlock_used)))",
                unspent: "#version = :read AND #unlock_token = :token \
                          AND attribute_not_exists(#unlock_used)",
            },
        }
    }
}

/// A token as stored.
struct StoredToken {
    token: PendingToken,
    is_used: bool,
}

fn read_token(row: &Item, names: Names) -> Result<Option<StoredToken>, RowError> {
    let Some(digest) = row.optional_text(names.digest)? else {
        return Ok(None);
    };
    Ok(Some(StoredToken {
        token: PendingToken {
            digest: MailTokenDigest::from_text(digest),
            ends_at: time(row, names.ends_at)?,
        },
        is_used: row.contains(names.used),
    }))
}

/// The condition that the account is unchanged since it was read (`:read` is its version) and
/// contains the token.
pub(super) fn unspent(token: &SpentToken<'_>) -> Expression {
    Expression::of(Names::of(token.purpose).unspent)
        .with(":token", Attribute::text(token.digest.as_str()))
}

/// The mark of the token that a change uses. The token stays in the row, so that a retry of the change
/// is recognised.
pub(super) fn used_by(change: &AccountChange<'_>) -> Option<(&'static str, Attribute)> {
    let token = change.spends?;
    Some((Names::of(token.purpose).used, Attribute::flag(true)))
}

/// The attributes that a change removes: if every session ends, those of a pending reset or
/// invitation, which was requested under the old password. A verification that keeps the password
/// leaves them pending: both links are in the mailbox that was just proved.
pub(super) fn gone_with(change: &AccountChange<'_>) -> Vec<&'static str> {
    let spent = change.spends.map(|token| token.purpose);
    let keeps = change.verified_at.is_some() && change.password.is_none();
    let ended = change.sessions.filter(|_| !keeps);
    let pending = [MailPurpose::Reset, MailPurpose::Invite].into_iter();
    pending
        .filter(|purpose| ended.is_some() && spent != Some(*purpose))
        .map(Names::of)
        .flat_map(|names| [names.digest, names.ends_at])
        .collect()
}
