//! Reading the world: keys and revocations from the store into a snapshot, and following them.

use futures_util::future::join;
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::policy::Policy;
use portcullis_core::revocation::Revocations;
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;

use crate::feed::gather;
use crate::ports::Shelf;
use crate::store::{KeyStore, PackStore, RevocationStore, StoreError};

/// Whether the keys are read too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Keys {
    /// Once they are due by the policy.
    WhenDue,
    /// Now: somebody showed a key that is not known.
    Now,
}

/// A snapshot that was followed, and what went wrong with its keys meanwhile.
#[derive(Debug)]
pub struct Followed {
    /// The newer snapshot; if the keys could not be read it keeps the last good ones, and their age.
    pub snapshot: Snapshot,
    /// Why the keys were not renewed, for the log.
    pub keys_error: Option<StoreError>,
}

/// Reads everything a first time. `now` is the moment before the reading begins.
///
/// # Errors
///
/// [`StoreError`] if keys or revocations could not be read whole.
pub async fn read(
    policy: &Policy,
    store: &(impl KeyStore + RevocationStore + PackStore),
    shelf: &impl Shelf,
    now: UnixTime,
) -> Result<Snapshot, StoreError> {
    let since = now.before(policy.revocation_reach());
    let (document, revocations) = join(
        key_document(policy, store),
        gather(Revocations::default(), since, store, shelf, now),
    )
    .await;
    Ok(Snapshot::new(policy, &document?, revocations?, now))
}

/// Reads what changed since `previous`. `now` is the moment before the reading begins.
///
/// # Errors
///
/// [`StoreError`] if the revocations could not be read whole: `previous` is the newest there is.
pub async fn follow(
    policy: &Policy,
    previous: Snapshot,
    keys: Keys,
    store: &(impl KeyStore + RevocationStore + PackStore),
    shelf: &impl Shelf,
    now: UnixTime,
) -> Result<Followed, StoreError> {
    let reach = now.before(policy.revocation_reach());
    let since = previous.revocations_read_at().max(reach);
    let due = keys == Keys::Now || now.since(previous.keys_read_at()) >= policy.keys.poll;
    let known = previous.revocations().clone();
    let read_keys = async {
        if due {
            Some(key_document(policy, store).await)
        } else {
            None
        }
    };
    let (document, revocations) = join(read_keys, gather(known, since, store, shelf, now)).await;
    let snapshot = previous.with_revocations(revocations?, now);
    Ok(match document {
        Some(Ok(document)) => Followed {
            snapshot: snapshot.with_keys(policy, &document, now),
            keys_error: None,
        },
        Some(Err(error)) => Followed {
            snapshot,
            keys_error: Some(error),
        },
        None => Followed {
            snapshot,
            keys_error: None,
        },
    })
}

async fn key_document(policy: &Policy, store: &impl KeyStore) -> Result<KeyDocument, StoreError> {
    match policy.document_issuer() {
        Some(_) => store.key_document().await,
        None => Ok(KeyDocument::default()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
