//! The port of the packs: closed spans of the feed, written down small.

use portcullis_core::id::Id;
use portcullis_core::revocation::{PackIndex, PackName};
use portcullis_core::time::UnixTime;

use super::{StoreError, WriteOutcome};

/// Keeps packs and their directory.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own store, so Send is inferred there"
)]
pub trait PackStore {
    /// The directory, read consistently; empty (version 0) before the first write.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; [`StoreError::damage`] if it does not parse.
    async fn directory(&self) -> Result<PackIndex, StoreError>;

    /// The bytes of a pack, as they were written, if there is one of that name. A row without bytes
    /// is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn pack(&self, name: &PackName) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes a pack under the name its bytes have; it may be deleted after `until`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn put_pack(
        &self,
        name: &PackName,
        bytes: &[u8],
        until: UnixTime,
    ) -> Result<(), StoreError>;

    /// Replaces version `directory.version() - 1`. [`WriteOutcome::Conflict`] if it is not that any more.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn replace_directory(
        &self,
        directory: &PackIndex,
        request_id: &Id,
    ) -> Result<WriteOutcome, StoreError>;
}
