//! Logs out everywhere with one row, for any number of sessions.

use portcullis_core::audit::AuditKind;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;

use crate::announce;
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::logout::LogoutOutcome;
use crate::ports::{Clock, SecureRandom};
use crate::store::{
    Account, AccountChange, AccountStore, RevocationStore, SessionsEnd, TokensEnd, WriteOutcome,
};

/// The attempts after concurrent changes of the account.
const MAX_ATTEMPTS: usize = 4;

/// The outcome of logging out everywhere.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum LogoutAllOutcome {
    /// Every session is revoked, at every edge.
    Done {
        /// The address of the account.
        email: EmailAddress,
        /// The generation that ended. A device cookie of it is renewed in the caller's browser, so
        /// that a logout does not make the owner an unknown browser during an attack.
        ended: u64,
        /// The new generation of the account.
        generation: u64,
    },
    /// The token belongs to no account of this host.
    NoSession,
}

/// Revokes every session of the caller's account, the caller's own included. One transaction raises
/// the generation, revokes every session below it and writes the audit row. Returns after the feed
/// has carried that to the edges.
///
/// # Errors
///
/// [`UseCaseError`]; the sessions may still be active then.
pub async fn logout_all(
    caller: &Verified<Claims>,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl AccountStore + RevocationStore, impl SecureRandom>,
) -> Result<LogoutAllOutcome, UseCaseError> {
    for _reading in 0..MAX_ATTEMPTS {
        let Some(account) = account_of(caller, ctx).await? else {
            return Ok(LogoutAllOutcome::NoSession);
        };
        let revocation = announce::tokens_of(&account, ctx);
        let stamp = clock.now();
        let change = AccountChange {
            sessions: Some(SessionsEnd {
                tokens: TokensEnd {
                    revocation: &revocation,
                    stamp,
                },
                kept: None,
            }),
            ..AccountChange::default()
        };
        let event = ctx.event(AuditKind::LoggedOutEverywhere, Some(&account.user_id))?;
        match ctx.store.change_account(&account, &change, &event).await? {
            WriteOutcome::Applied => {
                announce::confirm_within_bound(&[revocation], stamp, ctx.store, clock, ctx.call)
                    .await?;
                return Ok(LogoutAllOutcome::Done {
                    ended: account.generation,
                    generation: account.next_generation(),
                    email: account.email,
                });
            }
            WriteOutcome::Conflict => {}
        }
    }
    Err(UseCaseError::Contended)
}

/// Announces the revocation of every session of the caller's account again, for a client whose
/// first response was lost or reported a late feed.
///
/// # Errors
///
/// [`UseCaseError`]; the revocation may be unknown to the edges then.
pub async fn announce_again(
    caller: &Verified<Claims>,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl AccountStore + RevocationStore, impl SecureRandom>,
) -> Result<LogoutOutcome, UseCaseError> {
    let Some(account) = account_of(caller, ctx).await? else {
        return Ok(LogoutOutcome::NoSession);
    };
    let revocation = announce::last_of(&account, ctx);
    announce::again(&revocation, ctx.store, clock, ctx.call).await?;
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
