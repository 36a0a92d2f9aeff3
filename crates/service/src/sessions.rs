//! The owner's view of sessions: lists them and revokes single ones.

use portcullis_core::audit::AuditKind;
use portcullis_core::id::Id;
use portcullis_core::session::Session;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;

use crate::context::ServiceContext;
use crate::end_session::{Ending, announce_again, end};
use crate::error::UseCaseError;
use crate::ports::{Clock, SecureRandom};
use crate::store::{Account, AccountStore, RevocationStore, SessionStore};

/// The active sessions of the caller's account, newest first; with a great many, only the newest.
///
/// # Errors
///
/// [`UseCaseError`].
pub async fn sessions<C>(
    caller: &Verified<Claims>,
    ctx: ServiceContext<'_, impl AccountStore + SessionStore, C>,
) -> Result<Vec<Session>, UseCaseError> {
    let Ok(user_id) = Id::parse(&caller.get().subject) else {
        return Ok(Vec::new());
    };
    match ctx.store.account_of(&user_id).await? {
        Some(account) => of_account(&account, ctx).await,
        None => Ok(Vec::new()),
    }
}

/// As [`sessions`], of any account.
pub(crate) async fn of_account<C>(
    account: &Account,
    ctx: ServiceContext<'_, impl SessionStore, C>,
) -> Result<Vec<Session>, UseCaseError> {
    let mut sessions = ctx.store.sessions(&account.email).await?;
    // Expired rows are deleted late, and rows of a deleted account may remain beside those of its
    // successor.
    sessions.retain(|session| {
        session.user_id == account.user_id
            && session.generation == account.generation
            && ctx.call.now < session.head.idle_ends_at
    });
    Ok(sessions)
}

/// The outcome of ending a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum EndOutcome {
    /// The session has ended; every edge knows within its staleness bound.
    Done,
    /// The caller has no such session.
    Unknown,
}

/// Ends the session `session_id` of the caller's account, as [`crate::logout::logout`] ends the
/// caller's own. Idempotent.
///
/// # Errors
///
/// [`UseCaseError`]; the session may still be active then.
pub async fn end_session(
    caller: &Verified<Claims>,
    session_id: &Id,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl SessionStore + RevocationStore, impl SecureRandom>,
) -> Result<EndOutcome, UseCaseError> {
    let Some(family) = ctx.store.family(session_id).await? else {
        // The owner of the deleted session is unknown, but only the owner knew its id.
        return Ok(match announce_again(session_id, clock, ctx).await? {
            true => EndOutcome::Done,
            false => EndOutcome::Unknown,
        });
    };
    let session = family.session;
    if session.user_id.as_str() != caller.get().subject {
        return Ok(EndOutcome::Unknown);
    }
    let ending = Ending {
        user_id: &session.user_id,
        session_id,
        token: None,
        kind: AuditKind::SessionEnded,
        notice: None,
    };
    end(&ending, clock, ctx).await?;
    Ok(EndOutcome::Done)
}
