//! Erasure of an account: its dependent rows are deleted first, the account itself last.

use portcullis_core::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_service::store::{Account, OutboxMail, StoreError, WriteOutcome};

use super::audit::audit_row;
use super::columns::SESSION_ID;
use super::outbox::enqueue;
use super::{DynamoStore, RowError};
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::read::Range;
use crate::dynamodb::table::{Key, SORT_KEY, Table};
use crate::dynamodb::write::{Expression, MAX_TRANSACTION_ITEMS};
use crate::transport::Transport;

const OPERATION: &str = "erasing an account";

/// The number of rows deleted in one step: each may also have a locator.
const AT_ONCE: usize = MAX_TRANSACTION_ITEMS / 2;

pub(super) async fn erase<T: Transport>(
    store: &DynamoStore<'_, T>,
    account: &Account,
    mail: Option<&OutboxMail>,
    event: &AuditEvent,
) -> Result<WriteOutcome, StoreError> {
    let beside = beside(store, account).await?;
    for rows in beside.chunks(AT_ONCE) {
        let mut transaction = store.transaction();
        for key in rows.iter().flatten() {
            transaction.delete(key);
        }
        // These deletes have no condition.
        let end = store.commit(OPERATION, transaction).await?;
        let _ = end.write_outcome(OPERATION, |_row| false)?;
    }
    let mut transaction = store.transaction();
    let unchanged =
        Expression::of("#version = :read").with(":read", Attribute::number(account.version));
    transaction.delete_if(&Key::user(&account.email), &unchanged);
    transaction.delete(&Key::user_by_id(&account.user_id));
    transaction.delete(&Key::domain(&account.email));
    if let Some(mail) = mail {
        enqueue(&mut transaction, mail, &event.request_id);
    }
    transaction.put(&Key::audit(event), audit_row(event));
    store
        .commit(OPERATION, transaction)
        .await?
        .write_outcome(OPERATION, |_row| false)
}

/// The keys of all dependent rows of the account, each with its locator.
async fn beside<T: Transport>(
    store: &DynamoStore<'_, T>,
    account: &Account,
) -> Result<Vec<Vec<Key>>, StoreError> {
    let partition = Range {
        table: Table::Main,
        partition: Key::user_partition(&account.email),
        from: " ".to_owned(),
        to: "~".to_owned(),
    };
    let rows = store.client.range(&partition, store.now).await;
    let rows = rows.map_err(|error| StoreError::new(OPERATION, error))?;
    let keys = rows.iter().map(|row| keys(account, row));
    let keys: Result<Vec<_>, _> = keys.collect();
    let mut keys = keys.map_err(|error| StoreError::new(OPERATION, error))?;
    keys.retain(|keys| !keys.is_empty());
    Ok(keys)
}

/// The keys to delete for `row`; none for the account itself.
fn keys(account: &Account, row: &Item) -> Result<Vec<Key>, RowError> {
    let sort = row.text(SORT_KEY)?;
    let key = Key::beside(&account.email, sort);
    if key == Key::user(&account.email) {
        return Ok(Vec::new());
    }
    let session = row.optional_text(SESSION_ID)?;
    let locator = session
        .map(Id::parse)
        .transpose()
        .map_err(|_id| RowError::Value(SESSION_ID))?
        .map(|id| Key::session_locator(&id));
    Ok([Some(key), locator].into_iter().flatten().collect())
}
