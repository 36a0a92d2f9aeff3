//! Identifying the client that asks, where only some may ([RFC 6749 §2.3]).
//!
//! [RFC 6749 §2.3]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3

use portcullis_core::audit::AuditKind;
use portcullis_core::client::Clients;
use portcullis_core::secret::Secret;

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::SecureRandom;
use crate::store::AuditStore;

/// Who a client says it is.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// `client_id`.
    pub id: String,
    /// Its secret, if it sent one.
    pub secret: Option<Secret<String>>,
}

/// Which client it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum ClientKind {
    /// Our own, which runs on people's devices and keeps no secret.
    FirstParty,
    /// One that proved who it is.
    Confidential,
    /// None that we know.
    Refused,
}

/// Finds out which client asks; ours goes by the name `first_party`.
pub fn identify(claim: &ClientCredentials, clients: &Clients, first_party: &str) -> ClientKind {
    let known = match &claim.secret {
        Some(secret) => clients
            .authenticate(&claim.id, secret)
            .map(|_| ClientKind::Confidential),
        // One that has a secret must show it, even if it bears our own client's name.
        None if clients.contains(&claim.id) => None,
        None => (claim.id == first_party).then_some(ClientKind::FirstParty),
    };
    known.unwrap_or(ClientKind::Refused)
}

/// Leaves a line in the audit trail: a client did not prove who it is.
///
/// # Errors
///
/// [`UseCaseError`].
pub async fn record_refusal(
    ctx: ServiceContext<'_, impl AuditStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    let event = ctx.event(AuditKind::ClientRefused, None)?;
    Ok(ctx.store.record(&event).await?)
}
