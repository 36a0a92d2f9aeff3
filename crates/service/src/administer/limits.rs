//! The operator shows and clears the counts of attempts.

use core::time::Duration;

use portcullis_core::audit::{AdminAct, AuditKind};
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::limit::{Attempt, LimitDecision, Quota};

use super::account_ref::{AccountRef, find};
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::limit::LimitKey;
use crate::limit::bucket::{bucket, client_site, site_bucket};
use crate::ports::{RequestMeta, SecureRandom};
use crate::store::{
    Account, AccountStore, AuditStore, Bucket, FactorStore, Factors, LimitAdminStore,
};

/// The subject of the counts.
#[derive(Clone, Debug)]
pub enum LimitTarget {
    /// The counts of an account, or of an address without an account.
    Account(AccountRef),
    /// The counts of the network of a client address.
    Network(String),
}

/// The state of one limit.
#[derive(Clone, Copy, Debug)]
pub struct LimitState {
    /// The limit.
    pub kind: LimitKind,
    /// Its quota.
    pub quota: Quota,
    /// Whether it is the sampled count of an IPv6 `/48`.
    pub is_site: bool,
    /// The time after which the next attempt passes; `None` if it passes now.
    pub wait: Option<Duration>,
    /// Whether too many consecutive failures have locked it.
    pub is_locked: bool,
    /// The number of consecutive failures.
    pub failures: u32,
}

/// The counts of `target` that are not empty. The counts of known browsers are not listed: only the
/// cookie of a browser names its count.
///
/// # Errors
///
/// [`UseCaseError`].
pub async fn limits(
    target: &LimitTarget,
    ctx: ServiceContext<'_, impl AccountStore + FactorStore + LimitAdminStore, impl SecureRandom>,
) -> Result<Vec<LimitState>, UseCaseError> {
    let now = Attempt::first_of(ctx.call.now);
    let mut states = Vec::new();
    let sites = sites(target, ctx).into_iter().map(|bucket| (bucket, true));
    let own = buckets(target, ctx).await?.into_iter();
    for (bucket, is_site) in own.map(|bucket| (bucket, false)).chain(sites) {
        let Some(state) = ctx.store.bucket_state(&bucket, now).await? else {
            continue;
        };
        states.push(LimitState {
            kind: bucket.scope,
            quota: bucket.quota,
            is_site,
            wait: match state.decision {
                LimitDecision::RetryAfter(wait) => Some(wait),
                LimitDecision::Allow | LimitDecision::LockedOut => None,
            },
            is_locked: state.decision == LimitDecision::LockedOut,
            failures: state.failures,
        });
    }
    Ok(states)
}

/// Clears the counts of `target`, all or those of one limit, and so lifts a lock. Returns the number
/// of cleared limits. A host that refuses an IPv6 `/48` still does so until its retry time.
///
/// # Errors
///
/// [`UseCaseError`]; a retry is safe.
pub async fn clear_limits(
    target: &LimitTarget,
    only: Option<LimitKind>,
    ctx: ServiceContext<
        '_,
        impl AccountStore + FactorStore + LimitAdminStore + AuditStore,
        impl SecureRandom,
    >,
) -> Result<usize, UseCaseError> {
    let mut buckets = buckets(target, ctx).await?;
    buckets.extend(sites(target, ctx));
    buckets.retain(|bucket| only.is_none_or(|only| only == bucket.scope));
    if buckets.is_empty() {
        return Ok(0);
    }
    let owner = match target {
        LimitTarget::Account(subject) => find(subject, ctx.store).await?,
        LimitTarget::Network(_) => None,
    };
    let owner = owner.map(|account| account.user_id);
    let act = AuditKind::Administered(AdminAct::ClearLimits);
    let event = ctx.event(act, owner.as_ref())?;
    ctx.store.clear_buckets(&buckets, &event).await?;
    Ok(buckets.len())
}

async fn buckets<C>(
    target: &LimitTarget,
    ctx: ServiceContext<'_, impl AccountStore + FactorStore, C>,
) -> Result<Vec<Bucket>, UseCaseError> {
    let subject = match target {
        LimitTarget::Account(subject) => subject,
        LimitTarget::Network(address) => return Ok(of_network(address, ctx)),
    };
    let account = find(subject, ctx.store).await?;
    let factors = match &account {
        Some(account) => ctx.store.factors(account).await?,
        None => Factors::default(),
    };
    let address = match (&account, subject) {
        (Some(account), _) => Some(&account.email),
        (None, AccountRef::Email(email)) => Some(email),
        (None, AccountRef::UserId(_)) => None,
    };
    let mut keys: Vec<(LimitKind, LimitKey<'_>)> = Vec::new();
    if let Some(email) = address {
        let kinds = [
            LimitKind::LoginEmail,
            LimitKind::RegisterEmail,
            LimitKind::ResetEmail,
            LimitKind::VerifyEmail,
            LimitKind::UnlockEmail,
        ];
        keys.extend(kinds.map(|kind| (kind, LimitKey::Email(email))));
    }
    if let Some(account) = &account {
        keys.extend(of_account(account, &factors));
    }
    Ok(named(&keys, ctx))
}

fn of_account<'a>(
    account: &'a Account,
    factors: &'a Factors,
) -> impl Iterator<Item = (LimitKind, LimitKey<'a>)> {
    let known = LimitKey::KnownBrowsers(&account.email, account.generation);
    let factor = factors.active().into_iter().flat_map(|factor| {
        let key = LimitKey::Factor(&account.user_id, &factor.id);
        [LimitKind::FactorAccount, LimitKind::RecoveryAccount].map(|kind| (kind, key))
    });
    [
        (LimitKind::LoginKnown, known),
        (
            LimitKind::PasswordAccount,
            LimitKey::Account(&account.user_id),
        ),
    ]
    .into_iter()
    .chain(factor)
}

/// The request of a client at `address`, in place of the operator's.
fn call_from<S, C>(address: &str, ctx: ServiceContext<'_, S, C>) -> RequestMeta {
    RequestMeta {
        client_address: address.to_owned(),
        ..ctx.call.clone()
    }
}

fn networks() -> impl Iterator<Item = LimitKind> {
    let kinds = LimitKind::ALL.iter().copied();
    kinds.filter(|kind| kind.counts_networks())
}

fn of_network<S, C>(address: &str, ctx: ServiceContext<'_, S, C>) -> Vec<Bucket> {
    let call = call_from(address, ctx);
    let keys: Vec<_> = networks().map(|kind| (kind, LimitKey::Network)).collect();
    named(&keys, ServiceContext { call: &call, ..ctx })
}

/// The buckets of the IPv6 site of a network.
fn sites<S, C>(target: &LimitTarget, ctx: ServiceContext<'_, S, C>) -> Vec<Bucket> {
    let LimitTarget::Network(address) = target else {
        return Vec::new();
    };
    let call = call_from(address, ctx);
    let ctx = ServiceContext { call: &call, ..ctx };
    let Some(site) = client_site(ctx) else {
        return Vec::new();
    };
    let quotas = &ctx.settings.limits.quotas;
    networks()
        .filter_map(|kind| Some(site_bucket(kind, quotas.of(kind)?, site, ctx)))
        .collect()
}

/// The buckets of limits that have a quota.
fn named<S, C>(keys: &[(LimitKind, LimitKey<'_>)], ctx: ServiceContext<'_, S, C>) -> Vec<Bucket> {
    let quotas = &ctx.settings.limits.quotas;
    let limited = keys
        .iter()
        .filter_map(|(kind, key)| Some(bucket(*kind, quotas.of(*kind)?, *key, ctx)));
    limited.collect()
}
