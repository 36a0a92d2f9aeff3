//! Verifies an address.

use portcullis_core::audit::AuditKind;
use portcullis_core::mail::{MailPurpose, MailTokenDenial};
use portcullis_core::password::Password;
use portcullis_core::password::advice::PasswordRejection;
use portcullis_core::registration::RegisteredHere;

use super::proof::{Proof, ProvenAddress, proven, screen_password};
use super::token::{MAX_ATTEMPTS, Presented, announce_used, owner, refuse, spend};
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{Clock, PasswordHasher, SecureRandom};
use crate::screen::PasswordScreen;
use crate::store::{
    Account, AccountStore, AuditStore, FactorStore, MailTokenStore, RevocationStore, WriteOutcome,
};

/// The outcome of an address verification.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum VerifyOutcome {
    /// The address is verified. The bearer of the token reads its mail: the browser may be marked
    /// as known.
    Done(ProvenAddress),
    /// The token is rejected; the client gets the same response for every reason.
    Refuse(MailTokenDenial),
    /// This browser did not send the registration that chose the password. The account needs a new
    /// one; the token is still valid.
    NewPasswordRequired,
    /// The new password was rejected. The token is still valid.
    BadPassword(PasswordRejection),
}

/// The evidence for the password of an account whose address is verified for the first time.
#[derive(Debug)]
pub struct PasswordEvidence<'a> {
    /// The registration cookie of the browser.
    pub registered_here: Option<&'a RegisteredHere>,
    /// The new password that was typed on the page behind the link.
    pub new_password: Option<&'a Password>,
}

/// Verifies the address of the account that `token` was issued for. The first proof keeps the
/// password only if this browser sent the registration that chose it; otherwise it needs a new one.
///
/// # Errors
///
/// [`UseCaseError`]; either the token is still valid, or a retry finds it used. After
/// [`UseCaseError::NotConfirmed`] the address is verified.
pub async fn verify(
    token: &Presented,
    evidence: &PasswordEvidence<'_>,
    hasher: &impl PasswordHasher,
    screen: &impl PasswordScreen,
    clock: &impl Clock,
    ctx: ServiceContext<
        '_,
        impl AccountStore + FactorStore + MailTokenStore + RevocationStore + AuditStore,
        impl SecureRandom,
    >,
) -> Result<VerifyOutcome, UseCaseError> {
    let mut hash = None;
    for _ in 0..MAX_ATTEMPTS {
        let (account, digest) = match owner(token, MailPurpose::Verify, ctx).await? {
            Ok(found) => found,
            Err(denial) => {
                announce_used(token, MailPurpose::Verify, clock, ctx).await?;
                return refuse_verification(token, denial, ctx).await;
            }
        };
        if account.verified_at.is_some() {
            if evidence.new_password.is_some() {
                // Another link was faster. This one may not replace the password of its reader.
                break;
            }
            let (purpose, audit) = (MailPurpose::Verify, AuditKind::EmailVerified);
            let written = spend(&account, purpose, &digest, audit, ctx).await?;
            if written == WriteOutcome::Applied {
                return Ok(VerifyOutcome::Done(proven(account)));
            }
            continue;
        }
        // SECURITY: only a valid token starts the screening and the hash.
        match evidence.new_password {
            Some(password) if hash.is_none() => {
                if let Some(rejection) = screen_password(password, &account, screen, ctx).await? {
                    return Ok(VerifyOutcome::BadPassword(rejection));
                }
                hash = Some(hasher.hash(password).await?);
            }
            Some(_) => {}
            None if chose_password(evidence, &account) => {}
            None => return Ok(VerifyOutcome::NewPasswordRequired),
        }
        let proof = Proof {
            account: &account,
            purpose: MailPurpose::Verify,
            digest: &digest,
            password: hash.as_ref().zip(evidence.new_password),
            audit: AuditKind::EmailVerified,
            mail: None,
        };
        if let Some(proven) = proof.store(clock, ctx).await? {
            return Ok(VerifyOutcome::Done(proven));
        }
    }
    refuse_verification(token, MailTokenDenial::Used, ctx).await
}

/// Whether this browser sent the registration that created `account`, and so chose its password.
fn chose_password(evidence: &PasswordEvidence<'_>, account: &Account) -> bool {
    let registered_here = evidence.registered_here;
    registered_here.is_some_and(|here| here.created(&account.user_id))
}

async fn refuse_verification(
    token: &Presented,
    denial: MailTokenDenial,
    ctx: ServiceContext<'_, impl AuditStore, impl SecureRandom>,
) -> Result<VerifyOutcome, UseCaseError> {
    let kind = AuditKind::VerificationRefused(denial);
    refuse(kind, token, denial, ctx).await?;
    Ok(VerifyOutcome::Refuse(denial))
}
