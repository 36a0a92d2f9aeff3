//! The operator's actions on accounts. Each action writes an audit entry, and a notice to the owner
//! into the outbox, in the transaction of the action.

use portcullis_core::audit::{AdminAct, AuditKind};
use portcullis_core::id::Id;
use portcullis_core::limit::Attempt;
use portcullis_core::mail::MailKind;
use portcullis_core::session::Session;

mod account_ref;
mod claims;
mod invite;
mod limits;
mod outcome;

pub use self::account_ref::{AccountRef, find};
pub use self::claims::{ClaimChange, Permissions, change_claims};
pub use self::invite::{InviteOutcome, invite};
pub use self::limits::{LimitPart, LimitState, LimitTarget, clear_limits, limits};
pub use self::outcome::AdminOutcome;
use self::outcome::MAX_ATTEMPTS;

use crate::announce;
use crate::context::ServiceContext;
use crate::end_session::{self, Ending};
use crate::error::UseCaseError;
use crate::mailing;
use crate::ports::{Clock, SecureRandom};
use crate::sessions;
use crate::store::{
    Account, AccountChange, AccountPage, AccountStatus, AccountStore, AuditStore, DomainStore,
    FactorStore, LimitAdminStore, PageCursor, RevocationStore, SessionStore, SessionsEnd,
    TokensEnd, WriteOutcome,
};

/// Closes the account: revokes its sessions and rejects every login.
///
/// # Errors
///
/// [`UseCaseError`]; a retry reads the completed part.
pub async fn disable(
    subject: &AccountRef,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl AccountStore + RevocationStore, impl SecureRandom>,
) -> Result<AdminOutcome, UseCaseError> {
    for _try in 0..MAX_ATTEMPTS {
        let Some(account) = find(subject, ctx.store).await? else {
            return Ok(AdminOutcome::NoAccount);
        };
        if account.status == AccountStatus::Disabled {
            // The earlier revocation may have been too late for the edges to see, and the operator
            // got an error and retries.
            let revocation = announce::last_of(&account, ctx);
            announce::again(&revocation, ctx.store, clock, ctx.call).await?;
            return Ok(AdminOutcome::Unchanged);
        }
        let status = Some(AccountStatus::Disabled);
        if end_sessions(&account, AdminAct::Disable, status, clock, ctx).await?
            == WriteOutcome::Applied
        {
            return Ok(AdminOutcome::Done);
        }
    }
    Ok(AdminOutcome::Contended)
}

/// Reopens a closed account. Its old sessions stay revoked.
///
/// # Errors
///
/// [`UseCaseError`]; a retry reads the completed part.
pub async fn enable(
    subject: &AccountRef,
    ctx: ServiceContext<'_, impl AccountStore, impl SecureRandom>,
) -> Result<AdminOutcome, UseCaseError> {
    for _try in 0..MAX_ATTEMPTS {
        let Some(account) = find(subject, ctx.store).await? else {
            return Ok(AdminOutcome::NoAccount);
        };
        if account.status == AccountStatus::Active {
            return Ok(AdminOutcome::Unchanged);
        }
        let notice = mailing::notice(MailKind::AccountEnabled, &account, ctx)?;
        let change = AccountChange {
            status: Some(AccountStatus::Active),
            mail: Some(&notice),
            ..AccountChange::default()
        };
        let act = AuditKind::Administered(AdminAct::Enable);
        let event = ctx.event(act, Some(&account.user_id))?;
        if ctx.store.change_account(&account, &change, &event).await? == WriteOutcome::Applied {
            return Ok(AdminOutcome::Done);
        }
    }
    Ok(AdminOutcome::Contended)
}

/// Revokes every session of the account.
///
/// # Errors
///
/// [`UseCaseError`]; a retry is safe.
pub async fn log_out(
    subject: &AccountRef,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl AccountStore + RevocationStore, impl SecureRandom>,
) -> Result<AdminOutcome, UseCaseError> {
    for _try in 0..MAX_ATTEMPTS {
        let Some(account) = find(subject, ctx.store).await? else {
            return Ok(AdminOutcome::NoAccount);
        };
        if end_sessions(&account, AdminAct::LogOut, None, clock, ctx).await?
            == WriteOutcome::Applied
        {
            return Ok(AdminOutcome::Done);
        }
    }
    Ok(AdminOutcome::Contended)
}

