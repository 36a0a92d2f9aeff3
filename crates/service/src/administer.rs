//! What an operator may do to accounts. Each act leaves a line in the audit trail.

use portcullis_core::audit::{AdminAct, AuditKind};
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::session::Session;

use crate::announce;
use crate::context::ServiceContext;
use crate::end_session::{self, Ending};
use crate::error::UseCaseError;
use crate::ports::{Clock, SecureRandom};
use crate::sessions;
use crate::store::{
    Account, AccountChange, AccountStatus, AccountStore, RevocationStore, SessionStore,
    SessionsEnd, StoreError, WriteOutcome,
};

/// How often an act begins anew because the account changed meanwhile.
const MAX_ATTEMPTS: usize = 8;

/// Whom an operator means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AccountRef {
    /// Whoever has this address.
    Email(EmailAddress),
    /// Whoever has this id.
    UserId(Id),
}

/// How an act ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum AdminOutcome {
    /// It is done, and every edge hears of what it calls back.
    Done,
    /// It was so before: nothing was changed. What it calls back was announced again.
    Unchanged,
    /// There is no such account.
    NoAccount,
    /// The account kept changing; nothing was done.
    Contended,
}

/// The account of `subject`, if there is one.
///
/// # Errors
///
/// [`StoreError`].
pub async fn find(
    subject: &AccountRef,
    store: &impl AccountStore,
) -> Result<Option<Account>, StoreError> {
    match subject {
        AccountRef::Email(email) => store.account(email).await,
        AccountRef::UserId(id) => store.account_of(id).await,
    }
}

/// Closes the account: its sessions end, nobody logs in to it.
///
/// # Errors
///
/// [`UseCaseError`]; asking again finds out what was done.
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
            // What called its sessions back may have come too late for the edges to see, and the
            // operator was told so: that is why they ask again.
            let revocations = [announce::sessions_below(account.generation, &account, ctx)];
            announce::again(&revocations, ctx.store, clock, ctx.call).await?;
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

/// Opens a closed account again. Its old sessions stay ended.
///
/// # Errors
///
/// [`UseCaseError`]; asking again finds out what was done.
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
        let change = AccountChange {
            status: Some(AccountStatus::Active),
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

/// Ends every session of the account.
///
/// # Errors
///
/// [`UseCaseError`]; asking again is safe.
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

/// Removes the account and all that stands beside it. It is closed first, so that whoever is
/// logged in is out at every edge before the row that says so is gone. The audit trail stays: it
/// knows the account by its id alone.
///
/// # Errors
///
/// [`UseCaseError`]; asking again goes on where it stopped.
pub async fn delete(
    subject: &AccountRef,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl AccountStore + RevocationStore, impl SecureRandom>,
) -> Result<AdminOutcome, UseCaseError> {
    for tries in 0..MAX_ATTEMPTS {
        match disable(subject, clock, ctx).await? {
            AdminOutcome::Done | AdminOutcome::Unchanged => {}
            // The answer to the try before was lost.
            AdminOutcome::NoAccount if tries > 0 => return Ok(AdminOutcome::Done),
            end @ (AdminOutcome::NoAccount | AdminOutcome::Contended) => return Ok(end),
        }
        let Some(account) = find(subject, ctx.store).await? else {
            return Ok(AdminOutcome::NoAccount);
        };
        if account.status != AccountStatus::Disabled {
            // Somebody has opened it again between the two.
            continue;
        }
        let act = AuditKind::Administered(AdminAct::Delete);
        let event = ctx.event(act, Some(&account.user_id))?;
        if ctx.store.erase(&account, &event).await? == WriteOutcome::Applied {
            return Ok(AdminOutcome::Done);
        }
    }
    Ok(AdminOutcome::Contended)
}

/// The sessions of the account that go on, the newest first; `None` without an account.
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

/// Ends the session `session_id`, whoever's it is. [`AdminOutcome::Unchanged`] if it was ended
/// before, [`AdminOutcome::NoAccount`] if nothing is known of it.
///
/// # Errors
///
/// [`UseCaseError`]; the session may not be taken for ended then.
pub async fn end_session(
    session_id: &Id,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl SessionStore + RevocationStore, impl SecureRandom>,
) -> Result<AdminOutcome, UseCaseError> {
    let Some(family) = ctx.store.family(session_id).await? else {
        return Ok(
            match end_session::announce_again(session_id, clock, ctx).await? {
                true => AdminOutcome::Unchanged,
                false => AdminOutcome::NoAccount,
            },
        );
    };
    let ending = Ending {
        user_id: &family.session.user_id,
        session_id,
        token: None,
        kind: AuditKind::Administered(AdminAct::EndSession),
    };
    end_session::end(&ending, clock, ctx).await?;
    Ok(AdminOutcome::Done)
}

async fn end_sessions(
    account: &Account,
    act: AdminAct,
    status: Option<AccountStatus>,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl AccountStore + RevocationStore, impl SecureRandom>,
) -> Result<WriteOutcome, UseCaseError> {
    let revocation = announce::sessions_below(account.next_generation(), account, ctx);
    let stamp = clock.now();
    let change = AccountChange {
        status,
        sessions: Some(SessionsEnd {
            revocation: &revocation,
            stamp,
            kept: None,
        }),
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
