//! The key document: one row, replaced as a whole with each version.

use portcullis_core::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_core::keys::document::{KeyDocument, KeyDocumentError};
use portcullis_core::revocation::Revocation;
use portcullis_core::time::UnixTime;
use portcullis_service::store::{KeyChangeStore, KeyStore, StoreError, WriteOutcome};

use super::audit::audit_row;
use super::columns::REQUEST_ID;
use super::revocations::revoke;
use super::{DynamoStore, RowError, is_written_for};
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::table::Key;
use crate::dynamodb::write::{Expression, NEW};
use crate::transport::Transport;

impl<T: Transport> KeyStore for DynamoStore<'_, T> {
    async fn key_document(&self) -> Result<KeyDocument, StoreError> {
        const OPERATION: &str = "reading the key document";
        let row = self
            .client
            .row(&Key::key_document(), self.now)
            .await
            .map_err(|error| StoreError::new(OPERATION, error))?;
        let Some(row) = row else {
            return Ok(KeyDocument::default());
        };
        let (version, json) = read(&row).map_err(|error| StoreError::new(OPERATION, error))?;
        match KeyDocument::parse(json.as_bytes()) {
            Ok(document) if document.version() == version => Ok(document),
            Ok(_) => Err(StoreError::new(OPERATION, KeyDocumentError::Malformed)),
            Err(error) => Err(StoreError::new(OPERATION, error)),
        }
    }
}

impl<T: Transport> KeyChangeStore for DynamoStore<'_, T> {
    async fn change_keys(
        &self,
        document: &KeyDocument,
        revocation: Option<(&Revocation, UnixTime)>,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        const OPERATION: &str = "changing the key document";
        let request_id = &event.request_id;
        let mut transaction = self.transaction();
        let next = row(document, request_id);
        transaction.put_if(&Key::key_document(), next, &follows(document));
        if let Some((revocation, stamp)) = revocation {
            revoke(&mut transaction, revocation, stamp, request_id);
            let row = core::slice::from_ref(revocation);
            self.announce_by(&mut transaction, row, stamp, request_id);
        }
        transaction.put(&Key::audit(event), audit_row(event));
        let committed = self.commit(OPERATION, transaction).await?;
        committed.write_outcome(OPERATION, |row| holds(row, document, request_id))
    }
}

/// The row of `document`, written by the request `request_id`.
fn row(document: &KeyDocument, request_id: &Id) -> Item {
    Item::new()
        .with_number(VERSION, document.version())
        .with_text(DOCUMENT, document.to_json())
        .with_text(REQUEST_ID, request_id.as_str())
}

/// The condition that the row has the version before that of `document`.
fn follows(document: &KeyDocument) -> Expression {
    match document.version() {
        0 | 1 => NEW,
        version => Expression::of("#version = :before")
            .with(":before", Attribute::number(version.saturating_sub(1))),
    }
}

/// Whether `row` is `document` as this request wrote it. Two requests may carry the same id, so the
/// whole row is compared.
fn holds(row: &Item, document: &KeyDocument, request_id: &Id) -> bool {
    is_written_for(row, request_id)
        && row.number(VERSION) == Ok(document.version())
        && row.text(DOCUMENT) == Ok(document.to_json().as_str())
}

const VERSION: &str = "version";
const DOCUMENT: &str = "document";

fn read(row: &Item) -> Result<(u64, &str), RowError> {
    Ok((row.number(VERSION)?, row.text(DOCUMENT)?))
}
