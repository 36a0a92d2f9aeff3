//! Second factors: begun with the password, active with the first code, and asked for at login.

mod challenge;
mod login;
mod proof;

use core::time::Duration;

use portcullis_core::audit::{AuditKind, FactorDenial};
use portcullis_core::factor::{
    RECOVERY_CODE_BYTES, RECOVERY_CODES, RecoveryCode, TOTP_SECRET_BYTES, TotpCode,
};
use portcullis_core::id::Id;
use portcullis_core::password::Password;
use portcullis_core::secret::Secret;
use portcullis_core::vault::Purpose;

pub(crate) use self::challenge::challenge;
pub use self::challenge::{CHALLENGE_LIFETIME, Challenged, challenged};
pub use self::login::{FactorLoginRequest, login};
pub use self::proof::Proof;
use crate::error::ServiceError;
use crate::means::Means;
use crate::ports::{Chance, Hasher, NoEntropy};
use crate::reauthenticate::reauthenticate;
use crate::store::{Account, AccountStore, AuditStore, FactorStore, Factors, TotpFactor, Written};

/// How long a factor that was begun may be confirmed.
const BEGUN_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// What the owner of an account proves before its factors change.
#[derive(Debug)]
pub struct FactorChange {
    /// Who asks, by a good token.
    pub user_id: Id,
    /// The current password.
    pub password: Password,
}

/// A factor that was begun: its secret is told this once.
#[derive(Debug)]
pub struct NewTotp {
    /// What the device keeps.
    pub secret: Secret<[u8; TOTP_SECRET_BYTES]>,
    /// Whose it is, for the device to show.
    pub account: Account,
}

/// Begins a factor that shows codes by time, in place of one that never became active.
///
/// # Errors
///
/// [`ServiceError`]; nothing was begun then.
pub async fn begin(
    change: &FactorChange,
    hasher: &impl Hasher,
    means: Means<'_, impl AccountStore + FactorStore + AuditStore, impl Chance>,
) -> Result<Result<NewTotp, FactorDenial>, ServiceError> {
    let account = reauthenticate(&change.user_id, &change.password, hasher, means).await?;
    let Some(account) = account else {
        return refuse(&change.user_id, FactorDenial::WrongPassword, means).await;
    };
    let random = means.chance.secret()?;
    let secret = random.expose().first_chunk().copied().ok_or(NoEntropy)?;
    let context = [account.user_id.as_str().as_bytes()];
    let factor = TotpFactor {
        id: means.chance.id()?,
        sealed: means.vault.seal(
            Purpose::FactorSecret,
            &context,
            means.chance.nonce()?,
            &secret,
        ),
        created_at: means.call.now,
        confirmed_at: None,
        last_step: 0,
    };
    let event = means.event(AuditKind::FactorBegun, Some(&account.user_id))?;
    match means.store.begin_factor(&account, &factor, &event).await? {
        Written::Done => Ok(Ok(NewTotp {
            secret: Secret::new(secret),
            account,
        })),
        Written::Conflict => refuse(&change.user_id, FactorDenial::AlreadyActive, means).await,
    }
}

/// Makes the factor that `user_id` began active, if `code` is one of its codes; the recovery codes
/// are told this once.
///
/// # Errors
///
/// [`ServiceError`]; a repetition may find the factor active.
pub async fn confirm(
    user_id: &Id,
    code: &TotpCode,
    means: Means<'_, impl AccountStore + FactorStore + AuditStore, impl Chance>,
) -> Result<Result<Vec<RecoveryCode>, FactorDenial>, ServiceError> {
    let Some((account, factors)) = factors_of(user_id, means).await? else {
        return refuse(user_id, FactorDenial::NoFactor, means).await;
    };
    if factors.active().is_some() {
        return refuse(user_id, FactorDenial::AlreadyActive, means).await;
    }
    let oldest = means.call.now.before(BEGUN_LIFETIME);
    let Some(begun) = factors.totp.filter(|factor| factor.created_at > oldest) else {
        return refuse(user_id, FactorDenial::NoFactor, means).await;
    };
    let Some(step) = proof::step(code, &begun, &account, means) else {
        return refuse(user_id, FactorDenial::WrongCode, means).await;
    };
    let (codes, kept) = recovery_codes(&account, means)?;
    let event = means.event(AuditKind::FactorConfirmed, Some(user_id))?;
    let confirmed = means
        .store
        .confirm_factor(&account, &begun, step, &kept, &event);
    match confirmed.await? {
        Written::Done => Ok(Ok(codes)),
        Written::Conflict => refuse(user_id, FactorDenial::NoFactor, means).await,
    }
}

