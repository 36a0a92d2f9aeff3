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
        let pending = read_pending(&row, Names::of(purpose)).map_err(failed)?;
        Ok(Some((account, pending)))
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
        ]);
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

/// The attributes of one purpose in the user's row.
#[derive(Clone, Copy)]
struct Names {
    digest: &'static str,
    ends_at: &'static str,
    asked_at: &'static str,
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
                latest: "#user_id = :owner AND (attribute_not_exists(#verify_asked_at) \
                         OR #verify_asked_at < :asked OR #verify_token = :same)",
                unspent: "#version = :read AND #verify_token = :token",
            },
            MailPurpose::Reset => Self {
                digest: "reset_token",
                ends_at: "reset_ends_at",
                asked_at: "reset_asked_at",
                latest: "#user_id = :owner AND (attribute_not_exists(#reset_asked_at) \
                         OR #reset_asked_at < :asked OR #reset_token = :same)",
                unspent: "#version = :read AND #reset_token = :token",
            },
            MailPurpose::Unlock => Self {
                digest: "unlock_token",
                ends_at: "unlock_ends_at",
                asked_at: "unlock_asked_at",
                latest: "#user_id = :owner AND (attribute_not_exists(#unlock_asked_at) \
                         OR #unlock_asked_at < :asked OR #unlock_token = :same)",
                unspent: "#version = :read AND #unlock_token = :token",
            },
        }
    }
}

fn read_pending(row: &Item, names: Names) -> Result<Option<PendingToken>, RowError> {
    let Some(digest) = row.optional_text(names.digest)? else {
        return Ok(None);
    };
    Ok(Some(PendingToken {
        digest: MailTokenDigest::from_text(digest),
        ends_at: time(row, names.ends_at)?,
    }))
}

/// The condition that the account is unchanged since it was read (`:read` is its version) and
/// contains the token.
pub(super) fn unspent(token: &SpentToken<'_>) -> Expression {
    Expression::of(Names::of(token.purpose).unspent)
        .with(":token", Attribute::text(token.digest.as_str()))
}

/// The attributes that a change removes: those of the used token and, if every session ends, those
/// of a pending reset, which was requested under the old password. A verification that keeps the
/// password leaves the reset pending: both links are in the mailbox that was just proved.
pub(super) fn gone_with(change: &AccountChange<'_>) -> Vec<&'static str> {
    let spent = change.spends.map(|token| token.purpose);
    let keeps = change.verified_at.is_some() && change.password.is_none();
    let ended = change.sessions.filter(|_| !keeps);
    let ended = ended.map(|_| MailPurpose::Reset);
    let ended = ended.filter(|_| spent != Some(MailPurpose::Reset));
    let names = spent.into_iter().chain(ended).map(Names::of);
    names
        .flat_map(|names| [names.digest, names.ends_at])
        .collect()
}
