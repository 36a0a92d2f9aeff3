//! Authenticates the caller of the host itself: the same decision as at the edge, but on the
//! current state of the store.

use portcullis_core::bearer::bearer_token;
use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::revocation::{Revocations, TokenIds};
use portcullis_core::route::{Access, Requirement};
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;

use crate::ports::SignatureVerifier;
use crate::store::{KeyStore, RevocationStore, StoreError};
use crate::verify::{verify, verify_expired};

/// The caller.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Authentication {
    /// The bearer of a valid token.
    Known(Box<Verified<Claims>>),
    /// The bearer of an otherwise valid token of a revoked session. It permits only a repeated
    /// logout.
    Revoked(Box<Verified<Claims>>),
    /// The bearer of an otherwise valid token of a subject with only revoked sessions. It permits
    /// only a repeated revocation of all sessions.
    SubjectRevoked(Box<Verified<Claims>>),
    /// An unauthenticated caller.
    Refused(Denial),
}

/// Checks the `Authorization` value of a request to the host. Keys and revocations are read
/// consistently for this one token.
///
/// # Errors
///
/// [`StoreError`]; the caller is unauthenticated then.
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

/// Checks an access token alone, as [`authenticate`] does.
///
/// # Errors
///
/// [`StoreError`]; the state of the token is unknown then.
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
    let requirement = Requirement::new(Access::Token);
    Ok(
        match gate.decide(&requirement, Some(&caller), &snapshot, now) {
            Ok(()) => Authentication::Known(Box::new(caller)),
            // SECURITY: an attacker may hold a revoked key and sign any token with it.
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

/// The bearer of an expired access token that was valid, for a logout only: the claims grant nothing.
/// `None` for any other token.
///
/// # Errors
///
/// [`StoreError`]; the caller is unauthenticated then.
pub async fn authenticate_expired(
    gate: &Gate,
    authorization: Option<&str>,
    store: &(impl KeyStore + RevocationStore),
    signatures: &impl SignatureVerifier,
    now: UnixTime,
) -> Result<Option<Box<Verified<Claims>>>, StoreError> {
    let Ok(Some(token)) = bearer_token(authorization) else {
        return Ok(None);
    };
    let document = store.key_document().await?;
    let snapshot = Snapshot::new(gate.policy(), &document, Revocations::default(), now);
    let Ok(caller) = verify_expired(gate, token, &snapshot, signatures, now).await else {
        return Ok(None);
    };
    let token = token_of(&caller);
    let revoked = store.revocations_of(token).await?;
    // SECURITY: an attacker may hold a revoked key and sign a token of any session with it.
    if revoked.revokes_key(token) {
        return Ok(None);
    }
    Ok(Some(Box::new(caller)))
}

fn token_of(caller: &Verified<Claims>) -> TokenIds<'_> {
    caller.get().revocable(caller.key_id())
}
