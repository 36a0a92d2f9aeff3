//! The key document of this issuer.

use portcullis_core::audit::AuditEvent;
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::revocation::Revocation;
use portcullis_core::time::UnixTime;

use super::{StoreError, WriteOutcome};

/// Stores the key document.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait KeyStore {
    /// The document, read consistently; empty (version 0) before the first write.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also if the document does not parse, with `KeyDocumentError` as source.
    async fn key_document(&self) -> Result<KeyDocument, StoreError>;
}

/// Changes the key document after its first version.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait KeyChangeStore: KeyStore {
    /// Replaces version `document.version() - 1` and writes an audit entry in one transaction. If a
    /// key is revoked (`revocation`), the same transaction writes its revocation and a feed row
    /// with the given stamp. Returns [`WriteOutcome::Conflict`] if the version has changed.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn change_keys(
        &self,
        document: &KeyDocument,
        revocation: Option<(&Revocation, UnixTime)>,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError>;
}
