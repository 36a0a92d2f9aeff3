//! Logout: the session ends, and what is left of it is called back everywhere.

use core::time::Duration;

use portcullis_core::audit::{AuditEvent, AuditKind};
use portcullis_core::id::Id;
use portcullis_core::policy::MAX_LEEWAY;
use portcullis_core::revocation::{CLOCK_SKEW, Revocation, RevocationTarget, WRITE_BOUND};
use portcullis_core::time::UnixTime;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;

use crate::error::ServiceError;
use crate::ports::{Call, Chance, Clock};
use crate::store::{RevocationStore, SessionStore};

/// How often a feed row is written anew before the caller is told to try again.
const ANNOUNCEMENTS: usize = 4;

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
/// `lifetime` is how long access tokens live here: so long others of the session may be about.
///
/// # Errors
///
/// [`ServiceError`]; the caller may not take the session for ended then, and may try again.
pub async fn logout(
    caller: &Verified<Claims>,
    lifetime: Duration,
    store: &(impl SessionStore + RevocationStore),
    clock: &impl Clock,
    chance: &impl Chance,
    call: &Call,
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
    end_and_announce(&ended, lifetime, store, clock, chance, call).await?;
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
    lifetime: Duration,
    store: &(impl SessionStore + RevocationStore),
    clock: &impl Clock,
    chance: &impl Chance,
    call: &Call,
) -> Result<(), ServiceError> {
    let margin = MAX_LEEWAY.saturating_add(CLOCK_SKEW);
    let revocations = [
        Revocation {
            target: RevocationTarget::Token(ended.token_id.to_owned()),
            until: ended.expires_at.after(margin),
        },
        Revocation {
            target: RevocationTarget::Session(ended.session_id.to_string()),
            until: call.now.after(lifetime).after(margin),
        },
    ];
    let event = call.event(chance.id()?, AuditKind::LoggedOut, Some(&ended.user_id));
    let event = AuditEvent {
        session_id: Some(ended.session_id.clone()),
        ..event
    };
    let mut stamp = clock.now();
    store
        .end_session(&ended.session_id, &revocations, stamp, &event)
        .await?;
    // INVARIANT: acknowledged only once a feed row was seen committed within the write bound of
    // its stamp: edges look no further back than that.
    let mut announcements = 0..ANNOUNCEMENTS;
    while clock.now() > stamp.after(WRITE_BOUND) {
        announcements.next().ok_or(ServiceError::LateFeed)?;
        stamp = clock.now();
        store
            .announce(&revocations, stamp, &call.request_id)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
