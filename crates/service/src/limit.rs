//! Rate limits: each attempt is counted before any work is done for it.

pub(crate) mod bucket;
#[cfg(test)]
mod tests;

pub use bucket::LimitKey;

use core::time::Duration;

use portcullis_core::audit::AuditKind;
use portcullis_core::email::EmailAddress;
use portcullis_core::limit::client::ClientSite;
use portcullis_core::limit::device::{DEVICE_LIFETIME, KnownBrowser};
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::limit::{Attempt, LimitDecision, Quota, device};

use self::bucket::{bucket, client_site, site_bucket};
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{NoEntropy, SecureRandom};
use crate::settings::LimitFailMode;
use crate::store::{AuditStore, Bucket, LimitStore, StoreError};

/// One in 16 attempts of an IPv6 client counts in the bucket of its `/48`: a random byte below this
/// number.
const SAMPLED_BELOW: u8 = 16;

/// A device cookie with a shorter remaining lifetime is renewed: half of the lifetime.
const RENEWED_BEFORE: Duration = Duration::from_secs(DEVICE_LIFETIME.as_secs().div_euclid(2));

/// The outcome for an attempt.
#[derive(Debug)]
#[must_use]
pub enum LimitOutcome {
    /// The attempt is allowed.
    Allowed(Reservation),
    /// The attempt is rejected; no work is done for it.
    Limited(Limited),
}

/// The reason for a rejection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limited {
    /// Too many attempts; the next one is allowed after this time.
    RetryAfter(Duration),
    /// Too many consecutive failures: waiting does not help.
    LockedOut(LimitKind),
}

/// The counted attempt, in each bucket that a success takes it back from.
#[derive(Debug, Default)]
pub struct Reservation {
    counted: Vec<(Bucket, Attempt)>,
    /// The generation in the device cookie, if a known browser was counted.
    pub known_generation: Option<u64>,
    /// The reason why the attempt is allowed uncounted, for the log.
    pub uncounted: Option<StoreError>,
}

/// Counts an attempt in `scope` under the key `limit_key` and rejects it if there were too many. The
/// first rejection writes an audit entry; each later one costs one write and no entry.
///
/// # Errors
///
/// [`UseCaseError`]; no work may be done for the attempt then.
pub async fn acquire(
    scope: LimitKind,
    limit_key: LimitKey<'_>,
    ctx: ServiceContext<'_, impl LimitStore + AuditStore, impl SecureRandom>,
) -> Result<LimitOutcome, UseCaseError> {
    let limits = &ctx.settings.limits;
    let Some(quota) = limits.quotas.of(scope) else {
        return Ok(LimitOutcome::Allowed(Reservation::default()));
    };
    let site = match limit_key {
        LimitKey::Network => client_site(ctx),
        LimitKey::Email(_)
        | LimitKey::KnownBrowsers(..)
        | LimitKey::Device(..)
        | LimitKey::Account(_)
        | LimitKey::Factor(..)
        | LimitKey::Session(_) => None,
    };
    let now = ctx.call.now;
    if let Some(site) = site
        && let Some(free_at) = limits.refused_sites.free_at(scope, site, now)
    {
        let limited = Limited::RetryAfter(now.until(free_at));
        return Ok(LimitOutcome::Limited(limited));
    }
    let (attempt, is_sampled) = attempt(ctx)?;
    let own = bucket(scope, quota, limit_key, ctx);
    let mut reservation = match count(own, attempt, ctx).await? {
        LimitOutcome::Limited(limited) => return Ok(LimitOutcome::Limited(limited)),
        LimitOutcome::Allowed(counted) => counted,
    };
    // SECURITY: counted only if the network accepts the attempt, so that one network cannot use up
    // the quota of its site.
    if let Some(site) = site.filter(|_| is_sampled) {
        match count_site(scope, quota, site, attempt, ctx).await? {
            LimitOutcome::Limited(limited) => return Ok(LimitOutcome::Limited(limited)),
            LimitOutcome::Allowed(counted) => reservation.add(counted),
        }
    }
    Ok(LimitOutcome::Allowed(reservation))
}

