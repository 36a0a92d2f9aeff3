//! Who calls the host itself: judged like at the edge, but against the store as it is now.

use portcullis_core::bearer::bearer_token;
use portcullis_core::decision::Decision;
use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::revocation::{Revocable, Revocations};
use portcullis_core::route::{Access, Requirement, RevocationMode};
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;

use crate::guard;
use crate::ports::Signatures;
use crate::store::{KeyStore, RevocationStore, StoreError};

/// Who calls.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Caller {
    /// The bearer of a good token.
    Known(Box<Verified<Claims>>),
    /// The bearer of a token that is good but for its login having been ended: good for nothing
    /// but ending it once more.
    Revoked(Box<Verified<Claims>>),
    /// The bearer of a token that is good but for all sessions of its subject having been ended:
    /// good for nothing but having that said once more.
    Superseded(Box<Verified<Claims>>),
    /// Nobody we let in.
    Refused(Denial),
}

/// Judges the `Authorization` value of a request to the host: keys and revocations are read
/// consistently for this one token.
///
/// # Errors
///
/// [`StoreError`]; the caller is nobody then.
pub async fn authenticate(
    gate: &Gate,
    authorization: Option<&str>,
    store: &(impl KeyStore + RevocationStore),
    signatures: &impl Signatures,
    now: UnixTime,
) -> Result<Caller, StoreError> {
    match bearer_token(authorization) {
        Ok(Some(token)) => judge(gate, token, store, signatures, now).await,
        Ok(None) => Ok(Caller::Refused(Denial::MissingToken)),
        Err(denial) => Ok(Caller::Refused(denial)),
    }
}

/// Judges an access token by itself, as [`authenticate`] does.
///
/// # Errors
///
/// [`StoreError`]; nothing is known of the token then.
pub async fn judge(
    gate: &Gate,
    token: &str,
    store: &(impl KeyStore + RevocationStore),
    signatures: &impl Signatures,
    now: UnixTime,
) -> Result<Caller, StoreError> {
    let document = store.key_document().await?;
    let world = Snapshot::new(gate.policy(), &document, Revocations::default(), now);
    let caller = match guard::verify(gate, token, &world, signatures, now).await {
        Ok(caller) => caller,
        Err(denial) => return Ok(Caller::Refused(denial)),
    };
    let revoked = store
        .revocations_of(caller.get().revocable(caller.key_id()))
        .await?;
    let world = world.with_revocations(revoked, now);
    let need = Requirement {
        access: Access::Token,
        scopes: Vec::new(),
        serve_stale: None,
        revocation: RevocationMode::Feed,
    };
    Ok(match gate.decide(&need, Some(&caller), &world, now) {
        Decision::Allow(_) => Caller::Known(Box::new(caller)),
        // SECURITY: under a key that was called back anybody may have signed anything.
        Decision::Deny(Denial::Revoked) if !world.revocations().ends_key(token_of(&caller)) => {
            if world.revocations().ends_authority(token_of(&caller)) {
                Caller::Superseded(Box::new(caller))
            } else {
                Caller::Revoked(Box::new(caller))
            }
        }
        Decision::Deny(denial) => Caller::Refused(denial),
    })
}

fn token_of(caller: &Verified<Claims>) -> Revocable<'_> {
    caller.get().revocable(caller.key_id())
}