/// Deletes the account and all its rows. The account is closed first, so every edge rejects its
/// sessions before the account row is deleted. The audit trail stays; it contains only the id of
/// the account.
///
/// # Errors
///
/// [`UseCaseError`]; a retry continues where it stopped.
pub async fn delete(
    subject: &AccountRef,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl AccountStore + RevocationStore, impl SecureRandom>,
) -> Result<AdminOutcome, UseCaseError> {
    for tries in 0..MAX_ATTEMPTS {
        match disable(subject, clock, ctx).await? {
            AdminOutcome::Done | AdminOutcome::Unchanged => {}
            // The response to the previous attempt was lost.
            AdminOutcome::NoAccount if tries > 0 => return Ok(AdminOutcome::Done),
            end @ (AdminOutcome::NoAccount | AdminOutcome::Contended) => return Ok(end),
        }
        let Some(account) = find(subject, ctx.store).await? else {
            return Ok(AdminOutcome::NoAccount);
        };
        if account.status != AccountStatus::Disabled {
            // The account was reopened between the two steps.
            continue;
        }
        let act = AuditKind::Administered(AdminAct::Delete);
        let event = ctx.event(act, Some(&account.user_id))?;
        // Delivery cannot look the account up any more, so the rule is applied here: no notice to
        // an address that is not verified.
        let notice = match account.verified_at {
            Some(_) => Some(mailing::notice(MailKind::AccountDeleted, &account, ctx)?),
            None => None,
        };
        let erased = ctx.store.erase(&account, notice.as_ref(), &event).await?;
        if erased == WriteOutcome::Applied {
            return Ok(AdminOutcome::Done);
        }
    }
    Ok(AdminOutcome::Contended)
}

/// An account as the operator reads it.
#[derive(Clone, Debug)]
pub struct AccountDetails {
    /// The account.
    pub account: Account,
    /// The state of its TOTP factor.
    pub totp: TotpState,
    /// The number of unused recovery codes.
    pub recovery_codes: usize,
    /// The number of open sessions; with a great many, of the newest.
    pub sessions: usize,
    /// The number of browsers that are known in the current generation and have sent a login since they
    /// became known; `None` if the limit of known browsers is off.
    pub known_browsers: Option<usize>,
}

/// The state of the TOTP factor of an account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TotpState {
    /// No factor.
    None,
    /// An enrolment began; login does not require the factor.
    Pending,
    /// Login requires the factor.
    Active,
}

/// The account of `subject`, for the operator to read. Leaves an audit row, because it shows personal
/// data.
///
/// # Errors
///
/// [`UseCaseError`].
pub async fn show(
    subject: &AccountRef,
    ctx: ServiceContext<
        '_,
        impl AccountStore + FactorStore + SessionStore + LimitAdminStore + AuditStore,
        impl SecureRandom,
    >,
) -> Result<Option<AccountDetails>, UseCaseError> {
    let Some(account) = find(subject, ctx.store).await? else {
        return Ok(None);
    };
    let act = AuditKind::Administered(AdminAct::Show);
    let event = ctx.event(act, Some(&account.user_id))?;
    ctx.store.record(&event).await?;
    let factors = ctx.store.factors(&account).await?;
    let known_browsers = match limits::known_browsers(&account, ctx) {
        Some(group) => {
            let now = Attempt::first_of(ctx.call.now);
            Some(ctx.store.group_states(&group, now).await?.len())
        }
        None => None,
    };
    Ok(Some(AccountDetails {
        totp: match (&factors.totp, factors.active()) {
            (None, _) => TotpState::None,
            (Some(_), None) => TotpState::Pending,
            (Some(_), Some(_)) => TotpState::Active,
        },
        recovery_codes: factors.recovery.len(),
        sessions: sessions::of_account(&account, ctx).await?.len(),
        known_browsers,
        account,
    }))
}