/// Counts a sampled attempt in the bucket of its IPv6 site. After a refusal the host refuses all
/// attempts of the site until the bucket accepts one again.
async fn count_site(
    scope: LimitKind,
    quota: Quota,
    site: ClientSite,
    attempt: Attempt,
    ctx: ServiceContext<'_, impl LimitStore + AuditStore, impl SecureRandom>,
) -> Result<LimitOutcome, UseCaseError> {
    let outcome = count(site_bucket(scope, quota, site, ctx), attempt, ctx).await?;
    if let LimitOutcome::Limited(Limited::RetryAfter(wait)) = &outcome {
        let free_at = ctx.call.now.plus(*wait);
        let sites = &ctx.settings.limits.refused_sites;
        sites.refuse(scope, site, free_at);
    }
    Ok(outcome)
}

/// Counts `attempt` in `bucket`.
async fn count(
    bucket: Bucket,
    attempt: Attempt,
    ctx: ServiceContext<'_, impl LimitStore + AuditStore, impl SecureRandom>,
) -> Result<LimitOutcome, UseCaseError> {
    let (scope, quota) = (bucket.scope, bucket.quota);
    let fail_mode = ctx.settings.limits.fail_mode;
    let counted = match (ctx.store.count(&bucket, attempt).await, fail_mode) {
        (Ok(counted), _) => counted,
        (Err(error), LimitFailMode::Closed) => return Err(error.into()),
        (Err(error), LimitFailMode::Open) => {
            return Ok(LimitOutcome::Allowed(Reservation {
                counted: Vec::new(),
                known_generation: None,
                uncounted: Some(error),
            }));
        }
    };
    if counted.is_first_refusal {
        let event = ctx.event(AuditKind::Limited(scope), None)?;
        ctx.store.record(&event).await?;
    }
    Ok(match counted.decision {
        LimitDecision::Allow => LimitOutcome::Allowed(Reservation {
            // The first half of a large quota is not refunded, which saves most logins a write.
            counted: if quota.is_exact() || counted.is_half_used {
                vec![(bucket, attempt)]
            } else {
                Vec::new()
            },
            known_generation: None,
            uncounted: None,
        }),
        LimitDecision::RetryAfter(span) => LimitOutcome::Limited(Limited::RetryAfter(span)),
        LimitDecision::LockedOut => LimitOutcome::Limited(Limited::LockedOut(scope)),
    })
}

/// Counts a login. A browser that has logged in to this address before is counted by itself, with
/// all known browsers of the address, and with the known browsers of its network. Any other browser
/// is counted by its network and by the address. So an attacker who guesses fills no bucket of the
/// owner's known browsers, and many device cookies allow no more guesses than a few. A successful
/// login refunds its attempt.
///
/// # Errors
///
/// As [`acquire`].
pub async fn acquire_login(
    email: &EmailAddress,
    device_cookie: Option<&str>,
    ctx: ServiceContext<'_, impl LimitStore + AuditStore, impl SecureRandom>,
) -> Result<LimitOutcome, UseCaseError> {
    let known = device_cookie
        .and_then(|cookie| device::recognise(ctx.root_keys, cookie, email, ctx.call.now));
    if let Some(browser) = known {
        return acquire_known(email, &browser, ctx).await;
    }
    acquire_unknown(email, ctx).await
}

