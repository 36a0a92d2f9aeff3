//! The signature step between the two pure steps of a token's verification.

use portcullis_core::denial::Denial;
use portcullis_core::gate::Gate;
use portcullis_core::snapshot::Snapshot;
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::{Inspected, Verified};

use crate::ports::SignatureVerifier;

/// As [`verify`], for a token that has expired.
pub(crate) async fn verify_expired(
    gate: &Gate,
    token: &str,
    snapshot: &Snapshot,
    signatures: &impl SignatureVerifier,
    now: UnixTime,
) -> Result<Verified<Claims>, Denial> {
    let keys = snapshot.keys();
    let inspected = gate.verifier().inspect_expired(token, keys, now)?;
    check(inspected, signatures).await
}

/// Inspects `token`, verifies its signature and accepts it.
pub(crate) async fn verify(
    gate: &Gate,
    token: &str,
    snapshot: &Snapshot,
    signatures: &impl SignatureVerifier,
    now: UnixTime,
) -> Result<Verified<Claims>, Denial> {
    let inspected = gate.verifier().inspect(token, snapshot.keys(), now)?;
    check(inspected, signatures).await
}

async fn check(
    inspected: Inspected<'_, '_>,
    signatures: &impl SignatureVerifier,
) -> Result<Verified<Claims>, Denial> {
    let verdict = signatures
        .check(&inspected.check()?)
        .await
        .map_err(|_| Denial::UnusableKey)?;
    inspected.accept(verdict)
}
