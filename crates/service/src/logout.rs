//! Logout: the session ends, and what is left of it is called back everywhere.

use core::time::Duration;

use portcullis_core::audit::{AuditEvent, AuditKind};
use portcullis_core::id::Id;
use portcullis_core::policy::MAX_LEEWAY;
use portcullis_core::revocation::{CLOCK_SKEW, Revocation, RevocationTarget, WRITE_BOUND};
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
    let margin = MAX_LEEWAY.saturating_add(CLOCK_SKEW);
    let revocations = [
        Revocation {
            target: RevocationTarget::Token(claims.token_id.clone()),
            until: claims.expires_at.after(margin),
        },
        Revocation {
            target: RevocationTarget::Session(session_id.to_string()),
            until: call.now.after(lifetime).after(margin),
        },
    ];
    let event = call.event(chance.id()?, AuditKind::LoggedOut, Some(&user_id));
    let event = AuditEvent {
        session_id: Some(session_id.clone()),
        ..event
    };
    let mut stamp = clock.now();
    store
        .end_session(&session_id, &revocations, stamp, &event)
        .await?;
    // INVARIANT: acknowledged only once a feed row was seen committed within the write bound of
    // its stamp: edges look no further back than that.
    for _ in 0..ANNOUNCEMENTS {
        if clock.now() <= stamp.after(WRITE_BOUND) {
            return Ok(LogoutOutcome::Done);
        }
        stamp = clock.now();
        store
            .announce(&revocations, stamp, &call.request_id)
            .await?;
    }
    if clock.now() <= stamp.after(WRITE_BOUND) {
        return Ok(LogoutOutcome::Done);
    }
    Err(ServiceError::LateFeed)
}
