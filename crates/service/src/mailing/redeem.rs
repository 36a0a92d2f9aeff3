//! Redeems the token of a mailed link: its bearer can read the mail of the address.
//!
//! INVARIANT: a mailed link proves an address, never a password. Before the first proof of an
//! address anyone may have registered it, chosen its password and used the account. So the first
//! proof ends all that: see `Proof::store`.

use portcullis_core::audit::AuditKind;
use portcullis_core::email::EmailAddress;
use portcullis_core::mail::{
    MailKind, MailPurpose, MailToken, MailTokenDenial, MailTokenDigest, MailTokenError,
};
use portcullis_core::password::advice::PasswordRejection;
use portcullis_core::password::rules::PasswordContext;
use portcullis_core::password::{Password, PasswordHash};
use portcullis_core::registration::RegisteredHere;

use super::notice;
use crate::announce;
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{Clock, PasswordHasher, SecureRandom};
use crate::screen::{self, PasswordScreen};
use crate::store::{
    Account, AccountChange, AccountStatus, AccountStore, AuditStore, FactorStore, MailTokenStore,
    OutboxMail, RevocationStore, SessionsEnd, SpentToken, TokensEnd, WriteOutcome,
};

/// The attempts after concurrent changes of the account.
const MAX_ATTEMPTS: usize = 3;

/// A token as presented: well-formed or not.
pub type Presented = Result<MailToken, MailTokenError>;

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

/// An address that the bearer of a token has just proved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProvenAddress {
    /// The address.
    pub email: EmailAddress,
    /// The generation of its account, for the device cookie of this browser.
    pub generation: u64,
}

/// The evidence for the password of an account whose address is verified for the first time.
#[derive(Debug)]
pub struct PasswordEvidence<'a> {
    /// The registration cookie of the browser.
    pub registered_here: Option<&'a RegisteredHere>,
    /// The new password that was typed on the page behind the link.
    pub new_password: Option<&'a Password>,
}

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

/// The outcome of unlocking a browser.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum UnlockOutcome {
    /// The bearer of the token reads the mail of this address: the browser may be marked as known.
    Done(ProvenAddress),
    /// The token is rejected; the client gets the same response for every reason.
    Refuse(MailTokenDenial),
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

/// Uses the token for `purpose` without another change of the account.
async fn spend(
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

fn proven(account: Account) -> ProvenAddress {
    ProvenAddress {
        generation: account.generation,
        email: account.email,
    }
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
        let (account, digest) = match owner(token, MailPurpose::Reset, ctx).await? {
            Ok(found) => found,
            Err(denial) => {
                announce_used(token, MailPurpose::Reset, clock, ctx).await?;
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
            purpose: MailPurpose::Reset,
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

/// The reason to reject `password` for `account`, if there is one.
async fn screen_password(
    password: &Password,
    account: &Account,
    screen: &impl PasswordScreen,
    ctx: ServiceContext<'_, impl FactorStore, impl SecureRandom>,
) -> Result<Option<PasswordRejection>, UseCaseError> {
    let factors = ctx.store.factors(account).await?;
    let rules = &ctx.settings.passwords;
    let context = PasswordContext {
        email: &account.email,
        services: &rules.services,
        // A token that is about to be deleted is not accepted.
        second_factor: account.verified_at.is_some() && factors.active().is_some(),
    };
    Ok(screen::screen_password(password, &context, rules, screen).await?)
}

/// Removes the second factor of an account with an unverified address. The person who enrolled the
/// factor never proved the address, but the reader of its mail does. A verified account keeps its
/// factor: a reset does not bypass it.
async fn forget_factors(
    account: &Account,
    ctx: ServiceContext<'_, impl FactorStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    if account.verified_at.is_none() && ctx.store.factors(account).await?.totp.is_some() {
        let event = ctx.event(AuditKind::FactorRemoved, Some(&account.user_id))?;
        // No notice: the factor was not the owner's.
        ctx.store.remove_factors(account, None, &event).await?;
    }
    Ok(())
}

/// A proof of an address by the token of a mailed link, with the password that is valid from now on.
struct Proof<'a> {
    account: &'a Account,
    purpose: MailPurpose,
    digest: &'a MailTokenDigest,
    /// The new password with its hash; `None` keeps the stored one.
    password: Option<(&'a PasswordHash, &'a Password)>,
    audit: AuditKind,
    mail: Option<&'a OutboxMail>,
}

impl Proof<'_> {
    /// Stores the proof and ends every session. The first proof also removes the second factor and
    /// the recovery codes. The new generation makes every earlier device cookie unknown. Returns
    /// `None` if the account changed since it was read.
    ///
    /// This is the only place that verifies an address.
    async fn store(
        &self,
        clock: &impl Clock,
        ctx: ServiceContext<
            '_,
            impl AccountStore + FactorStore + RevocationStore,
            impl SecureRandom,
        >,
    ) -> Result<Option<ProvenAddress>, UseCaseError> {
        let account = self.account;
        forget_factors(account, ctx).await?;
        let stamp = clock.now();
        let generation = account.next_generation();
        let revocation = announce::tokens_of(account, ctx);
        let change = AccountChange {
            password: self.password.map(|(hash, _)| hash),
            short_password: self.password.map(|(_, password)| password.needs_factor()),
            verified_at: Some(account.verified_at.unwrap_or(ctx.call.now)),
            sessions: Some(SessionsEnd {
                tokens: TokensEnd {
                    revocation: &revocation,
                    stamp,
                },
                kept: None,
            }),
            spends: Some(SpentToken {
                purpose: self.purpose,
                digest: self.digest,
            }),
            mail: self.mail,
            ..AccountChange::default()
        };
        let event = ctx.event(self.audit, Some(&account.user_id))?;
        match ctx.store.change_account(account, &change, &event).await? {
            WriteOutcome::Applied => {}
            WriteOutcome::Conflict => return Ok(None),
        }
        announce::confirm_within_bound(&[revocation], stamp, ctx.store, clock, ctx.call).await?;
        Ok(Some(ProvenAddress {
            email: account.email.clone(),
            generation,
        }))
    }
}

/// The account that accepts `token` for `purpose` now, with its stored token.
async fn owner(
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

/// Announces the end of the sessions again if `token` is the used one of its account: the first
/// attempt may have ended with [`UseCaseError::NotConfirmed`].
///
/// # Errors
///
/// [`UseCaseError`]; the revocation may be unknown to the edges then.
async fn announce_used(
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

async fn refuse_verification(
    token: &Presented,
    denial: MailTokenDenial,
    ctx: ServiceContext<'_, impl AuditStore, impl SecureRandom>,
) -> Result<VerifyOutcome, UseCaseError> {
    let kind = AuditKind::VerificationRefused(denial);
    refuse(kind, token, denial, ctx).await?;
    Ok(VerifyOutcome::Refuse(denial))
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

async fn refuse(
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
