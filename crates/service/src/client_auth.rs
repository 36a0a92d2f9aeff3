//! Client authentication, where only some clients have access ([RFC 6749 §2.3]).
//!
//! [RFC 6749 §2.3]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3

use portcullis_core::audit::AuditKind;
use portcullis_core::client::OAuthClients;
use portcullis_core::secret::Secret;

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::SecureRandom;
use crate::store::AuditStore;

/// The credentials that a client sent.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// `client_id`.
    pub id: String,
    /// The client's secret, if it sent one.
    pub secret: Option<Secret<String>>,
}

/// The kind of client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum ClientKind {
    /// The first-party client. It runs on users' devices and keeps no secret.
    FirstParty,
    /// An authenticated confidential client.
    Confidential,
    /// An unknown or unauthenticated client.
    Refused,
}

/// Identifies the client; `first_party` is the `client_id` of the first-party client.
pub fn identify(
    claim: &ClientCredentials,
    clients: &OAuthClients,
    first_party: &str,
) -> ClientKind {
    let known = match &claim.secret {
        Some(secret) => clients
            .authenticate(&claim.id, secret)
            .map(|_| ClientKind::Confidential),
        // A client with a configured secret must send it, even if its `client_id` is that of the
        // first-party client.
        None if clients.contains(&claim.id) => None,
        None => (claim.id == first_party).then_some(ClientKind::FirstParty),
    };
    known.unwrap_or(ClientKind::Refused)
}

/// Writes an audit entry: a client failed to authenticate.
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
