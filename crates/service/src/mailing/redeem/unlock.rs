//! Unlocks a browser.

use portcullis_core::audit::AuditKind;
use portcullis_core::mail::{MailPurpose, MailTokenDenial};

use super::proof::{ProvenAddress, proven};
use super::token::{MAX_ATTEMPTS, Presented, owner, refuse, spend};
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::SecureRandom;
use crate::store::{AccountStore, AuditStore, MailTokenStore, WriteOutcome};

/// The outcome of unlocking a browser.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum UnlockOutcome {
    /// The bearer of the token reads the mail of this address: the browser may be marked as known.
    Done(ProvenAddress),
    /// The token is rejected; the client gets the same response for every reason.
    Refuse(MailTokenDenial),
}

/// Redeems the token of an unlock mail, which gives the owner access after too many failed logins.
/// It logs no client in and resets no failure count: it only marks this browser as the owner's.
///
/// It does not verify the address. The page of the link asks for no password, so the account would
/// be verified with a password that another person may have chosen.
///
/// # Errors
///
/// [`UseCaseError`]; either the token is still valid, or a retry finds it used.
pub async fn unlock(
    token: &Presented,
    ctx: ServiceContext<'_, impl AccountStore + MailTokenStore + AuditStore, impl SecureRandom>,
) -> Result<UnlockOutcome, UseCaseError> {
    let mut denial = MailTokenDenial::Used;
    for _ in 0..MAX_ATTEMPTS {
        let (account, digest) = match owner(token, MailPurpose::Unlock, ctx).await? {
            Ok(found) => found,
            Err(found) => {
                denial = found;
                break;
            }
        };
        let (purpose, audit) = (MailPurpose::Unlock, AuditKind::BrowserUnlocked);
        let written = spend(&account, purpose, &digest, audit, ctx).await?;
        if written == WriteOutcome::Applied {
            return Ok(UnlockOutcome::Done(proven(account)));
        }
    }
    refuse(AuditKind::UnlockRefused(denial), token, denial, ctx).await?;
    Ok(UnlockOutcome::Refuse(denial))
}
