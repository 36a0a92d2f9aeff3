//! The key document: one row, replaced as a whole, version by version.

use portcullis_core::id::Id;
use portcullis_core::keys::document::{KeyDocument, KeyDocumentError};
use portcullis_service::store::{KeyStore, StoreError, Written};

use super::{DynamoStore, REQUEST_ID, RowError, is_own_write, is_written_for};
use crate::code::Class;
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::table::Key;
use crate::dynamodb::write::{Expression, NEW, put_if};
use crate::error::CallError;
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

    async fn publish(
        &self,
        document: &KeyDocument,
        request_id: &Id,
    ) -> Result<Written, StoreError> {
        const OPERATION: &str = "publishing the key document";
        let condition = match document.version() {
            0 | 1 => NEW,
            version => Expression::of("#version = :before")
                .with(":before", Attribute::number(version.saturating_sub(1))),
        };
        let row = Item::new()
            .with_number(VERSION, document.version())
            .with_text(DOCUMENT, document.to_json())
            .with_text(REQUEST_ID, request_id.as_str());
        let call = put_if(self.client.tables(), &Key::key_document(), row, &condition);
        let is_this = |row: &Item| {
            // Whoever sends requests may have given two of them one id: the row must be ours whole.
            is_written_for(row, request_id)
                && row.number(VERSION) == Ok(document.version())
                && row.text(DOCUMENT) == Ok(document.to_json().as_str())
        };
        match self.client.call(&call, self.now).await {
            Ok(_answer) => Ok(Written::Done),
            Err(CallError::Service(refusal)) if refusal.class() == Class::Condition => {
                let mut reasons = refusal.reasons().iter();
                Ok(if reasons.any(|reason| is_own_write(reason, is_this)) {
                    Written::Done
                } else {
                    Written::Conflict
                })
            }
            Err(error) => Err(StoreError::new(OPERATION, error)),
        }
    }
}

const VERSION: &str = "version";
const DOCUMENT: &str = "document";

fn read(row: &Item) -> Result<(u64, &str), RowError> {
    Ok((row.number(VERSION)?, row.text(DOCUMENT)?))
}
