//! Logging out everywhere: one row, whatever the number of sessions.

use portcullis_core::audit::AuditKind;
use portcullis_core::id::Id;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;

use crate::announce;
use crate::error::ServiceError;
use crate::logout::LogoutOutcome;
use crate::means::Means;
use crate::ports::{Chance, Clock};
use crate::store::{Account, AccountChange, AccountStore, RevocationStore, SessionsEnd, Written};

/// How often an account is read anew because somebody else changed it meanwhile.
const READINGS: usize = 4;

/// Ends every session of the caller's account, the caller's own included: its generation is
/// raised and what is below it called back, in one step with the audit row, and the feed carries
/// that to the edges before this returns.
///
/// # Errors
///
/// [`ServiceError`]; the sessions may not be taken for ended then.
pub async fn logout_all(
    caller: &Verified<Claims>,
    clock: &impl Clock,
    means: Means<'_, impl AccountStore + RevocationStore, impl Chance>,
) -> Result<LogoutOutcome, ServiceError> {
    for _reading in 0..READINGS {
        let Some(account) = account_of(caller, means).await? else {
            return Ok(LogoutOutcome::NoSession);
        };
        let revocation = announce::sessions_below(account.next_generation(), &account, means);
        let stamp = clock.now();
        let change = AccountChange {
            sessions: Some(SessionsEnd {
                revocation: &revocation,
                stamp,
                kept: None,
            }),
            ..AccountChange::default()
        };
        let event = means.event(AuditKind::LoggedOutEverywhere, Some(&account.user_id))?;
        match means
            .store
            .change_account(&account, &change, &event)
            .await?
        {
            Written::Done => {
                announce::see_in_time(&[revocation], stamp, means.store, clock, means.call).await?;
                return Ok(LogoutOutcome::Done);
            }
            Written::Conflict => {}
        }
    }
    Err(ServiceError::Overtaken)
}

/// Announces once more what ended every session of the caller's account, for somebody whose first
/// answer was lost, or said that the feed was late.
///
/// # Errors
///
/// [`ServiceError`]; it may not be taken for announced then.
pub async fn announce_again(
    caller: &Verified<Claims>,
    clock: &impl Clock,
    means: Means<'_, impl AccountStore + RevocationStore, impl Chance>,
) -> Result<LogoutOutcome, ServiceError> {
    let Some(account) = account_of(caller, means).await? else {
        return Ok(LogoutOutcome::NoSession);
    };
    let revocations = [announce::sessions_below(
        account.generation,
        &account,
        means,
    )];
    announce::again(&revocations, means.store, clock, means.call).await?;
    Ok(LogoutOutcome::Done)
}

async fn account_of<C>(
    caller: &Verified<Claims>,
    means: Means<'_, impl AccountStore, C>,
) -> Result<Option<Account>, ServiceError> {
    let Ok(user_id) = Id::parse(&caller.get().subject) else {
        return Ok(None);
    };
    Ok(means.store.account_of(&user_id).await?)
}
