//! Logout: the session ends, and what is left of it is called back everywhere.

use portcullis_core::audit::AuditKind;
use portcullis_core::id::Id;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;

use crate::announce;
use crate::context::ServiceContext;
use crate::end_session::{Ending, end};
use crate::error::UseCaseError;
use crate::ports::{Clock, SecureRandom};
use crate::store::{RevocationStore, SessionStore};

/// How a logout ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum LogoutOutcome {
    /// The session is over; every edge knows within its staleness bound.
    Done,
    /// The token stems from no session of ours.
    NoSession,
}

/// Ends the session of `caller`: its rows go, its token and session are called back, in one step,
/// and the feed carries that to the edges before this returns.
///
/// # Errors
///
/// [`UseCaseError`]; the caller may not take the session for ended then, and may try again.
pub async fn logout(
    caller: &Verified<Claims>,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl SessionStore + RevocationStore, impl SecureRandom>,
) -> Result<LogoutOutcome, UseCaseError> {
    let claims = caller.get();
    let session = claims.session_id.as_deref().map(Id::parse);
    let (Some(Ok(session_id)), Ok(user_id)) = (session, Id::parse(&claims.subject)) else {
        return Ok(LogoutOutcome::NoSession);
    };
    let ending = Ending {
        user_id: &user_id,
        session_id: &session_id,
        token: Some(announce::token(&claims.token_id, claims.expires_at)),
        kind: AuditKind::LoggedOut,
    };
    end(&ending, clock, ctx).await?;
    Ok(LogoutOutcome::Done)
}