/// Removes the second factor and the recovery codes of an account whose owner has lost both. Returns
/// [`AdminOutcome::Unchanged`] if it has none.
///
/// # Errors
///
/// [`UseCaseError`]; a retry is safe.
pub async fn remove_factor(
    subject: &AccountRef,
    ctx: ServiceContext<'_, impl AccountStore + FactorStore, impl SecureRandom>,
) -> Result<AdminOutcome, UseCaseError> {
    let Some(account) = find(subject, ctx.store).await? else {
        return Ok(AdminOutcome::NoAccount);
    };
    if ctx.store.factors(&account).await?.totp.is_none() {
        return Ok(AdminOutcome::Unchanged);
    }
    let act = AuditKind::Administered(AdminAct::RemoveFactor);
    let event = ctx.event(act, Some(&account.user_id))?;
    let notice = mailing::notice(MailKind::FactorRemoved, &account, ctx)?;
    ctx.store
        .remove_factors(&account, Some(&notice), &event)
        .await?;
    Ok(AdminOutcome::Done)
}

/// The current sessions of the account, newest first; `None` if the account does not exist.
///
/// # Errors
///
/// [`UseCaseError`].
pub async fn sessions<C>(
    subject: &AccountRef,
    ctx: ServiceContext<'_, impl AccountStore + SessionStore, C>,
) -> Result<Option<Vec<Session>>, UseCaseError> {
    match find(subject, ctx.store).await? {
        Some(account) => sessions::of_account(&account, ctx).await.map(Some),
        None => Ok(None),
    }
}

/// Revokes the session `session_id` of any account. Returns [`AdminOutcome::Unchanged`] if it was
/// revoked before, and [`AdminOutcome::NoAccount`] if the session is unknown.
///
/// # Errors
///
/// [`UseCaseError`]; the session may still be active then.
pub async fn end_session(
    session_id: &Id,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl AccountStore + SessionStore + RevocationStore, impl SecureRandom>,
) -> Result<AdminOutcome, UseCaseError> {
    let Some(family) = ctx.store.family(session_id).await? else {
        return Ok(
            match end_session::announce_again(session_id, clock, ctx).await? {
                true => AdminOutcome::Unchanged,
                false => AdminOutcome::NoAccount,
            },
        );
    };
    let owner = ctx.store.account_of(&family.session.user_id).await?;
    let notice = owner.map(|owner| mailing::notice(MailKind::SessionEnded, &owner, ctx));
    let ending = Ending {
        user_id: &family.session.user_id,
        session_id,
        token: None,
        kind: AuditKind::Administered(AdminAct::EndSession),
        notice: notice.transpose()?,
    };
    end_session::end(&ending, clock, ctx).await?;
    Ok(AdminOutcome::Done)
}

/// One part of all accounts, which begins after `after`. Leaves one audit row for the first part,
/// because it shows personal data.
///
/// # Errors
///
/// [`UseCaseError`].
pub async fn list(
    after: Option<PageCursor>,
    ctx: ServiceContext<'_, impl DomainStore + AuditStore, impl SecureRandom>,
) -> Result<AccountPage, UseCaseError> {
    if after.is_none() {
        let event = ctx.event(AuditKind::Administered(AdminAct::List), None)?;
        ctx.store.record(&event).await?;
    }
    Ok(ctx.store.account_page(after).await?)
}

async fn end_sessions(
    account: &Account,
    act: AdminAct,
    status: Option<AccountStatus>,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl AccountStore + RevocationStore, impl SecureRandom>,
) -> Result<WriteOutcome, UseCaseError> {
    let revocation = announce::tokens_of(account, ctx);
    let kind = match status {
        Some(AccountStatus::Disabled) => MailKind::AccountDisabled,
        Some(AccountStatus::Active) | None => MailKind::SessionsEnded,
    };
    let notice = mailing::notice(kind, account, ctx)?;
    let stamp = clock.now();
    let change = AccountChange {
        status,
        sessions: Some(SessionsEnd {
            tokens: TokensEnd {
                revocation: &revocation,
                stamp,
            },
            kept: None,
        }),
        mail: Some(&notice),
        ..AccountChange::default()
    };
    let event = ctx.event(AuditKind::Administered(act), Some(&account.user_id))?;
    let written = ctx.store.change_account(account, &change, &event).await?;
    if written == WriteOutcome::Applied {
        let revocations = core::slice::from_ref(&revocation);
        announce::confirm_within_bound(revocations, stamp, ctx.store, clock, ctx.call).await?;
    }
    Ok(written)
}
