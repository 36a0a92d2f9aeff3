//! Sessions as their owner sees them: listed, and ended one by one.

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

/// The sessions of the caller's account that go on, the newest first; of a great many only the
/// newest.
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
    // Rows go late, and those of an erased account may still lie beside its successor's.
    sessions.retain(|session| {
        session.user_id == account.user_id
            && session.generation == account.generation
            && ctx.call.now < session.head.idle_ends_at
    });
    Ok(sessions)
}

/// How the end of a session ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum EndOutcome {
    /// The session is over; every edge knows within its staleness bound.
    Done,
    /// The caller has no such session.
    Unknown,
}

/// Ends the session `session_id` of the caller's account, as [`crate::logout::logout`] ends the
/// caller's own. Asking again is no mistake.
///
/// # Errors
///
/// [`UseCaseError`]; the session may not be taken for ended then.
pub async fn end_session(
    caller: &Verified<Claims>,
    session_id: &Id,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl SessionStore + RevocationStore, impl SecureRandom>,
) -> Result<EndOutcome, UseCaseError> {
    let Some(family) = ctx.store.family(session_id).await? else {
        // Whose it was is not known any more, and its id was known to its owner alone.
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
    };
    end(&ending, clock, ctx).await?;
    Ok(EndOutcome::Done)
}
