//! Logging out everywhere: one row, whatever the number of sessions.

use portcullis_core::audit::AuditKind;
use portcullis_core::id::Id;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;

use crate::announce;
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::logout::LogoutOutcome;
use crate::ports::{Clock, SecureRandom};
use crate::store::{
    Account, AccountChange, AccountStore, RevocationStore, SessionsEnd, WriteOutcome,
};

/// How often an account is read anew because somebody else changed it meanwhile.
const MAX_ATTEMPTS: usize = 4;

/// Ends every session of the caller's account, the caller's own included: its generation is
/// raised and what is below it called back, in one step with the audit row, and the feed carries
/// that to the edges before this returns.
///
/// # Errors
///
/// [`UseCaseError`]; the sessions may not be taken for ended then.
pub async fn logout_all(
    caller: &Verified<Claims>,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl AccountStore + RevocationStore, impl SecureRandom>,
) -> Result<LogoutOutcome, UseCaseError> {
    for _reading in 0..MAX_ATTEMPTS {
        let Some(account) = account_of(caller, ctx).await? else {
            return Ok(LogoutOutcome::NoSession);
        };
        let revocation = announce::sessions_below(account.next_generation(), &account, ctx);
        let stamp = clock.now();
        let change = AccountChange {
            sessions: Some(SessionsEnd {
                revocation: &revocation,
                stamp,
                kept: None,
            }),
            ..AccountChange::default()
        };
        let event = ctx.event(AuditKind::LoggedOutEverywhere, Some(&account.user_id))?;
        match ctx.store.change_account(&account, &change, &event).await? {
            WriteOutcome::Applied => {
                announce::confirm_within_bound(&[revocation], stamp, ctx.store, clock, ctx.call)
                    .await?;
                return Ok(LogoutOutcome::Done);
            }
            WriteOutcome::Conflict => {}
        }
    }
    Err(UseCaseError::Contended)
}

/// Announces once more what ended every session of the caller's account, for somebody whose first
/// answer was lost, or said that the feed was late.
///
/// # Errors
///
/// [`UseCaseError`]; it may not be taken for announced then.
pub async fn announce_again(
    caller: &Verified<Claims>,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl AccountStore + RevocationStore, impl SecureRandom>,
) -> Result<LogoutOutcome, UseCaseError> {
    let Some(account) = account_of(caller, ctx).await? else {
        return Ok(LogoutOutcome::NoSession);
    };
    let revocations = [announce::sessions_below(account.generation, &account, ctx)];
    announce::again(&revocations, ctx.store, clock, ctx.call).await?;
    Ok(LogoutOutcome::Done)
}

async fn account_of<C>(
    caller: &Verified<Claims>,
    ctx: ServiceContext<'_, impl AccountStore, C>,
) -> Result<Option<Account>, UseCaseError> {
    let Ok(user_id) = Id::parse(&caller.get().subject) else {
        return Ok(None);
    };
    Ok(ctx.store.account_of(&user_id).await?)
}
