//! One chunk of the feed's past, and its read.

use core::time::Duration;

#[cfg(feature = "packs")]
use portcullis_core::revocation::{Pack, PackName};
use portcullis_core::revocation::{Revocations, parse_minute, write_minute};
use portcullis_core::time::UnixTime;

use crate::join_all::join_all;
use crate::ports::ImmutableCache;
use crate::store::{PackStore, RevocationStore, StoreError};

pub(super) const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// A chunk of the past. One type for all kinds: a separate concurrent read for each kind would add
/// some KB of wasm.
#[derive(Clone, Copy)]
pub(super) enum FeedChunk<'d> {
    /// A pack, from the cache or the store.
    #[cfg(feature = "packs")]
    Pack(&'d PackName),
    /// A closed minute, from the cache or its rows.
    Minute(&'d UnixTime),
    /// A closed minute from its rows.
    Rows(&'d UnixTime),
}

/// Reads `pieces` with limited concurrency; `lifetime` is how long the cache keeps them.
pub(super) async fn fetch(
    pieces: impl Iterator<Item = FeedChunk<'_>>,
    together_at_most: usize,
    store: &(impl RevocationStore + PackStore),
    shelf: &impl ImmutableCache,
    lifetime: Duration,
) -> Vec<Result<Option<Revocations>, StoreError>> {
    let pieces: Vec<FeedChunk<'_>> = pieces.collect();
    let mut read = Vec::with_capacity(pieces.len());
    for some in pieces.chunks(together_at_most) {
        let some = some.iter().map(|piece| piece.read(store, shelf, lifetime));
        read.append(&mut join_all(some).await);
    }
    read
}

impl FeedChunk<'_> {
    /// The revocations in it; `None` if the pack is invalid.
    async fn read(
        self,
        store: &(impl RevocationStore + PackStore),
        shelf: &impl ImmutableCache,
        lifetime: Duration,
    ) -> Result<Option<Revocations>, StoreError> {
        let place = match self {
            #[cfg(feature = "packs")]
            Self::Pack(name) => Some(format!("pack/{name}")),
            Self::Minute(minute) => Some(format!("minute/{}", minute.minute())),
            Self::Rows(_) => None,
        };
        if let Some(place) = &place
            && let Some(bytes) = shelf.get(place).await
            && let Some(known) = self.parse(&bytes)
        {
            return Ok(Some(known));
        }
        let (bytes, known) = match self {
            #[cfg(feature = "packs")]
            Self::Pack(name) => {
                let Some(bytes) = store.pack(name).await? else {
                    return Ok(None);
                };
                let known = self.parse(&bytes);
                (bytes, known)
            }
            Self::Minute(minute) | Self::Rows(minute) => {
                let rows = store
                    .feed(*minute, minute.plus(MINUTE).minus(SECOND))
                    .await?;
                (write_minute(&rows), Some(rows.into_iter().collect()))
            }
        };
        if let Some(place) = &place
            && known.is_some()
        {
            shelf.put(place, &bytes, lifetime).await;
        }
        Ok(known)
    }

    fn parse(self, bytes: &[u8]) -> Option<Revocations> {
        let mut known = Revocations::default();
        match self {
            #[cfg(feature = "packs")]
            Self::Pack(_) => known.load(Pack::parse(bytes).ok()?),
            Self::Minute(_) | Self::Rows(_) => parse_minute(bytes, &mut known).ok()?,
        }
        Some(known)
    }
}
