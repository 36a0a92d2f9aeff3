//! The operator shows and clears the counts of attempts.

use core::time::Duration;

use portcullis_core::audit::{AdminAct, AuditKind};
use portcullis_core::id::Id;
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::limit::{Attempt, LimitDecision, Quota};
use portcullis_core::session::Session;

use super::account_ref::{AccountRef, find};
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::limit::LimitKey;
use crate::limit::bucket::{bucket, client_site, device_group, site_bucket};
use crate::ports::{RequestMeta, SecureRandom};
use crate::sessions;
use crate::store::{
    Account, AccountStore, AuditStore, Bucket, BucketGroup, BucketState, FactorStore, Factors,
    LimitAdminStore, SessionStore,
};

/// The most buckets that one transaction clears, below the 100 writes of a transaction.
const MAX_CLEARED: usize = 90;

/// The subject of the counts.
#[derive(Clone, Debug)]
pub enum LimitTarget {
    /// The counts of an account, or of an address without an account.
    Account(AccountRef),
    /// The counts of the network of a client address.
    Network(String),
}

/// The state of one limit.
#[derive(Clone, Debug)]
pub struct LimitState {
    /// The limit.
    pub kind: LimitKind,
    /// Its quota.
    pub quota: Quota,
    /// The one of several counts of this kind.
    pub part: LimitPart,
    /// The number of counted attempts of the quota.
    pub used: u32,
    /// The time after which no attempt counts any more; `None` if none counts now.
    pub unused_in: Option<Duration>,
    /// The time after which the next attempt passes; `None` if it passes now.
    pub wait: Option<Duration>,
    /// Whether too many consecutive failures have locked it.
    pub is_locked: bool,
    /// The number of consecutive failures.
    pub failures: u32,
}

/// The one of several counts of one kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LimitPart {
    /// The only count.
    Whole,
    /// The sampled count of an IPv6 `/48`.
    Site,
    /// The count of a known browser, by an HMAC of its cookie's identifier.
    Browser(String),
    /// The count of an open session.
    Session(Id),
}

/// The counts of `target` that are not empty: those of an account with its known browsers and its
/// open sessions, or those of a network.
///
/// # Errors
///
/// [`UseCaseError`].
pub async fn limits(
    target: &LimitTarget,
    ctx: ServiceContext<
        '_,
        impl AccountStore + FactorStore + SessionStore + LimitAdminStore,
        impl SecureRandom,
    >,
) -> Result<Vec<LimitState>, UseCaseError> {
    let now = Attempt::first_of(ctx.call.now);
    let mut states = Vec::new();
    let found = counts(target, ctx).await?;
    for (bucket, part) in found.buckets {
        if let Some(state) = ctx.store.bucket_state(&bucket, now).await? {
            states.push(limit_state(&bucket, part, state));
        }
    }
    if let Some(group) = found.browsers {
        for (bucket, state) in ctx.store.group_states(&group, now).await? {
            let part = LimitPart::Browser(bucket.name.clone());
            states.push(limit_state(&bucket, part, state));
        }
    }
    Ok(states)
}

fn limit_state(bucket: &Bucket, part: LimitPart, state: BucketState) -> LimitState {
    LimitState {
        kind: bucket.scope,
        quota: bucket.quota,
        part,
        used: state.used,
        unused_in: state.unused_in,
        wait: match state.decision {
            LimitDecision::RetryAfter(wait) => Some(wait),
            LimitDecision::Allow | LimitDecision::LockedOut => None,
        },
        is_locked: state.decision == LimitDecision::LockedOut,
        failures: state.failures,
    }
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
        impl AccountStore + FactorStore + SessionStore + LimitAdminStore + AuditStore,
        impl SecureRandom,
    >,
) -> Result<usize, UseCaseError> {
    let found = counts(target, ctx).await?;
    let mut buckets: Vec<_> = found
        .buckets
        .into_iter()
        .map(|(bucket, _)| bucket)
        .collect();
    if let Some(group) = found.browsers {
        let now = Attempt::first_of(ctx.call.now);
        let members = ctx.store.group_states(&group, now).await?;
        buckets.extend(members.into_iter().map(|(bucket, _)| bucket));
    }
    buckets.retain(|bucket| only.is_none_or(|only| only == bucket.scope));
    if buckets.is_empty() {
        return Ok(0);
    }
    let owner = match target {
        LimitTarget::Account(subject) => find(subject, ctx.store).await?,
        LimitTarget::Network(_) => None,
    };
    let owner = owner.map(|account| account.user_id);
    for part in buckets.chunks(MAX_CLEARED) {
        let act = AuditKind::Administered(AdminAct::ClearLimits);
        let event = ctx.event(act, owner.as_ref())?;
        ctx.store.clear_buckets(part, &event).await?;
    }
    Ok(buckets.len())
}

/// The counts of a target.
struct TargetCounts {
    buckets: Vec<(Bucket, LimitPart)>,
    /// The counts of its known browsers.
    browsers: Option<BucketGroup>,
}

async fn counts<C>(
    target: &LimitTarget,
    ctx: ServiceContext<'_, impl AccountStore + FactorStore + SessionStore, C>,
) -> Result<TargetCounts, UseCaseError> {
    let subject = match target {
        LimitTarget::Account(subject) => subject,
        LimitTarget::Network(address) => {
            let own = of_network(address, ctx).into_iter();
            let own = own.map(|bucket| (bucket, LimitPart::Whole));
            let sites = sites(address, ctx).into_iter();
            return Ok(TargetCounts {
                buckets: own
                    .chain(sites.map(|site| (site, LimitPart::Site)))
                    .collect(),
                browsers: None,
            });
        }
    };
    let account = find(subject, ctx.store).await?;
    let open: Vec<Session> = match &account {
        Some(account) => sessions::of_account(account, ctx).await?,
        None => Vec::new(),
    };
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
    let own = named(&keys, ctx).into_iter();
    let own = own.map(|bucket| (bucket, LimitPart::Whole));
    let of_sessions = open.iter().flat_map(|session| {
        let key = (LimitKind::RefreshSession, LimitKey::Session(&session.id));
        let buckets = named(&[key], ctx).into_iter();
        buckets.map(|bucket| (bucket, LimitPart::Session(session.id.clone())))
    });
    Ok(TargetCounts {
        buckets: own.chain(of_sessions).collect(),
        browsers: account
            .as_ref()
            .and_then(|account| known_browsers(account, ctx)),
    })
}

/// The counts of the browsers that are known in the current generation of `account`; `None` if the
/// limit is off.
pub(super) fn known_browsers<S, C>(
    account: &Account,
    ctx: ServiceContext<'_, S, C>,
) -> Option<BucketGroup> {
    let kind = LimitKind::LoginDevice;
    let quota = ctx.settings.limits.quotas.of(kind)?;
    let generation = account.generation;
    Some(device_group(kind, quota, &account.email, generation, ctx))
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
fn sites<S, C>(address: &str, ctx: ServiceContext<'_, S, C>) -> Vec<Bucket> {
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
