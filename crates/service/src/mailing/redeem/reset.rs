//! Resets a password.

use portcullis_core::audit::AuditKind;
use portcullis_core::mail::{MailKind, MailPurpose, MailTokenDenial, MailTokenDigest};
use portcullis_core::password::Password;
use portcullis_core::password::advice::PasswordRejection;

use super::proof::{Proof, ProvenAddress, screen_password};
use super::token::{MAX_ATTEMPTS, Presented, announce_used, owner, refuse};
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::mailing::notice;
use crate::ports::{Clock, PasswordHasher, SecureRandom};
use crate::screen::PasswordScreen;
use crate::store::{
    Account, AccountStore, AuditStore, FactorStore, MailTokenStore, RevocationStore,
};

/// The outcome of a reset.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum ResetOutcome {
    /// The new password is set, and every session is revoked. The token proved that its bearer
    /// reads the mail of this address.
    Done(ProvenAddress),
    /// The token is rejected; the client gets the same response for every reason.
    Refuse(MailTokenDenial),
    /// The password was rejected. The token is still valid.
    BadPassword(PasswordRejection),
}

/// Sets `password` for the account that `token` was issued for and revokes all its sessions. It
/// logs no client in: the next login still requires the second factor. The address becomes
/// verified, since the mail was read.
///
/// # Errors
///
/// [`UseCaseError`]; either the token is still valid, or the password is set and a retry finds the
/// token used. After [`UseCaseError::NotConfirmed`] the password is set.
pub async fn reset(
    token: &Presented,
    password: &Password,
    hasher: &impl PasswordHasher,
    screen: &impl PasswordScreen,
    clock: &impl Clock,
    ctx: ServiceContext<
        '_,
        impl AccountStore + FactorStore + MailTokenStore + RevocationStore + AuditStore,
        impl SecureRandom,
    >,
) -> Result<ResetOutcome, UseCaseError> {
    let mut hash = None;
    for _ in 0..MAX_ATTEMPTS {
        let (account, digest, purpose) = match resettable(token, ctx).await? {
            Ok(found) => found,
            Err(denial) => {
                for purpose in PURPOSES {
                    announce_used(token, purpose, clock, ctx).await?;
                }
                return refuse_reset(token, denial, ctx).await;
            }
        };
        let hash = match &mut hash {
            Some(hash) => hash,
            // Only a valid token starts the hash, so guessing causes no load. The screening runs
            // before the token is used, so a rejected password needs no new mail.
            none => {
                if let Some(rejection) = screen_password(password, &account, screen, ctx).await? {
                    return Ok(ResetOutcome::BadPassword(rejection));
                }
                none.insert(hasher.hash(password).await?)
            }
        };
        let notice = notice(MailKind::PasswordChanged, &account, ctx)?;
        let proof = Proof {
            account: &account,
            purpose,
            digest: &digest,
            password: Some((hash, password)),
            audit: AuditKind::PasswordReset,
            mail: Some(&notice),
        };
        if let Some(proven) = proof.store(clock, ctx).await? {
            return Ok(ResetOutcome::Done(proven));
        }
    }
    refuse_reset(token, MailTokenDenial::Used, ctx).await
}

/// The purposes of tokens that set a password.
const PURPOSES: [MailPurpose; 2] = [MailPurpose::Reset, MailPurpose::Invite];

/// The account that accepts `token` for one of [`PURPOSES`] now.
async fn resettable(
    token: &Presented,
    ctx: ServiceContext<'_, impl MailTokenStore, impl SecureRandom>,
) -> Result<Result<(Account, MailTokenDigest, MailPurpose), MailTokenDenial>, UseCaseError> {
    let mut refused = MailTokenDenial::Unknown;
    for purpose in PURPOSES {
        match owner(token, purpose, ctx).await? {
            Ok((account, digest)) => return Ok(Ok((account, digest, purpose))),
            // A used token says less than an expired one of the other purpose.
            Err(denial) if refused == MailTokenDenial::Unknown => refused = denial,
            Err(MailTokenDenial::Unknown | MailTokenDenial::Used) => {}
            Err(denial) => refused = denial,
        }
    }
    Ok(Err(refused))
}

async fn refuse_reset(
    token: &Presented,
    denial: MailTokenDenial,
    ctx: ServiceContext<'_, impl AuditStore, impl SecureRandom>,
) -> Result<ResetOutcome, UseCaseError> {
    let kind = AuditKind::ResetRefused(denial);
    refuse(kind, token, denial, ctx).await?;
    Ok(ResetOutcome::Refuse(denial))
}
