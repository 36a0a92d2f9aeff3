//! Reads the audit trail and stores the digests of its days.

use portcullis_core::audit::digest::AuditDigest;
use portcullis_core::audit::entry::AuditEntry;
use portcullis_core::id::Id;
use portcullis_core::time::UnixTime;

use crate::store::{StoreError, WriteOutcome};

/// The content of a row of the trail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StoredEntry {
    /// An entry, genuine or not.
    Line(Box<AuditEntry>),
    /// No entry, or not at its place; identified by its place in its shard.
    Unreadable(String),
}

/// Reads the audit trail by day and shard.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait AuditReader {
    /// The number of shards of each day.
    fn audit_shards(&self) -> u32;

    /// All entries in one shard of the day of `day`, ordered by time, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also if only part of it could be read.
    async fn audit_lines(&self, day: UnixTime, shard: u32) -> Result<Vec<StoredEntry>, StoreError>;

    /// The digest of one shard of a day, if it was sealed.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn audit_digest(
        &self,
        day: UnixTime,
        shard: u32,
    ) -> Result<Option<AuditDigest>, StoreError>;

    /// Stores a digest. Returns [`WriteOutcome::Conflict`] if the shard was sealed before: the
    /// first digest stays.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn keep_digest(
        &self,
        digest: &AuditDigest,
        request_id: &Id,
    ) -> Result<WriteOutcome, StoreError>;
}
