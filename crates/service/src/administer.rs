//! What an operator may do to accounts. Each act leaves a line in the audit trail.

use portcullis_core::audit::{AdminAct, AuditKind};
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::session::Session;

use crate::announce;
use crate::end::{self, Ending};
use crate::error::ServiceError;
use crate::means::Means;
use crate::ports::{Chance, Clock};
use crate::sessions;
use crate::store::{
    Account, AccountChange, AccountStatus, AccountStore, RevocationStore, SessionStore,
    SessionsEnd, StoreError, Written,
};

/// How often an act begins anew because the account changed meanwhile.
const TRIES: usize = 8;

/// Whom an operator means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Subject {
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
    subject: &Subject,
    store: &impl AccountStore,
) -> Result<Option<Account>, StoreError> {
    match subject {
        Subject::Email(email) => store.account(email).await,
        Subject::UserId(id) => store.account_of(id).await,
    }
}

/// Closes the account: its sessions end, nobody logs in to it.
///
/// # Errors
///
/// [`ServiceError`]; asking again finds out what was done.
pub async fn disable(
    subject: &Subject,
    clock: &impl Clock,
    means: Means<'_, impl AccountStore + RevocationStore, impl Chance>,
) -> Result<AdminOutcome, ServiceError> {
    for _try in 0..TRIES {
        let Some(account) = find(subject, means.store).await? else {
            return Ok(AdminOutcome::NoAccount);
        };
        if account.status == AccountStatus::Disabled {
            // What called its sessions back may have come too late for the edges to see, and the
            // operator was told so: that is why they ask again.
            let revocations = [announce::sessions_below(
                account.generation,
                &account,
                means,
            )];
            announce::again(&revocations, means.store, clock, means.call).await?;
            return Ok(AdminOutcome::Unchanged);
        }
        let status = Some(AccountStatus::Disabled);
        if end_sessions(&account, AdminAct::Disable, status, clock, means).await? == Written::Done {
            return Ok(AdminOutcome::Done);
        }
    }
    Ok(AdminOutcome::Contended)
}

/// Opens a closed account again. Its old sessions stay ended.
///
/// # Errors
///
/// [`ServiceError`]; asking again finds out what was done.
pub async fn enable(
    subject: &Subject,
    means: Means<'_, impl AccountStore, impl Chance>,
) -> Result<AdminOutcome, ServiceError> {
    for _try in 0..TRIES {
        let Some(account) = find(subject, means.store).await? else {
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
        let event = means.event(act, Some(&account.user_id))?;
        if means
            .store
            .change_account(&account, &change, &event)
            .await?
            == Written::Done
        {
            return Ok(AdminOutcome::Done);
        }
    }
    Ok(AdminOutcome::Contended)
}

/// Ends every session of the account.
///
/// # Errors
///
/// [`ServiceError`]; asking again is safe.
pub async fn log_out(
    subject: &Subject,
    clock: &impl Clock,
    means: Means<'_, impl AccountStore + RevocationStore, impl Chance>,
) -> Result<AdminOutcome, ServiceError> {
    for _try in 0..TRIES {
        let Some(account) = find(subject, means.store).await? else {
            return Ok(AdminOutcome::NoAccount);
        };
        if end_sessions(&account, AdminAct::LogOut, None, clock, means).await? == Written::Done {
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
/// [`ServiceError`]; asking again goes on where it stopped.
pub async fn delete(
    subject: &Subject,
    clock: &impl Clock,
    means: Means<'_, impl AccountStore + RevocationStore, impl Chance>,
) -> Result<AdminOutcome, ServiceError> {
    for tries in 0..TRIES {
        match disable(subject, clock, means).await? {
            AdminOutcome::Done | AdminOutcome::Unchanged => {}
            // The answer to the try before was lost.
            AdminOutcome::NoAccount if tries > 0 => return Ok(AdminOutcome::Done),
            end @ (AdminOutcome::NoAccount | AdminOutcome::Contended) => return Ok(end),
        }
        let Some(account) = find(subject, means.store).await? else {
            return Ok(AdminOutcome::NoAccount);
        };
        if account.status != AccountStatus::Disabled {
            // Somebody has opened it again between the two.
            continue;
        }
        let act = AuditKind::Administered(AdminAct::Delete);
        let event = means.event(act, Some(&account.user_id))?;
        if means.store.erase(&account, &event).await? == Written::Done {
            return Ok(AdminOutcome::Done);
        }
    }
    Ok(AdminOutcome::Contended)
}

/// The sessions of the account that go on, the newest first; `None` without an account.
///
/// # Errors
///
/// [`ServiceError`].
pub async fn sessions<C>(
    subject: &Subject,
    means: Means<'_, impl AccountStore + SessionStore, C>,
) -> Result<Option<Vec<Session>>, ServiceError> {
    match find(subject, means.store).await? {
        Some(account) => sessions::of_account(&account, means).await.map(Some),
        None => Ok(None),
    }
}

/// Ends the session `session_id`, whoever's it is. [`AdminOutcome::Unchanged`] if it was ended
/// before, [`AdminOutcome::NoAccount`] if nothing is known of it.
///
/// # Errors
///
/// [`ServiceError`]; the session may not be taken for ended then.
pub async fn end_session(
    session_id: &Id,
    clock: &impl Clock,
    means: Means<'_, impl SessionStore + RevocationStore, impl Chance>,
) -> Result<AdminOutcome, ServiceError> {
    let Some(family) = means.store.family(session_id).await? else {
        return Ok(match end::announce_again(session_id, clock, means).await? {
            true => AdminOutcome::Unchanged,
            false => AdminOutcome::NoAccount,
        });
    };
    let ending = Ending {
        user_id: &family.session.user_id,
        session_id,
        token: None,
        kind: AuditKind::Administered(AdminAct::EndSession),
    };
    end::end(&ending, clock, means).await?;
    Ok(AdminOutcome::Done)
}

async fn end_sessions(
    account: &Account,
    act: AdminAct,
    status: Option<AccountStatus>,
    clock: &impl Clock,
    means: Means<'_, impl AccountStore + RevocationStore, impl Chance>,
) -> Result<Written, ServiceError> {
    let revocation = announce::sessions_below(account.next_generation(), account, means);
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
    let event = means.event(AuditKind::Administered(act), Some(&account.user_id))?;
    let written = means.store.change_account(account, &change, &event).await?;
    if written == Written::Done {
        let revocations = core::slice::from_ref(&revocation);
        announce::see_in_time(revocations, stamp, means.store, clock, means.call).await?;
    }
    Ok(written)
}
