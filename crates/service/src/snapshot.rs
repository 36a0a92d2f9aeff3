//! Reads keys and revocations from the store into a snapshot, and follows their changes.

use futures_util::future::join;
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::policy::Policy;
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;

use crate::feed::read_revocations;
use crate::ports::ImmutableCache;
use crate::store::{KeyStore, PackStore, RevocationStore, StoreError};

/// When to read the keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Keys {
    /// When they are due by the policy.
    WhenDue,
    /// Now: a client presented an unknown `kid`.
    Now,
}

/// The result of a read.
#[derive(Debug)]
pub struct SnapshotRead {
    /// The new snapshot. A part that could not be read keeps its content and age.
    pub snapshot: Snapshot,
    /// The reason why a part could not be read, for the log.
    pub error: Option<StoreError>,
}

/// Reads the changes since `previous`, which is [`Snapshot::unread`] the first time. `now` is the
/// time before the read begins.
pub async fn follow(
    policy: &Policy,
    previous: Snapshot,
    keys: Keys,
    store: &(impl KeyStore + RevocationStore + PackStore),
    shelf: &impl ImmutableCache,
    now: UnixTime,
) -> SnapshotRead {
    let reach = policy.revocation_reach();
    let has_gap = previous.revocations_read_at() < now.minus(reach);
    let since = previous.revocations_read_at().max(now.minus(reach));
    let is_due = now.since(previous.keys_read_at()) >= policy.keys.poll;
    let reads_keys = keys == Keys::Now || is_due || has_gap;
    let known = previous.revocations().clone();
    let document = async {
        if reads_keys {
            Some(key_document(policy, store).await)
        } else {
            None
        }
    };
    let gathered = read_revocations(known, since, reach, store, shelf, now);
    let (document, revocations) = join(document, gathered).await;
    let mut reading = SnapshotRead {
        snapshot: previous,
        error: None,
    };
    match document {
        Some(Ok(document)) => {
            reading.snapshot = reading.snapshot.with_keys(policy, &document, now);
        }
        Some(Err(error)) => reading.error = Some(error),
        None => {}
    }
    match revocations {
        // INVARIANT: a revoked key matters for longer than a token lives, and the feed is read back
        // only for a token lifetime. A snapshot that missed more than that must read the current
        // keys.
        Ok(revocations) if !has_gap || reading.error.is_none() => {
            reading.snapshot = reading.snapshot.with_revocations(revocations, now);
        }
        Ok(_) => {}
        Err(error) => reading.error = Some(error),
    }
    reading
}

async fn key_document(policy: &Policy, store: &impl KeyStore) -> Result<KeyDocument, StoreError> {
    match policy.document_issuer() {
        Some(_) => store.key_document().await,
        None => Ok(KeyDocument::default()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
