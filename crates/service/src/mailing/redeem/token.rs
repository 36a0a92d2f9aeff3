//! The token of a mailed link: its account, its use, and its refusal.

use portcullis_core::audit::AuditKind;
use portcullis_core::mail::{
    MailPurpose, MailToken, MailTokenDenial, MailTokenDigest, MailTokenError,
};

use crate::announce;
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{Clock, SecureRandom};
use crate::store::{
    Account, AccountChange, AccountStatus, AccountStore, AuditStore, MailTokenStore,
    RevocationStore, SpentToken, WriteOutcome,
};

/// The attempts after concurrent changes of the account.
pub(super) const MAX_ATTEMPTS: usize = 3;

/// A token as presented: well-formed or not.
pub type Presented = Result<MailToken, MailTokenError>;

/// The account that accepts `token` for `purpose` now, with its stored token.
pub(super) async fn owner(
    token: &Presented,
    purpose: MailPurpose,
    ctx: ServiceContext<'_, impl MailTokenStore, impl SecureRandom>,
) -> Result<Result<(Account, MailTokenDigest), MailTokenDenial>, UseCaseError> {
    let Ok(token) = token else {
        return Ok(Err(MailTokenDenial::Unknown));
    };
    let found = ctx.store.pending_token(token.user_id(), purpose).await?;
    let Some((account, pending)) = found else {
        return Ok(Err(MailTokenDenial::Unknown));
    };
    let Some(pending) = pending else {
        return Ok(Err(MailTokenDenial::Used));
    };
    Ok(match (pending.check(token, ctx.call.now), account.status) {
        (Err(denial), _) => Err(denial),
        (Ok(()), AccountStatus::Disabled) => Err(MailTokenDenial::Disabled),
        (Ok(()), AccountStatus::Active) => Ok((account, pending.digest)),
    })
}

/// Uses the token for `purpose` without another change of the account.
pub(super) async fn spend(
    account: &Account,
    purpose: MailPurpose,
    digest: &MailTokenDigest,
    audit: AuditKind,
    ctx: ServiceContext<'_, impl AccountStore, impl SecureRandom>,
) -> Result<WriteOutcome, UseCaseError> {
    let change = AccountChange {
        spends: Some(SpentToken { purpose, digest }),
        ..AccountChange::default()
    };
    let event = ctx.event(audit, Some(&account.user_id))?;
    Ok(ctx.store.change_account(account, &change, &event).await?)
}

/// Announces the end of the sessions again if `token` is the used one of its account: the first
/// attempt may have ended with [`UseCaseError::NotConfirmed`].
///
/// # Errors
///
/// [`UseCaseError`]; the revocation may be unknown to the edges then.
pub(super) async fn announce_used(
    token: &Presented,
    purpose: MailPurpose,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl MailTokenStore + RevocationStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    let Ok(token) = token else {
        return Ok(());
    };
    let Some((account, used)) = ctx.store.used_token(token.user_id(), purpose).await? else {
        return Ok(());
    };
    if used.check(token, ctx.call.now).is_err() {
        return Ok(());
    }
    let revocation = announce::last_of(&account, ctx);
    announce::again(&revocation, ctx.store, clock, ctx.call).await
}

pub(super) async fn refuse(
    kind: AuditKind,
    token: &Presented,
    denial: MailTokenDenial,
    ctx: ServiceContext<'_, impl AuditStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    // The id in a token of an unknown account is unverified input.
    let user_id = match denial {
        MailTokenDenial::Unknown => None,
        MailTokenDenial::Used | MailTokenDenial::Expired | MailTokenDenial::Disabled => {
            token.as_ref().ok().map(MailToken::user_id)
        }
    };
    let event = ctx.event(kind, user_id)?;
    Ok(ctx.store.record(&event).await?)
}
