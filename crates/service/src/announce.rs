//! Announces revocations: defines their targets and expiry, and confirms that every edge sees
//! it in time.

use core::time::Duration;

use portcullis_core::id::Id;
use portcullis_core::policy::{MAX_LEEWAY, MAX_LIFETIME, MAX_STALENESS};
use portcullis_core::revocation::{
    CLOCK_SKEW, REPEATED_WITHIN, Revocation, RevocationTarget, WRITE_BOUND,
};
use portcullis_core::time::UnixTime;

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{Clock, RequestMeta};
use crate::store::{Account, Announced, RevocationStore};

/// The attempts to write a feed row before the caller must retry.
pub(crate) const MAX_ATTEMPTS: usize = 4;

/// Revokes one token for as long as it can be presented.
pub(crate) fn token(token_id: &str, expires_at: UnixTime) -> Revocation {
    Revocation {
        target: RevocationTarget::Token(token_id.to_owned()),
        until: expires_at.plus(MAX_LEEWAY.saturating_add(CLOCK_SKEW)),
    }
}

/// Revokes a session for as long as a token issued for it until now can be presented.
// INVARIANT: uses the longest possible token lifetime, not the lifetime set in this process.
// Another host may issue longer tokens, or this one may have done so an hour ago; none of them may
// become valid again. Edges need no extra memory, because their policy limits how long they keep a
// revocation.
pub(crate) fn session(session_id: &Id, now: UnixTime) -> Revocation {
    Revocation {
        target: RevocationTarget::Session(session_id.to_string()),
        until: last_shown(MAX_LIFETIME, now),
    }
}

/// Revokes every token of a subject below the token generation `generation`, for as long as
/// [`session`] does.
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

/// Revokes every token that `account` has now.
pub(crate) fn tokens_of<S, C>(account: &Account, ctx: ServiceContext<'_, S, C>) -> Revocation {
    tokens_below(account.next_token_generation(), account, ctx)
}

/// The last revocation of tokens of `account`.
pub(crate) fn last_of<S, C>(account: &Account, ctx: ServiceContext<'_, S, C>) -> Revocation {
    tokens_below(account.token_generation, account, ctx)
}

fn tokens_below<S, C>(
    generation: u64,
    account: &Account,
    ctx: ServiceContext<'_, S, C>,
) -> Revocation {
    let issuer = &ctx.settings.issuing.issuer;
    subject(issuer, &account.user_id, generation, ctx.call.now)
}

/// Revokes a key for as long as a token under it can be presented or an edge can hold the key.
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

/// Announces `revocation`, which was written before, again. Writes nothing if its last feed row is
/// no older than [`REPEATED_WITHIN`], so that a repeated request costs no row. Returns once the
/// commit of a feed row was confirmed in time.
///
/// # Errors
///
/// [`UseCaseError`]; the revocations may be unknown to the edges then.
pub(crate) async fn again(
    revocation: &Revocation,
    store: &impl RevocationStore,
    clock: &impl Clock,
    call: &RequestMeta,
) -> Result<(), UseCaseError> {
    for _reading in 0..MAX_ATTEMPTS {
        let stamp = clock.now();
        let since = stamp.minus(REPEATED_WITHIN);
        let announced = store
            .announce_again(revocation, since, stamp, &call.request_id)
            .await?;
        match announced {
            Announced::Written => {
                let revocations = core::slice::from_ref(revocation);
                return confirm_within_bound(revocations, stamp, store, clock, call).await;
            }
            // INVARIANT: the row found is committed, with a stamp of `since` or later. At its commit
            // this host's clock showed at most now, so the edges' clocks showed at most
            // now + CLOCK_SKEW. The edges look back far enough if that is at most
            // stamp + WRITE_BOUND + CLOCK_SKEW.
            Announced::Before if clock.now() <= since.plus(WRITE_BOUND) => return Ok(()),
            // The row may have been committed too late.
            Announced::Before => {}
        }
    }
    Err(UseCaseError::NotConfirmed)
}

/// Returns once the commit of a feed row of each of `revocations` was confirmed in time. The rows
/// were just written with the stamp `stamp`.
///
/// # Errors
///
/// [`UseCaseError`]; the revocations may be unknown to the edges then.
pub(crate) async fn confirm_within_bound(
    revocations: &[Revocation],
    mut stamp: UnixTime,
    store: &impl RevocationStore,
    clock: &impl Clock,
    call: &RequestMeta,
) -> Result<(), UseCaseError> {
    // INVARIANT: acknowledges only after a feed row was confirmed committed within the write bound
    // of its stamp. Edges look no further back than that.
    let mut announcements = 0..MAX_ATTEMPTS;
    while clock.now() > stamp.plus(WRITE_BOUND) {
        announcements.next().ok_or(UseCaseError::NotConfirmed)?;
        stamp = clock.now();
        store.announce(revocations, stamp, &call.request_id).await?;
    }
    Ok(())
}
