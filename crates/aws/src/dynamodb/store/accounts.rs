//! Accounts: the user's row, the index from the user id, and the domain's row.

use core::time::Duration;

use portcullis_core::audit::AuditEvent;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_service::store::{
    Account, AccountChange, AccountStore, ImportWrite, OutboxMail, StoreError, WriteOutcome,
};

use super::account_row::{EMAIL, read_user, user_row};
use super::audit::audit_row;
use super::columns::{CREATED_AT, REQUEST_ID, USER_ID};
use super::outbox::enqueue;
use super::{Committed, DynamoStore, RowError, change, erase, id, is_own_write, is_written_for};
use crate::dynamodb::item::Item;
use crate::dynamodb::table::{Key, TTL};
use crate::dynamodb::write::NEW;
use crate::error::AwsServiceError;
use crate::transport::Transport;

impl<T: Transport> AccountStore for DynamoStore<'_, T> {
    async fn account(&self, email: &EmailAddress) -> Result<Option<Account>, StoreError> {
        const OPERATION: &str = "reading an account";
        let row = self
            .client
            .row(&Key::user(email), self.now)
            .await
            .map_err(|error| StoreError::new(OPERATION, error))?;
        row.map(|row| read_user(&row, email))
            .transpose()
            .map_err(|error| StoreError::new(OPERATION, error))
    }

    async fn account_of(&self, user_id: &Id) -> Result<Option<Account>, StoreError> {
        const OPERATION: &str = "finding an account";
        let failed = |error| StoreError::new(OPERATION, error);
        let row = self.client.row(&Key::user_by_id(user_id), self.now).await;
        let Some(row) = row.map_err(|error| StoreError::new(OPERATION, error))? else {
            return Ok(None);
        };
        let email = row.text(EMAIL).map_err(RowError::from).map_err(failed)?;
        let email = EmailAddress::parse(email);
        let email = email.map_err(|_| failed(RowError::Value(EMAIL)))?;
        let account = self.account(&email).await?;
        // After an erasure, another user may have registered the address.
        Ok(account.filter(|account| account.user_id == *user_id))
    }

    async fn register(
        &self,
        account: &Account,
        mail: &OutboxMail,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        self.make_account(account, Some(mail), event)
            .await?
            .write_outcome(MAKING, |row| is_own_account(row, account, event))
    }

    async fn import(
        &self,
        account: &Account,
        event: &AuditEvent,
    ) -> Result<ImportWrite, StoreError> {
        match self.make_account(account, None, event).await? {
            Committed::Done => Ok(ImportWrite::Applied),
            Committed::Refused(refusal) => read_refused_import(refusal, account, event),
        }
    }

    // SECURITY: the decoy writes the same number and size of rows, but in its own partition. A
    // condition on the account's rows would conflict with the owner's writes, and the timing would
    // reveal the account.
    async fn register_decoy(
        &self,
        account: &Account,
        mail: &OutboxMail,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "registering a decoy account";
        let request_id = &event.request_id;
        let gone_at = self.now.plus(VAIN_LIFETIME);
        let [user, user_by_id, domain] = rows_of(account, request_id)
            .map(|row| row.blanked().with_number(TTL, gone_at.as_secs()));
        let name = &account.user_id;
        let mut transaction = self.transaction();
        transaction.put_if(&Key::decoy(name, "PROFILE"), user, &NEW);
        transaction.put_if(&Key::decoy(name, "USER"), user_by_id, &NEW);
        transaction.put(&Key::decoy(name, "DOMAIN"), domain);
        enqueue(&mut transaction, mail, request_id);
        transaction.put(&Key::audit(event), audit_row(event));
        match self.commit(OPERATION, transaction).await? {
            Committed::Done => Ok(()),
            Committed::Refused(refusal) => match refusal.reasons() {
                // The user id is random, so an existing row comes from an earlier attempt of this
                // request.
                [row, ..] if row.is_condition() => Ok(()),
                _ => Err(StoreError::new(OPERATION, refusal)),
            },
        }
    }

    async fn change_account(
        &self,
        account: &Account,
        change: &AccountChange<'_>,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        change::change_account(self, account, change, event).await
    }

    async fn erase(
        &self,
        account: &Account,
        mail: Option<&OutboxMail>,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        erase::erase(self, account, mail, event).await
    }
}

impl<T: Transport> DynamoStore<'_, T> {
    async fn make_account(
        &self,
        account: &Account,
        mail: Option<&OutboxMail>,
        event: &AuditEvent,
    ) -> Result<Committed, StoreError> {
        let request_id = &event.request_id;
        let [user, user_by_id, domain] = rows_of(account, request_id);
        let mut transaction = self.transaction();
        transaction.put_if(&Key::user(&account.email), user, &NEW);
        transaction.put_if(&Key::user_by_id(&account.user_id), user_by_id, &NEW);
        // The user's row guards this one. A row left by an erased account must not block its
        // address.
        transaction.put(&Key::domain(&account.email), domain);
        if let Some(mail) = mail {
            enqueue(&mut transaction, mail, request_id);
        }
        transaction.put(&Key::audit(event), audit_row(event));
        self.commit(MAKING, transaction).await
    }
}

const MAKING: &str = "registering an account";

/// Whether an earlier attempt of the same request has written `row`, the user's row.
fn is_own_account(row: &Item, account: &Account, event: &AuditEvent) -> bool {
    is_written_for(row, &event.request_id) && row.text(USER_ID) == Ok(account.user_id.as_str())
}

/// The reasons are in the order of the rows: the user's row, then the index from the user id, which
/// only an operator chooses.
fn read_refused_import(
    refusal: AwsServiceError,
    account: &Account,
    event: &AuditEvent,
) -> Result<ImportWrite, StoreError> {
    let failed = |error| StoreError::new(MAKING, error);
    let is_own_index = |row: &Item| is_written_for(row, &event.request_id);
    match refusal.reasons() {
        [user, ..] if is_own_write(user, |row| is_own_account(row, account, event)) => {
            Ok(ImportWrite::Applied)
        }
        [user, ..] if user.is_condition() => match user.existing() {
            Some(row) => id(row, USER_ID)
                .map(ImportWrite::AddressTaken)
                .map_err(failed),
            None => Err(StoreError::new(MAKING, refusal)),
        },
        [_, index, ..] if index.is_condition() && !is_own_write(index, is_own_index) => {
            Ok(ImportWrite::UserIdTaken)
        }
        _ => Err(StoreError::new(MAKING, refusal)),
    }
}

/// The lifetime of decoy rows.
const VAIN_LIFETIME: Duration = Duration::from_secs(60);

/// The rows of an account: the user's row, the index from the user id, the domain's row.
fn rows_of(account: &Account, request_id: &Id) -> [Item; 3] {
    [
        user_row(account, request_id),
        user_by_id_row(account, request_id),
        domain_row(account, request_id),
    ]
}

fn user_by_id_row(account: &Account, request_id: &Id) -> Item {
    Item::new()
        .with_text(EMAIL, account.email.as_str())
        .with_number(CREATED_AT, account.created_at.as_secs())
        .with_text(REQUEST_ID, request_id.as_str())
}

fn domain_row(account: &Account, request_id: &Id) -> Item {
    Item::new()
        .with_number(CREATED_AT, account.created_at.as_secs())
        .with_text(REQUEST_ID, request_id.as_str())
}
