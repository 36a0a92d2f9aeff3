//! Second factors: enrolment begins with the password, the first valid code activates the factor,
//! and login asks for it.

mod challenge;
mod login;
mod proof;

use core::time::Duration;

use portcullis_core::audit::{AuditKind, FactorDenial};
use portcullis_core::factor::{
    RECOVERY_CODE_BYTES, RECOVERY_CODES, RecoveryCode, TOTP_SECRET_BYTES, TotpCode,
};
use portcullis_core::id::Id;
use portcullis_core::mail::MailKind;
use portcullis_core::password::Password;
use portcullis_core::root_keys::Purpose;
use portcullis_core::secret::Secret;

pub(crate) use self::challenge::challenge;
pub use self::challenge::{CHALLENGE_LIFETIME, Challenged};
pub use self::login::{FactorLoginRequest, challenged, login};
pub use self::proof::Proof;
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::limit::{self, LimitKey, LimitOutcome, Limited};
use crate::mailing;
use crate::ports::{NoEntropy, PasswordHasher, SecureRandom};
use crate::reauthenticate::reauthenticate;
use crate::store::{
    Account, AccountStore, AuditStore, FactorStore, Factors, LimitStore, TotpFactor, WriteOutcome,
};

/// The time within which a pending factor can be confirmed.
const BEGUN_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// The proof that the owner of an account gives before its factors change.
#[derive(Debug)]
pub struct FactorChange {
    /// The caller, authenticated by a valid token.
    pub user_id: Id,
    /// The current password.
    pub password: Password,
}

/// A pending factor; its secret is returned only this once.
#[derive(Debug)]
pub struct NewTotp {
    /// The secret for the device.
    pub secret: Secret<[u8; TOTP_SECRET_BYTES]>,
    /// The account name for the device to show.
    pub account: Account,
}

/// The reason why a request with a code changed nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FactorRefusal {
    /// The request was denied, with an audit entry.
    Denied(FactorDenial),
    /// Too many codes for the factor.
    Limited(Limited),
}

/// Begins the enrolment of a TOTP factor and replaces one that was never activated.
///
/// # Errors
///
/// [`UseCaseError`]; no enrolment was begun then.
pub async fn begin(
    change: &FactorChange,
    hasher: &impl PasswordHasher,
    ctx: ServiceContext<'_, impl AccountStore + FactorStore + AuditStore, impl SecureRandom>,
) -> Result<Result<NewTotp, FactorDenial>, UseCaseError> {
    let account = reauthenticate(&change.user_id, &change.password, hasher, ctx).await?;
    let Some(account) = account else {
        return refuse(&change.user_id, FactorDenial::WrongPassword, ctx).await;
    };
    let random = ctx.random.secret()?;
    let secret = random.expose().first_chunk().copied().ok_or(NoEntropy)?;
    let context = [account.user_id.as_str().as_bytes()];
    let factor = TotpFactor {
        id: ctx.random.id()?,
        sealed: ctx.root_keys.seal(
            Purpose::FactorSecret,
            &context,
            ctx.random.nonce()?,
            &secret,
        ),
        created_at: ctx.call.now,
        confirmed_at: None,
        last_step: 0,
    };
    let event = ctx.event(AuditKind::FactorBegun, Some(&account.user_id))?;
    match ctx.store.begin_factor(&account, &factor, &event).await? {
        WriteOutcome::Applied => Ok(Ok(NewTotp {
            secret: Secret::new(secret),
            account,
        })),
        WriteOutcome::Conflict => refuse(&change.user_id, FactorDenial::AlreadyActive, ctx).await,
    }
}

/// Activates the pending factor of `user_id` if `code` is one of its codes. The recovery codes are
/// returned only this once.
///
/// # Errors
///
/// [`UseCaseError`]; a retry may find the factor active.
pub async fn confirm(
    user_id: &Id,
    code: &TotpCode,
    ctx: ServiceContext<'_, impl AccountStore + FactorStore + AuditStore, impl SecureRandom>,
) -> Result<Result<Vec<RecoveryCode>, FactorDenial>, UseCaseError> {
    let Some((account, factors)) = factors_of(user_id, ctx).await? else {
        return refuse(user_id, FactorDenial::NoFactor, ctx).await;
    };
    if factors.active().is_some() {
        return refuse(user_id, FactorDenial::AlreadyActive, ctx).await;
    }
    let oldest = ctx.call.now.minus(BEGUN_LIFETIME);
    let Some(begun) = factors.totp.filter(|factor| factor.created_at > oldest) else {
        return refuse(user_id, FactorDenial::NoFactor, ctx).await;
    };
    let Some(step) = proof::step(code, &begun, &account, ctx) else {
        return refuse(user_id, FactorDenial::WrongCode, ctx).await;
    };
    let (codes, kept) = recovery_codes(&account, ctx)?;
    let event = ctx.event(AuditKind::FactorConfirmed, Some(user_id))?;
    let notice = mailing::notice(MailKind::FactorAdded, &account, ctx)?;
    let confirmed = ctx
        .store
        .confirm_factor(&account, &begun, step, &kept, &notice, &event);
    match confirmed.await? {
        WriteOutcome::Applied => Ok(Ok(codes)),
        WriteOutcome::Conflict => refuse(user_id, FactorDenial::NoFactor, ctx).await,
    }
}

