//! Rate limits: each attempt is counted before any work is done for it.

use core::time::Duration;

use portcullis_core::audit::AuditKind;
use portcullis_core::base64url;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::limit::client::ClientNetwork;
use portcullis_core::limit::device::{DEVICE_LIFETIME, KnownBrowser};
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::limit::{Attempt, LimitDecision, Quota, device};
use portcullis_core::root_keys::{Purpose, RootKeys};

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{NoEntropy, SecureRandom};
use crate::settings::LimitFailMode;
use crate::store::{AuditStore, Bucket, LimitStore, StoreError};

/// The number of bytes of a bucket's MAC in its row key; too long for an attacker to find a
/// collision.
const NAME_BYTES: usize = 16;

/// A device cookie with a shorter remaining lifetime is renewed: half of the lifetime.
const RENEWED_BEFORE: Duration = Duration::from_secs(DEVICE_LIFETIME.as_secs().div_euclid(2));

/// The key under which attempts are counted together.
#[derive(Clone, Copy, Debug)]
pub enum LimitKey<'a> {
    /// The attempts from the client's network. Requests without a known client address share one
    /// key.
    Network,
    /// The attempts on one address, registered or not.
    Email(&'a EmailAddress),
    /// The attempts on one address from all browsers that became known in one generation of the
    /// account. Cookies of an earlier generation must not fill the bucket of the current one.
    KnownBrowsers(&'a EmailAddress, u64),
    /// The attempts on one address from one known browser.
    Device(&'a EmailAddress, &'a Id),
    /// The attempts on one account.
    Account(&'a Id),
    /// The attempts on one second factor of an account. SECURITY: nothing that a client can do with
    /// the password alone starts a new count, such as a password change.
    Factor(&'a Id, &'a Id),
    /// The attempts of one session.
    Session(&'a Id),
}

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
    let bucket = bucket(scope, quota, limit_key, ctx);
    let attempt = attempt(ctx)?;
    let counted = match (ctx.store.count(&bucket, attempt).await, limits.fail_mode) {
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
    let own = LimitKey::Device(email, &browser.nonce);
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

/// An identifier of an attempt of this request, unique by random bits.
fn attempt<S>(ctx: ServiceContext<'_, S, impl SecureRandom>) -> Result<Attempt, NoEntropy> {
    let [a, b, c, d, ..] = ctx.random.nonce()?;
    Ok(Attempt::new(ctx.call.now, u32::from_le_bytes([a, b, c, d])))
}

/// The bucket of `limit_key`.
pub(crate) fn bucket<S, C>(
    scope: LimitKind,
    quota: Quota,
    limit_key: LimitKey<'_>,
    ctx: ServiceContext<'_, S, C>,
) -> Bucket {
    let network;
    let generation;
    let (first, second): (&[u8], &[u8]) = match limit_key {
        LimitKey::Network => {
            let parsed = ClientNetwork::parse(&ctx.call.client_address);
            network = parsed
                .map(|network| network.to_string())
                .unwrap_or_default();
            (network.as_bytes(), b"")
        }
        LimitKey::Email(email) => (email.as_str().as_bytes(), b""),
        LimitKey::KnownBrowsers(email, raised) => {
            generation = raised.to_be_bytes();
            (email.as_str().as_bytes(), &generation)
        }
        LimitKey::Device(email, nonce) => (email.as_str().as_bytes(), nonce.as_str().as_bytes()),
        LimitKey::Account(user_id) => (user_id.as_str().as_bytes(), b""),
        LimitKey::Factor(user_id, factor_id) => {
            (user_id.as_str().as_bytes(), factor_id.as_str().as_bytes())
        }
        LimitKey::Session(session_id) => (session_id.as_str().as_bytes(), b""),
    };
    Bucket {
        scope,
        quota,
        name: bucket_name(ctx.root_keys, scope, quota, [first, second]),
    }
}

/// A count is valid only under its quota, so the quota is part of its key.
fn bucket_name(
    root_keys: &RootKeys,
    scope: LimitKind,
    quota: Quota,
    [first, second]: [&[u8]; 2],
) -> String {
    let rule = if quota.is_exact() {
        String::new()
    } else {
        quota.to_string()
    };
    let parts = [scope.as_str().as_bytes(), rule.as_bytes(), first, second];
    let code = root_keys.mac(Purpose::LimitKey, &parts);
    base64url::encode(code.get(..NAME_BYTES).unwrap_or(&code))
}
