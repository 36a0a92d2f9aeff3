//! Who calls the host itself: judged like at the edge, but against the store as it is now.

use portcullis_core::bearer::bearer_token;
use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::revocation::{Revocations, TokenIds};
use portcullis_core::route::{Access, Requirement, RevocationMode};
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;

use crate::ports::SignatureVerifier;
use crate::store::{KeyStore, RevocationStore, StoreError};
use crate::verify::verify;

/// Who calls.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Authentication {
    /// The bearer of a good token.
    Known(Box<Verified<Claims>>),
    /// The bearer of a token that is good but for its login having been ended: good for nothing
    /// but ending it once more.
    Revoked(Box<Verified<Claims>>),
    /// The bearer of a token that is good but for all sessions of its subject having been ended:
    /// good for nothing but having that said once more.
    SubjectRevoked(Box<Verified<Claims>>),
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
    signatures: &impl SignatureVerifier,
    now: UnixTime,
) -> Result<Authentication, StoreError> {
    match bearer_token(authorization) {
        Ok(Some(token)) => authenticate_token(gate, token, store, signatures, now).await,
        Ok(None) => Ok(Authentication::Refused(Denial::MissingToken)),
        Err(denial) => Ok(Authentication::Refused(denial)),
    }
}

/// Judges an access token by itself, as [`authenticate`] does.
///
/// # Errors
///
/// [`StoreError`]; nothing is known of the token then.
pub async fn authenticate_token(
    gate: &Gate,
    token: &str,
    store: &(impl KeyStore + RevocationStore),
    signatures: &impl SignatureVerifier,
    now: UnixTime,
) -> Result<Authentication, StoreError> {
    let document = store.key_document().await?;
    let snapshot = Snapshot::new(gate.policy(), &document, Revocations::default(), now);
    let caller = match verify(gate, token, &snapshot, signatures, now).await {
        Ok(caller) => caller,
        Err(denial) => return Ok(Authentication::Refused(denial)),
    };
    let revoked = store
        .revocations_of(caller.get().revocable(caller.key_id()))
        .await?;
    let snapshot = snapshot.with_revocations(revoked, now);
    let requirement = Requirement {
        access: Access::Token,
        scopes: Vec::new(),
        serve_stale: None,
        revocation: RevocationMode::Feed,
    };
    Ok(
        match gate.decide(&requirement, Some(&caller), &snapshot, now) {
            Ok(()) => Authentication::Known(Box::new(caller)),
            // SECURITY: under a key that was called back anybody may have signed anything.
            Err(Denial::Revoked) if !snapshot.revocations().revokes_key(token_of(&caller)) => {
                if snapshot
                    .revocations()
                    .revokes_subject_or_key(token_of(&caller))
                {
                    Authentication::SubjectRevoked(Box::new(caller))
                } else {
                    Authentication::Revoked(Box::new(caller))
                }
            }
            Err(denial) => Authentication::Refused(denial),
        },
    )
}

fn token_of(caller: &Verified<Claims>) -> TokenIds<'_> {
    caller.get().revocable(caller.key_id())
}
