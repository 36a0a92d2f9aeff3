//! Emergency revocation of a signing key.

use core::time::Duration;

use portcullis_core::audit::{AuditKind, KeyAct};

use crate::announce;
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{Clock, SecureRandom};
use crate::store::{KeyChangeStore, RevocationStore, WriteOutcome};

/// The attempts to change the document after concurrent changes.
const MAX_ATTEMPTS: usize = 8;

/// The maximum duration of the change: until it is committed, an edge may still read the key.
const UNDER_WAY: Duration = Duration::from_secs(60);

/// The outcome of revoking a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum KeyRevocation {
    /// Every edge rejects its tokens within the staleness bound, and the key never becomes valid
    /// again.
    Done,
    /// The document has no such key.
    UnknownKey,
    /// Concurrent changes of the document exhausted the retries: nothing was done.
    Contended,
}

/// Revokes the key `key_id`, which signs tokens with at most `token_lifetime`. One transaction removes it from the document permanently and writes
/// its revocation and feed row. Returns after the feed has carried that to the edges. A repeated
/// call announces the revocation again.
///
/// # Errors
///
/// [`UseCaseError`]; the key may still be valid then.
pub async fn revoke_key(
    key_id: &str,
    token_lifetime: Duration,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl KeyChangeStore + RevocationStore, impl SecureRandom>,
) -> Result<KeyRevocation, UseCaseError> {
    let ServiceContext { store, call, .. } = ctx;
    let event = ctx.event(AuditKind::KeysChanged(KeyAct::Revoke), None)?;
    for _ in 0..MAX_ATTEMPTS {
        let document = store.key_document().await?;
        let stamp = clock.now();
        let last_held = stamp.plus(UNDER_WAY);
        let revocation = announce::key(key_id, token_lifetime, last_held);
        let written = match document.revoking(key_id, call.now) {
            Some(next) => {
                let revoked = Some((&revocation, stamp));
                store.change_keys(&next, revoked, &event).await?
            }
            None if document.is_revoked(key_id) => {
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
