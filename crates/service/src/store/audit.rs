//! Reading the audit trail, and keeping the digests of its days.

use portcullis_core::audit::digest::AuditDigest;
use portcullis_core::audit::entry::AuditEntry;
use portcullis_core::id::Id;
use portcullis_core::time::UnixTime;

use crate::store::{StoreError, WriteOutcome};

/// What stands in a row of the trail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StoredEntry {
    /// A line, genuine or not.
    Line(AuditEntry),
    /// No line, or not where it belongs; named by its place in its shard.
    Unreadable(String),
}

/// Reads the audit trail by day and shard.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own store, so Send is inferred there"
)]
pub trait AuditReader {
    /// Over how many shards each day is spread.
    fn audit_shards(&self) -> u32;

    /// Everything in one shard of the day that `day` lies in, in the order of time, read
    /// consistently.
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

    /// Keeps a digest. [`WriteOutcome::Conflict`] if the shard was sealed before: the first one stays.
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
