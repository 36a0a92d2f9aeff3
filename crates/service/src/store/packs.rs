//! The port of the packs: closed spans of the feed in a compact form.

use portcullis_core::id::Id;
use portcullis_core::revocation::{PackIndex, PackName};
use portcullis_core::time::UnixTime;

use super::{StoreError, WriteOutcome};

/// Stores packs and their directory.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait PackStore {
    /// The directory, read consistently; empty (version 0) before the first write.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; [`StoreError::corrupt`] if it does not parse.
    async fn directory(&self) -> Result<PackIndex, StoreError>;

    /// The bytes of a pack as written; `None` if it does not exist. A row without bytes counts as
    /// missing.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn pack(&self, name: &PackName) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes a pack under the identifier of its bytes; it may be deleted after `until`.
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

    /// Replaces version `directory.version() - 1`. Returns [`WriteOutcome::Conflict`] if that
    /// version has changed.
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
