//! Logout: the session ends, and what is left of it is called back everywhere.

use portcullis_core::audit::AuditKind;
use portcullis_core::id::Id;
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;

use crate::announce;
use crate::error::ServiceError;
use crate::means::Means;
use crate::ports::{Chance, Clock};
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
/// [`ServiceError`]; the caller may not take the session for ended then, and may try again.
pub async fn logout(
    caller: &Verified<Claims>,
    clock: &impl Clock,
    means: Means<'_, impl SessionStore + RevocationStore, impl Chance>,
) -> Result<LogoutOutcome, ServiceError> {
    let claims = caller.get();
    let session = claims.session_id.as_deref().map(Id::parse);
    let (Some(Ok(session_id)), Ok(user_id)) = (session, Id::parse(&claims.subject)) else {
        return Ok(LogoutOutcome::NoSession);
    };
    let ended = Ended {
        user_id,
        session_id,
        token_id: &claims.token_id,
        expires_at: claims.expires_at,
    };
    end_and_announce(&ended, clock, means).await?;
    Ok(LogoutOutcome::Done)
}

/// The session that ends, and the token it ends by.
struct Ended<'a> {
    user_id: Id,
    session_id: Id,
    token_id: &'a str,
    expires_at: UnixTime,
}

async fn end_and_announce(
    ended: &Ended<'_>,
    clock: &impl Clock,
    means: Means<'_, impl SessionStore + RevocationStore, impl Chance>,
) -> Result<(), ServiceError> {
    let (store, call) = (means.store, means.call);
    let lifetime = means.settings.issuing.lifetime;
    let revocations = [
        announce::token(ended.token_id, ended.expires_at),
        announce::session(&ended.session_id, lifetime, call.now),
    ];
    let event = means.session_event(AuditKind::LoggedOut, &ended.user_id, &ended.session_id)?;
    let stamp = clock.now();
    store
        .end_session(&ended.session_id, &revocations, stamp, &event)
        .await?;
    announce::see_in_time(&revocations, stamp, store, clock, call).await
}

#[cfg(test)]
mod tests;
