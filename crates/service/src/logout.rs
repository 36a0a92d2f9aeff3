//! Logout: ends the session and revokes its remaining tokens everywhere.

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

/// The outcome of a logout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum LogoutOutcome {
    /// The session has ended; every edge knows within its staleness bound.
    Done,
    /// The token belongs to no session of this service.
    NoSession,
}

/// Ends the session of `caller`: deletes its rows and revokes its token and session in one
/// transaction. Returns after the feed has carried that to the edges.
///
/// # Errors
///
/// [`UseCaseError`]; the session may still be active then, and the caller may retry.
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
