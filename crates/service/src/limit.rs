//! Limits: each attempt is counted before anything is done for it.

use core::time::Duration;

use portcullis_core::audit::AuditKind;
use portcullis_core::base64url;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::limit::client::ClientNetwork;
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::limit::{Attempt, LimitDecision, Quota, device};
use portcullis_core::root_keys::{Purpose, RootKeys};

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{NoEntropy, SecureRandom};
use crate::settings::LimitFailMode;
use crate::store::{AuditStore, Bucket, LimitStore, StoreError};

/// How much of a bucket's code is its name, in bytes: nobody can make two share one.
const NAME_BYTES: usize = 16;

/// Whose attempts are counted together.
#[derive(Clone, Copy, Debug)]
pub enum LimitKey<'a> {
    /// Those of the network that the call comes from. Calls of which the platform tells no address
    /// are counted together.
    Network,
    /// Those for one address, whether it has an account or not.
    Email(&'a EmailAddress),
    /// Those for one address from one known browser.
    Device(&'a EmailAddress, &'a Id),
    /// Those for one account. A raised generation begins anew.
    Account(&'a Id, u64),
    /// Those of one session.
    Session(&'a Id),
}

/// How an attempt comes in.
#[derive(Debug)]
#[must_use]
pub enum LimitOutcome {
    /// It passes.
    Allowed(Reservation),
    /// It does not; nothing is to be done for it.
    Limited(Limited),
}

/// Why an attempt does not pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limited {
    /// There were too many; the next one passes after this long.
    RetryAfter(Duration),
    /// So many have failed in a row that waiting does not help.
    LockedOut(LimitKind),
}

/// The place that an attempt takes up until it is given back.
#[derive(Debug, Default)]
pub struct Reservation {
    counted: Option<(Bucket, Attempt)>,
    /// Why it passes uncounted, for the log.
    pub uncounted: Option<StoreError>,
}

/// Counts an attempt in `scope` by `whose` it is, unless there were too many. The first that is
/// refused leaves a line in the audit trail; those that follow it cost one write and no line.
///
/// # Errors
///
/// [`UseCaseError`]; nothing is to be done for the attempt then.
pub async fn acquire(
    scope: LimitKind,
    whose: LimitKey<'_>,
    ctx: ServiceContext<'_, impl LimitStore + AuditStore, impl SecureRandom>,
) -> Result<LimitOutcome, UseCaseError> {
    let limits = &ctx.settings.limits;
    let Some(quota) = limits.quotas.of(scope) else {
        return Ok(LimitOutcome::Allowed(Reservation::default()));
    };
    let bucket = bucket(scope, quota, whose, ctx);
    let attempt = attempt(ctx)?;
    let counted = match (ctx.store.count(&bucket, attempt).await, limits.fail_mode) {
        (Ok(counted), _) => counted,
        (Err(error), LimitFailMode::Closed) => return Err(error.into()),
        (Err(error), LimitFailMode::Open) => {
            return Ok(LimitOutcome::Allowed(Reservation {
                counted: None,
                uncounted: Some(error),
            }));
        }
    };
    if counted.is_first_refusal {
        let event = ctx.event(AuditKind::Limited(scope), None)?;
        ctx.store.record(&event).await?;
    }
    Ok(match counted.judged {
        LimitDecision::Allow => LimitOutcome::Allowed(Reservation {
            counted: Some((bucket, attempt)),
            uncounted: None,
        }),
        LimitDecision::RetryAfter(span) => LimitOutcome::Limited(Limited::RetryAfter(span)),
        LimitDecision::LockedOut => LimitOutcome::Limited(Limited::LockedOut(scope)),
    })
}

/// Counts a login: of a browser that has logged in to this address before by that browser alone,
/// of any other by the network it comes from and by the address. So whoever guesses fills buckets
/// that no known browser of the one they guess for is counted in, and neighbours behind one network
/// address do not lock each other's known browsers out. The place is that of the browser or the
/// address: a good login gives it back, and never the network's.
///
/// # Errors
///
/// As [`enter`].
pub async fn acquire_login(
    email: &EmailAddress,
    device_cookie: Option<&str>,
    ctx: ServiceContext<'_, impl LimitStore + AuditStore, impl SecureRandom>,
) -> Result<LimitOutcome, UseCaseError> {
    let known =
        device_cookie.and_then(|cookie| device::recognise(ctx.vault, cookie, email, ctx.call.now));
    if let Some(nonce) = known {
        return acquire(LimitKind::LoginDevice, LimitKey::Device(email, &nonce), ctx).await;
    }
    match acquire(LimitKind::LoginAddress, LimitKey::Network, ctx).await? {
        LimitOutcome::Limited(limited) => Ok(LimitOutcome::Limited(limited)),
        LimitOutcome::Allowed(_networks) => {
            acquire(LimitKind::LoginEmail, LimitKey::Email(email), ctx).await
        }
    }
}

/// Gives `place` back: what was attempted has turned out good.
///
/// # Errors
///
/// [`StoreError`]; then it still counts, which costs its owner a place and nobody anything else.
pub async fn refund<C>(
    place: &Reservation,
    ctx: ServiceContext<'_, impl LimitStore, C>,
) -> Result<(), StoreError> {
    match &place.counted {
        Some((bucket, attempt)) => ctx.store.refund(bucket, *attempt).await,
        None => Ok(()),
    }
}

/// The cookie by which a browser that has just logged in to `email` is known from now on.
///
/// # Errors
///
/// [`NoEntropy`].
pub fn device_cookie<S>(
    email: &EmailAddress,
    ctx: ServiceContext<'_, S, impl SecureRandom>,
) -> Result<String, NoEntropy> {
    let nonce = ctx.chance.id()?;
    Ok(device::issue(ctx.vault, email, &nonce, ctx.call.now))
}

/// An attempt of this call, told from all others by bits of our own.
fn attempt<S>(ctx: ServiceContext<'_, S, impl SecureRandom>) -> Result<Attempt, NoEntropy> {
    let [a, b, c, d, ..] = ctx.chance.nonce()?;
    Ok(Attempt::new(ctx.call.now, u32::from_le_bytes([a, b, c, d])))
}

fn bucket<S, C>(
    scope: LimitKind,
    quota: Quota,
    whose: LimitKey<'_>,
    ctx: ServiceContext<'_, S, C>,
) -> Bucket {
    let network;
    let generation;
    let (first, second): (&[u8], &[u8]) = match whose {
        LimitKey::Network => {
            let parsed = ClientNetwork::parse(&ctx.call.client_address);
            network = parsed
                .map(|network| network.to_string())
                .unwrap_or_default();
            (network.as_bytes(), b"")
        }
        LimitKey::Email(email) => (email.as_str().as_bytes(), b""),
        LimitKey::Device(email, nonce) => (email.as_str().as_bytes(), nonce.as_str().as_bytes()),
        LimitKey::Account(user_id, raised) => {
            generation = raised.to_be_bytes();
            (user_id.as_str().as_bytes(), &generation)
        }
        LimitKey::Session(session_id) => (session_id.as_str().as_bytes(), b""),
    };
    Bucket {
        scope,
        quota,
        name: bucket_name(ctx.vault, scope, quota, [first, second]),
    }
}

/// A tally's numbers mean nothing under another quota, so that is part of its name.
fn bucket_name(
    vault: &RootKeys,
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
    let code = vault.mac(Purpose::LimitKey, &parts);
    base64url::encode(code.get(..NAME_BYTES).unwrap_or(&code))
}
