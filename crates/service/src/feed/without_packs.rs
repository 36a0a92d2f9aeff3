//! A build without packs reads every closed minute.

use core::time::Duration;

use portcullis_core::revocation::Revocations;
use portcullis_core::time::UnixTime;

use crate::ports::ImmutableCache;
use crate::store::{PackStore, RevocationStore, StoreError};

/// Returns `missing`: no pack covers a minute.
pub(super) async fn read(
    _known: &mut Revocations,
    missing: Vec<UnixTime>,
    _from: UnixTime,
    _reach: Duration,
    _store: &(impl RevocationStore + PackStore),
    _shelf: &impl ImmutableCache,
    _now: UnixTime,
) -> Result<Vec<UnixTime>, StoreError> {
    Ok(missing)
}
