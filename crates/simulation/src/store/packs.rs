//! Packs of the feed, and the rows of one token.

use portcullis_core::id::Id;
use portcullis_core::revocation::{PackIndex, PackName, Revocations, TokenIds};
use portcullis_core::time::UnixTime;
use portcullis_service::store::{PackStore, RevocationStore as _, StoreError, WriteOutcome};

use super::{Fault, View};
use crate::mutation::Mutation;
use crate::oracle::Case;

impl PackStore for View {
    async fn directory(&self) -> Result<PackIndex, StoreError> {
        self.call("reading the directory", |tables, _| {
            tables.directory.clone()
        })
        .await
    }

    async fn pack(&self, name: &PackName) -> Result<Option<Vec<u8>>, StoreError> {
        let name = name.as_str().to_owned();
        let read = self.call("reading a pack", move |tables, _| {
            tables.packs.get(&name).cloned()
        });
        let read = read.await?;
        if read.is_some() && self.node.starts_with("edge") {
            self.world.oracle.borrow_mut().meet(Case::Pack);
        }
        Ok(read)
    }

    async fn put_pack(&self, name: &PackName, bytes: &[u8], _: UnixTime) -> Result<(), StoreError> {
        let (name, bytes) = (name.as_str().to_owned(), bytes.to_vec());
        self.call("writing a pack", move |tables, _| {
            tables.packs.insert(name, bytes);
        })
        .await
    }

    async fn replace_directory(
        &self,
        directory: &PackIndex,
        _: &Id,
    ) -> Result<WriteOutcome, StoreError> {
        let directory = directory.clone();
        self.call("replacing the directory", move |tables, _| {
            if directory.version() != tables.directory.version() + 1 {
                return WriteOutcome::Conflict;
            }
            tables.directory = directory;
            WriteOutcome::Applied
        })
        .await
    }
}

impl View {
    /// The revocations of one token, from its own rows.
    pub(crate) async fn look_up(&self, token: TokenIds<'_>) -> Result<Revocations, StoreError> {
        self.world.oracle.borrow_mut().meet(Case::LookUp);
        if self.world.mutation == Some(Mutation::FailLookUps) {
            return Err(StoreError::new("looking a token up", Fault::Refused));
        }
        self.revocations_of(token).await
    }
}
