//! A key that is called back at once: an emergency.

use core::time::Duration;

use portcullis_core::audit::{AuditEvent, AuditKind, KeyAct};
use portcullis_core::root_keys::Purpose;

use crate::announce;
use crate::error::UseCaseError;
use crate::ports::{Clock, RequestMeta, SecureRandom};
use crate::rotate::Rotation;
use crate::rotate::ports::KeyChangeStore;
use crate::store::{RevocationStore, WriteOutcome};

/// How often the change of the document gives way to another's.
const MAX_ATTEMPTS: usize = 8;

/// How long the change may be under way: until it has come, an edge may still read the key.
const UNDER_WAY: Duration = Duration::from_secs(60);

/// How the revocation of a key ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum KeyRevocation {
    /// Every edge refuses its tokens within the staleness bound, and it never comes back.
    Done,
    /// The document has no such key.
    UnknownKey,
    /// Others kept changing the document: nothing was done.
    Contended,
}

/// Calls back the key `key_id`: it leaves the document for good, its revocation and feed row come
/// in the same step, and the feed carries that to the edges before this returns. Repeating it
/// announces it anew.
///
/// # Errors
///
/// [`UseCaseError`]; the key may not be taken for called back then.
pub async fn revoke_key<V, D, K, S, C, H>(
    key_id: &str,
    rotation: &Rotation<'_, V, D, K, S, C, H>,
    call: &RequestMeta,
) -> Result<KeyRevocation, UseCaseError>
where
    D: KeyChangeStore + RevocationStore,
    C: Clock,
    H: SecureRandom,
{
    let (store, clock) = (rotation.documents, rotation.clock);
    let event = AuditEvent {
        id: rotation.chance.id()?,
        at: call.now,
        kind: AuditKind::KeysChanged(KeyAct::Revoke),
        user_id: None,
        session_id: None,
        client_address: call.client_address.clone(),
        request_id: call.request_id.clone(),
        sealer: rotation.vault.sealer(Purpose::Audit),
    };
    for _ in 0..MAX_ATTEMPTS {
        let document = store.key_document().await?;
        let stamp = clock.now();
        let last_held = stamp.plus(UNDER_WAY);
        let revocation = announce::key(key_id, rotation.bounds.token_lifetime, last_held);
        let written = match document.withdrawing(key_id, call.now) {
            Some(next) => {
                let called_back = Some((&revocation, stamp));
                store.change_keys(&next, called_back, &event).await?
            }
            None if document.is_withdrawn(key_id) => {
                let again = core::slice::from_ref(&revocation);
                store.announce(again, stamp, &call.request_id).await?;
                WriteOutcome::Applied
            }
            None => return Ok(KeyRevocation::UnknownKey),
        };
        if written == WriteOutcome::Applied {
            let revocations = [revocation];
            announce::confirm_within_bound(&revocations, stamp, store, clock, call).await?;
            return Ok(KeyRevocation::Done);
        }
    }
    Ok(KeyRevocation::Contended)
}
