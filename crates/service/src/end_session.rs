//! Ending: a session goes, what is left of it is called back, and every edge hears of it.

use portcullis_core::audit::AuditKind;
use portcullis_core::id::Id;
use portcullis_core::revocation::{Revocation, TokenIds};

use crate::announce;
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{Clock, SecureRandom};
use crate::store::{RevocationStore, SessionStore};

/// The session that ends, and why.
pub(crate) struct Ending<'a> {
    pub(crate) user_id: &'a Id,
    pub(crate) session_id: &'a Id,
    /// Calls back the token it ends by, which may have been issued for longer than tokens are now.
    pub(crate) token: Option<Revocation>,
    pub(crate) kind: AuditKind,
}

/// Ends a session: its rows go, it is called back, in one step with the audit row, and the feed
/// carries that to the edges before this returns.
///
/// # Errors
///
/// [`UseCaseError`]; the session may not be taken for ended then.
pub(crate) async fn end(
    ending: &Ending<'_>,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl SessionStore + RevocationStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    let (store, call) = (ctx.store, ctx.call);
    let mut revocations = vec![announce::session(ending.session_id, call.now)];
    revocations.extend(ending.token.clone());
    let event = ctx.session_event(ending.kind, ending.user_id, ending.session_id)?;
    let stamp = clock.now();
    store
        .end_session(ending.session_id, &revocations, stamp, &event)
        .await?;
    announce::confirm_within_bound(&revocations, stamp, store, clock, call).await
}

/// Announces once more that a session was called back, for somebody whose first answer was lost,
/// or said that the feed was late. Whether it was: of what nobody ever ended, nothing is announced.
/// Its rows are gone and do not tell whose it was; who asks has shown that by other means.
///
/// # Errors
///
/// [`UseCaseError`]; the session may not be taken for ended then.
pub(crate) async fn announce_again<C>(
    session_id: &Id,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl RevocationStore, C>,
) -> Result<bool, UseCaseError> {
    // Nothing but the session has a name here.
    let session = TokenIds {
        issuer: &ctx.settings.issuing.issuer,
        subject: "",
        token_id: "",
        session_id: Some(session_id.as_str()),
        generation: None,
        key_id: "",
    };
    let standing = ctx.store.revocations_of(session).await?;
    if !standing.revokes_token_or_session(session) {
        return Ok(false);
    }
    let revocations = [announce::session(session_id, ctx.call.now)];
    announce::again(&revocations, ctx.store, clock, ctx.call).await?;
    Ok(true)
}

#[cfg(test)]
mod tests;