/// Counts a login from a known browser. The narrowest bucket comes first: what it rejects must not
/// fill the buckets of other browsers.
async fn acquire_known(
    email: &EmailAddress,
    browser: &KnownBrowser,
    ctx: ServiceContext<'_, impl LimitStore + AuditStore, impl SecureRandom>,
) -> Result<LimitOutcome, UseCaseError> {
    let mut place = Reservation {
        known_generation: Some(browser.generation),
        ..Reservation::default()
    };
    let own = LimitKey::Device(email, browser.generation, &browser.nonce);
    for (scope, limit_key) in [
        (LimitKind::LoginDevice, own),
        (
            LimitKind::LoginKnown,
            LimitKey::KnownBrowsers(email, browser.generation),
        ),
        (LimitKind::LoginKnownAddress, LimitKey::Network),
    ] {
        match acquire(scope, limit_key, ctx).await? {
            LimitOutcome::Limited(limited) => return Ok(LimitOutcome::Limited(limited)),
            LimitOutcome::Allowed(counted) => place.add(counted),
        }
    }
    Ok(LimitOutcome::Allowed(place))
}

/// Counts a login from a browser that is not known for the account: by its network and by the
/// address. Also a login whose device cookie turns out to be older than the sessions of the
/// account, once the account is read.
///
/// # Errors
///
/// As [`acquire`].
pub(crate) async fn acquire_unknown(
    email: &EmailAddress,
    ctx: ServiceContext<'_, impl LimitStore + AuditStore, impl SecureRandom>,
) -> Result<LimitOutcome, UseCaseError> {
    let mut place = Reservation::default();
    for (scope, limit_key) in [
        (LimitKind::LoginAddress, LimitKey::Network),
        (LimitKind::LoginEmail, LimitKey::Email(email)),
    ] {
        match acquire(scope, limit_key, ctx).await? {
            LimitOutcome::Limited(limited) => return Ok(LimitOutcome::Limited(limited)),
            LimitOutcome::Allowed(counted) => place.add(counted),
        }
    }
    Ok(LimitOutcome::Allowed(place))
}

/// Refunds `place`: the attempt was successful.
///
/// # Errors
///
/// [`StoreError`]; the attempt still counts then, which costs only its owner.
pub async fn refund<C>(
    place: &Reservation,
    ctx: ServiceContext<'_, impl LimitStore, C>,
) -> Result<(), StoreError> {
    let mut failure = None;
    for (bucket, attempt) in &place.counted {
        failure = failure.or(ctx.store.refund(bucket, *attempt).await.err());
    }
    failure.map_or(Ok(()), Err)
}

impl Reservation {
    /// Adds the attempt that was counted in another bucket.
    fn add(&mut self, other: Self) {
        self.counted.extend(other.counted);
        self.uncounted = self.uncounted.take().or(other.uncounted);
    }
}

/// The cookie that marks a browser as known for the account of `email` while the account has this
/// `generation`. `None` if the browser has one, `presented`, that is valid for at least half of its
/// lifetime: a new one would be a new bucket for guesses. A renewed cookie keeps its bucket.
///
/// # Errors
///
/// [`NoEntropy`].
pub fn device_cookie<S>(
    email: &EmailAddress,
    generation: u64,
    presented: Option<&str>,
    ctx: ServiceContext<'_, S, impl SecureRandom>,
) -> Result<Option<String>, NoEntropy> {
    let (root_keys, now) = (ctx.root_keys, ctx.call.now);
    let recognised = |at| device::recognise(root_keys, presented?, email, at);
    let nonce = match recognised(now) {
        Some(known) => {
            let later = now.plus(RENEWED_BEFORE);
            if known.generation == generation && recognised(later).is_some() {
                return Ok(None);
            }
            known.nonce
        }
        None => ctx.random.id()?,
    };
    let browser = KnownBrowser { nonce, generation };
    Ok(Some(device::issue(root_keys, email, &browser, now)))
}

/// An identifier of an attempt of this request, unique by random bits; and whether the attempt also
/// counts in the bucket of its IPv6 site.
// SECURITY: the random bits decide, so a client cannot choose attempts that do not count.
fn attempt<S>(ctx: ServiceContext<'_, S, impl SecureRandom>) -> Result<(Attempt, bool), NoEntropy> {
    let [a, b, c, d, sample, ..] = ctx.random.nonce()?;
    let attempt = Attempt::new(ctx.call.now, u32::from_le_bytes([a, b, c, d]));
    Ok((attempt, sample < SAMPLED_BELOW))
}
