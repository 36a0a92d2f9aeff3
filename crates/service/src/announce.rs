//! Announcing: what is called back, until when, and that every edge hears of it in time.

use core::time::Duration;

use portcullis_core::id::Id;
use portcullis_core::policy::{MAX_LEEWAY, MAX_LIFETIME, MAX_STALENESS};
use portcullis_core::revocation::{CLOCK_SKEW, Revocation, RevocationTarget, WRITE_BOUND};
use portcullis_core::time::UnixTime;

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{Clock, RequestMeta};
use crate::store::{Account, RevocationStore};

/// How often a feed row is written anew before the caller is told to try again.
pub(crate) const MAX_ATTEMPTS: usize = 4;

/// One token called back, for as long as it could be shown.
pub(crate) fn token(token_id: &str, expires_at: UnixTime) -> Revocation {
    Revocation {
        target: RevocationTarget::Token(token_id.to_owned()),
        until: expires_at.plus(MAX_LEEWAY.saturating_add(CLOCK_SKEW)),
    }
}

/// A session called back, for as long as a token issued for it up to now could be shown.
// INVARIANT: reckoned by the longest lifetime there is and not by this process's own. Another host
// may issue longer tokens, or this one have done so until an hour ago, and none of them may come
// back to life. It costs no memory anywhere: edges forget by the reach of their policy.
pub(crate) fn session(session_id: &Id, now: UnixTime) -> Revocation {
    Revocation {
        target: RevocationTarget::Session(session_id.to_string()),
        until: last_shown(MAX_LIFETIME, now),
    }
}

/// Every session of a subject below `generation` called back, for as long as [`session`] is.
pub(crate) fn subject(issuer: &str, user_id: &Id, generation: u64, now: UnixTime) -> Revocation {
    Revocation {
        target: RevocationTarget::Subject {
            issuer: issuer.to_owned(),
            subject: user_id.to_string(),
            generation,
        },
        until: last_shown(MAX_LIFETIME, now),
    }
}

/// Every session of `account` below `generation` called back.
pub(crate) fn sessions_below<S, C>(
    generation: u64,
    account: &Account,
    ctx: ServiceContext<'_, S, C>,
) -> Revocation {
    let issuer = &ctx.settings.issuing.issuer;
    subject(issuer, &account.user_id, generation, ctx.call.now)
}

/// A key called back, for as long as a token under it could be shown, or an edge hold the key.
pub(crate) fn key(key_id: &str, lifetime: Duration, now: UnixTime) -> Revocation {
    Revocation {
        target: RevocationTarget::Key(key_id.to_owned()),
        until: last_shown(lifetime, now).max(now.plus(MAX_STALENESS).plus(CLOCK_SKEW)),
    }
}

const fn last_shown(lifetime: Duration, now: UnixTime) -> UnixTime {
    now.plus(lifetime)
        .plus(MAX_LEEWAY.saturating_add(CLOCK_SKEW))
}

/// Writes fresh feed rows of `revocations`, which were written before, and returns once each was
/// seen committed in time.
///
/// # Errors
///
/// [`UseCaseError`]; the caller may not take them for announced then.
pub(crate) async fn again(
    revocations: &[Revocation],
    store: &impl RevocationStore,
    clock: &impl Clock,
    call: &RequestMeta,
) -> Result<(), UseCaseError> {
    let stamp = clock.now();
    store.announce(revocations, stamp, &call.request_id).await?;
    confirm_within_bound(revocations, stamp, store, clock, call).await
}

/// Returns once a feed row of each of `revocations` was seen committed in time. They have just
/// been written with the stamp `stamp`.
///
/// # Errors
///
/// [`UseCaseError`]; the caller may not take them for announced then.
pub(crate) async fn confirm_within_bound(
    revocations: &[Revocation],
    mut stamp: UnixTime,
    store: &impl RevocationStore,
    clock: &impl Clock,
    call: &RequestMeta,
) -> Result<(), UseCaseError> {
    // INVARIANT: acknowledged only once a feed row was seen committed within the write bound of
    // its stamp: edges look no further back than that.
    let mut announcements = 0..MAX_ATTEMPTS;
    while clock.now() > stamp.plus(WRITE_BOUND) {
        announcements.next().ok_or(UseCaseError::NotConfirmed)?;
        stamp = clock.now();
        store.announce(revocations, stamp, &call.request_id).await?;
    }
    Ok(())
}