/// Removes the second factor, with the password and a code.
///
/// # Errors
///
/// [`ServiceError`]; the code may be spent then, and the factor may be there still.
pub async fn remove(
    change: &FactorChange,
    proof: &Proof,
    hasher: &impl Hasher,
    means: Means<'_, impl AccountStore + FactorStore + AuditStore, impl Chance>,
) -> Result<Result<(), FactorDenial>, ServiceError> {
    let account = match proved(change, proof, hasher, means).await? {
        Ok(account) => account,
        Err(denial) => return refuse(&change.user_id, denial, means).await,
    };
    let event = means.event(AuditKind::FactorRemoved, Some(&account.user_id))?;
    means.store.remove_factors(&account, &event).await?;
    Ok(Ok(()))
}

/// Makes recovery codes anew, with the password and a code; the old ones are good for nothing more.
///
/// # Errors
///
/// [`ServiceError`]; the code may be spent then, and the old recovery codes may be good still.
pub async fn renew_recovery_codes(
    change: &FactorChange,
    proof: &Proof,
    hasher: &impl Hasher,
    means: Means<'_, impl AccountStore + FactorStore + AuditStore, impl Chance>,
) -> Result<Result<Vec<RecoveryCode>, FactorDenial>, ServiceError> {
    let account = match proved(change, proof, hasher, means).await? {
        Ok(account) => account,
        Err(denial) => return refuse(&change.user_id, denial, means).await,
    };
    let (codes, kept) = recovery_codes(&account, means)?;
    let event = means.event(AuditKind::RecoveryCodesRenewed, Some(&account.user_id))?;
    means
        .store
        .renew_recovery_codes(&account, &kept, &event)
        .await?;
    Ok(Ok(codes))
}

/// The factors of `user_id`.
///
/// # Errors
///
/// [`ServiceError`].
pub async fn list<C>(
    user_id: &Id,
    means: Means<'_, impl AccountStore + FactorStore, C>,
) -> Result<Factors, ServiceError> {
    let found = factors_of(user_id, means).await?;
    Ok(found.map(|(_, factors)| factors).unwrap_or_default())
}

/// The account, if the password and the code are right; the code is spent then.
async fn proved(
    change: &FactorChange,
    proof: &Proof,
    hasher: &impl Hasher,
    means: Means<'_, impl AccountStore + FactorStore, impl Chance>,
) -> Result<Result<Account, FactorDenial>, ServiceError> {
    let account = reauthenticate(&change.user_id, &change.password, hasher, means).await?;
    let Some(account) = account else {
        return Ok(Err(FactorDenial::WrongPassword));
    };
    let factors = means.store.factors(&account).await?;
    if factors.active().is_none() {
        return Ok(Err(FactorDenial::NoFactor));
    }
    let right = proof::spend(proof, &account, &factors, means).await?;
    Ok(right.then_some(account).ok_or(FactorDenial::WrongCode))
}

async fn factors_of<C>(
    user_id: &Id,
    means: Means<'_, impl AccountStore + FactorStore, C>,
) -> Result<Option<(Account, Factors)>, ServiceError> {
    let Some(account) = means.store.account_of(user_id).await? else {
        return Ok(None);
    };
    let factors = means.store.factors(&account).await?;
    Ok(Some((account, factors)))
}

/// New codes, and what is kept of them.
fn recovery_codes<S>(
    account: &Account,
    means: Means<'_, S, impl Chance>,
) -> Result<(Vec<RecoveryCode>, Vec<String>), NoEntropy> {
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    while codes.len() < RECOVERY_CODES {
        let random = means.chance.secret()?;
        let bits: &[u8; RECOVERY_CODE_BYTES] = random.expose().first_chunk().ok_or(NoEntropy)?;
        codes.push(RecoveryCode::from_random(bits));
    }
    let kept = codes
        .iter()
        .map(|code| code.kept(means.vault, &account.user_id))
        .collect();
    Ok((codes, kept))
}

async fn refuse<T>(
    user_id: &Id,
    denial: FactorDenial,
    means: Means<'_, impl AuditStore, impl Chance>,
) -> Result<Result<T, FactorDenial>, ServiceError> {
    let event = means.event(AuditKind::FactorRefused(denial), Some(user_id))?;
    means.store.record(&event).await?;
    Ok(Err(denial))
}
