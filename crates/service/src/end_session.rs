//! Ends a session: deletes it, revokes its remaining tokens and waits until every edge knows.

use portcullis_core::audit::AuditKind;
use portcullis_core::id::Id;
use portcullis_core::refresh::RefreshToken;
use portcullis_core::revocation::{Revocation, TokenIds};

use crate::announce;
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{Clock, SecureRandom};
use crate::store::{OutboxMail, RevocationStore, SessionStore};

/// The session to end, and the reason.
pub(crate) struct Ending<'a> {
    pub(crate) user_id: &'a Id,
    pub(crate) session_id: &'a Id,
    /// Also revokes the token that authorized the request; it may be older than the current maximum
    /// lifetime.
    pub(crate) token: Option<Revocation>,
    pub(crate) kind: AuditKind,
    /// The mail about it, if another person than the owner ends the session.
    pub(crate) notice: Option<OutboxMail>,
}

/// Ends a session: deletes its rows and revokes it in one transaction with the audit row. Returns
/// after the feed has carried the revocation to the edges.
///
/// # Errors
///
/// [`UseCaseError`]; the session may still be active then.
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
    let notice = ending.notice.as_ref();
    store
        .end_session(ending.session_id, &revocations, stamp, notice, &event)
        .await?;
    announce::confirm_within_bound(&revocations, stamp, store, clock, call).await
}

/// Ends the session of a refresh token, current or used.
///
/// # Errors
///
/// [`UseCaseError`]; the session may still be active then.
pub(crate) async fn end_family(
    token: &RefreshToken,
    kind: AuditKind,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl SessionStore + RevocationStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    let Some(family) = ctx.store.family(token.session_id()).await? else {
        // Only a bearer of the session's token can present this one: its MAC proves that.
        announce_again(token.session_id(), clock, ctx).await?;
        return Ok(());
    };
    let ending = Ending {
        user_id: &family.session.user_id,
        session_id: &family.session.id,
        token: None,
        kind,
        notice: None,
    };
    end(&ending, clock, ctx).await
}

/// Announces the revocation of a session again, for a client whose first response was lost or
/// reported a late feed. Returns whether the session had been revoked; if not, nothing is
/// announced. The session row is deleted, so the caller must have authorized the request itself.
///
/// # Errors
///
/// [`UseCaseError`]; the session may still be active then.
pub(crate) async fn announce_again<C>(
    session_id: &Id,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl RevocationStore, C>,
) -> Result<bool, UseCaseError> {
    // Only the session is identified here.
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
    let revocation = announce::session(session_id, ctx.call.now);
    announce::again(&revocation, ctx.store, clock, ctx.call).await?;
    Ok(true)
}

#[cfg(test)]
mod tests;