/// Removes the second factor, authorized by the password and a code.
///
/// # Errors
///
/// [`UseCaseError`]; the code may be used then, and the factor may remain.
pub async fn remove(
    change: &FactorChange,
    proof: &Proof,
    hasher: &impl PasswordHasher,
    ctx: ServiceContext<
        '_,
        impl AccountStore + FactorStore + LimitStore + AuditStore,
        impl SecureRandom,
    >,
) -> Result<Result<(), FactorRefusal>, UseCaseError> {
    let account = match proved(change, proof, hasher, ctx).await? {
        Ok(account) => account,
        Err(refusal) => return refuse_proof(&change.user_id, refusal, ctx).await,
    };
    let event = ctx.event(AuditKind::FactorRemoved, Some(&account.user_id))?;
    let notice = mailing::notice(MailKind::FactorRemoved, &account, ctx)?;
    ctx.store
        .remove_factors(&account, Some(&notice), &event)
        .await?;
    Ok(Ok(()))
}

/// Creates new recovery codes, authorized by the password and a code. The old ones become invalid.
///
/// # Errors
///
/// [`UseCaseError`]; the code may be used then, and the old recovery codes may still be valid.
pub async fn renew_recovery_codes(
    change: &FactorChange,
    proof: &Proof,
    hasher: &impl PasswordHasher,
    ctx: ServiceContext<
        '_,
        impl AccountStore + FactorStore + LimitStore + AuditStore,
        impl SecureRandom,
    >,
) -> Result<Result<Vec<RecoveryCode>, FactorRefusal>, UseCaseError> {
    let account = match proved(change, proof, hasher, ctx).await? {
        Ok(account) => account,
        Err(refusal) => return refuse_proof(&change.user_id, refusal, ctx).await,
    };
    let (codes, kept) = recovery_codes(&account, ctx)?;
    let event = ctx.event(AuditKind::RecoveryCodesRenewed, Some(&account.user_id))?;
    let notice = mailing::notice(MailKind::RecoveryCodesRenewed, &account, ctx)?;
    ctx.store
        .renew_recovery_codes(&account, &kept, &notice, &event)
        .await?;
    Ok(Ok(codes))
}

/// The factors of `user_id`.
///
/// # Errors
///
/// [`UseCaseError`].
pub async fn list<C>(
    user_id: &Id,
    ctx: ServiceContext<'_, impl AccountStore + FactorStore, C>,
) -> Result<Factors, UseCaseError> {
    let found = factors_of(user_id, ctx).await?;
    Ok(found.map(|(_, factors)| factors).unwrap_or_default())
}

/// The account, if the password and the code are correct; the code is marked as used then.
// SECURITY: codes are counted with those of the login, so a bearer with the password gets no guesses
// beyond them, and none for a locked factor.
async fn proved(
    change: &FactorChange,
    proof: &Proof,
    hasher: &impl PasswordHasher,
    ctx: ServiceContext<
        '_,
        impl AccountStore + FactorStore + LimitStore + AuditStore,
        impl SecureRandom,
    >,
) -> Result<Result<Account, FactorRefusal>, UseCaseError> {
    let denied = |denial| Ok(Err(FactorRefusal::Denied(denial)));
    let account = reauthenticate(&change.user_id, &change.password, hasher, ctx).await?;
    let Some(account) = account else {
        return denied(FactorDenial::WrongPassword);
    };
    let factors = ctx.store.factors(&account).await?;
    let Some(factor) = factors.active() else {
        return denied(FactorDenial::NoFactor);
    };
    let limit_key = LimitKey::Factor(&account.user_id, &factor.id);
    let place = match limit::acquire(proof.limit(), limit_key, ctx).await? {
        LimitOutcome::Allowed(place) => place,
        LimitOutcome::Limited(limited) => return Ok(Err(FactorRefusal::Limited(limited))),
    };
    if !proof::spend(proof, &account, &factors, ctx).await? {
        return denied(FactorDenial::WrongCode);
    }
    // If this fails, the attempt still counts, which costs only its owner.
    let _refunded = limit::refund(&place, ctx).await;
    Ok(Ok(account))
}

/// As [`refuse`]; the limit has written its entry itself.
async fn refuse_proof<T>(
    user_id: &Id,
    refusal: FactorRefusal,
    ctx: ServiceContext<'_, impl AuditStore, impl SecureRandom>,
) -> Result<Result<T, FactorRefusal>, UseCaseError> {
    match refusal {
        FactorRefusal::Limited(_) => Ok(Err(refusal)),
        FactorRefusal::Denied(denial) => {
            let refused: Result<T, FactorDenial> = refuse(user_id, denial, ctx).await?;
            Ok(refused.map_err(FactorRefusal::Denied))
        }
    }
}

async fn factors_of<C>(
    user_id: &Id,
    ctx: ServiceContext<'_, impl AccountStore + FactorStore, C>,
) -> Result<Option<(Account, Factors)>, UseCaseError> {
    let Some(account) = ctx.store.account_of(user_id).await? else {
        return Ok(None);
    };
    let factors = ctx.store.factors(&account).await?;
    Ok(Some((account, factors)))
}

/// New recovery codes and their stored form.
fn recovery_codes<S>(
    account: &Account,
    ctx: ServiceContext<'_, S, impl SecureRandom>,
) -> Result<(Vec<RecoveryCode>, Vec<String>), NoEntropy> {
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    while codes.len() < RECOVERY_CODES {
        let random = ctx.random.secret()?;
        let bits: &[u8; RECOVERY_CODE_BYTES] = random.expose().first_chunk().ok_or(NoEntropy)?;
        codes.push(RecoveryCode::from_random(bits));
    }
    let kept = codes
        .iter()
        .map(|code| code.kept(ctx.root_keys, &account.user_id))
        .collect();
    Ok((codes, kept))
}

async fn refuse<T>(
    user_id: &Id,
    denial: FactorDenial,
    ctx: ServiceContext<'_, impl AuditStore, impl SecureRandom>,
) -> Result<Result<T, FactorDenial>, UseCaseError> {
    let event = ctx.event(AuditKind::FactorRefused(denial), Some(user_id))?;
    ctx.store.record(&event).await?;
    Ok(Err(denial))
}
