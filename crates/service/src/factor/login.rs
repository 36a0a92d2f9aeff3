//! The second step of a login: a code and the challenge of the first step.

use portcullis_core::audit::{AuditKind, LoginDenial};
use portcullis_core::id::Id;
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::secret::Secret;
use portcullis_core::session::{Device, Methods};

use super::challenge::{self, Challenged};
use super::proof::{self, Proof};
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::limit::{LimitKey, LimitOutcome, acquire};
use crate::open_session::{GrantTerms, TokenGrant, open};
use crate::ports::{SecureRandom, Signer};
use crate::store::{
    Account, AccountStatus, AccountStore, AuditStore, FactorStore, LimitStore, SessionStore,
};

/// The parsed request.
#[derive(Debug)]
pub struct FactorLoginRequest {
    /// The challenge of the first step.
    pub challenge: Secret<String>,
    /// The code.
    pub proof: Proof,
    /// The device as the client describes it: the same as at the first step.
    pub device: Device,
    /// The tokens that the client asks for.
    pub terms: GrantTerms,
}

/// The account of `request`, before its code is checked; `None` if the challenge is invalid.
pub fn challenged<S, C>(
    request: &FactorLoginRequest,
    ctx: ServiceContext<'_, S, C>,
) -> Option<Challenged> {
    challenge::open(&request.challenge, &request.device, ctx)
}

/// Completes a login with the second factor or denies it with a reason. Writes an audit entry in
/// both cases, except for invalid challenges beyond the limit of their network.
///
/// # Errors
///
/// [`UseCaseError`]; the login failed then, and the code may be used.
pub async fn login(
    request: &FactorLoginRequest,
    signer: &impl Signer,
    ctx: ServiceContext<
        '_,
        impl AccountStore + FactorStore + SessionStore + LimitStore + AuditStore,
        impl SecureRandom,
    >,
) -> Result<Result<TokenGrant, LoginDenial>, UseCaseError> {
    let challenged = challenge::open(&request.challenge, &request.device, ctx);
    let Some(challenged) = challenged else {
        return refuse_garbage(ctx).await;
    };
    let user_id = Some(&challenged.user_id);
    let account = ctx.store.account(&challenged.email).await?;
    let account = account.filter(|account| {
        account.user_id == challenged.user_id && account.generation == challenged.generation
    });
    let Some(account) = account else {
        return refuse(user_id, LoginDenial::BadChallenge, ctx).await;
    };
    if !is_open(&account) {
        return refuse(user_id, LoginDenial::Disabled, ctx).await;
    }
    let factors = ctx.store.factors(&account).await?;
    if factors.active().map(|factor| &factor.id) != Some(&challenged.factor_id) {
        // The factor was removed or replaced since the first step. SECURITY: guesses of the new
        // factor must not count as guesses of the old one.
        return refuse(user_id, LoginDenial::BadChallenge, ctx).await;
    }
    if !proof::spend(&request.proof, &account, &factors, ctx).await? {
        return refuse(user_id, LoginDenial::WrongCode, ctx).await;
    }
    let methods = match request.proof {
        Proof::Totp(_) => Methods::Totp,
        Proof::Recovery(_) => Methods::RecoveryCode,
    };
    let (device, terms) = (&request.device, &request.terms);
    match open(&account, device, methods, terms, signer, ctx).await? {
        Some(grant) => Ok(Ok(grant)),
        // The account was disabled, or all its sessions were revoked, during the check of the code.
        None => refuse(user_id, LoginDenial::Disabled, ctx).await,
    }
}

const fn is_open(account: &Account) -> bool {
    match account.status {
        AccountStatus::Active => true,
        AccountStatus::Disabled => false,
    }
}

/// Refuses an invalid challenge.
// SECURITY: such a challenge costs its sender nothing. Beyond the quota of the network it writes no
// audit entry, and the outcome stays the same.
async fn refuse_garbage(
    ctx: ServiceContext<'_, impl LimitStore + AuditStore, impl SecureRandom>,
) -> Result<Result<TokenGrant, LoginDenial>, UseCaseError> {
    match acquire(LimitKind::ChallengeRefused, LimitKey::Network, ctx).await? {
        LimitOutcome::Allowed(_counted) => refuse(None, LoginDenial::BadChallenge, ctx).await,
        LimitOutcome::Limited(_) => Ok(Err(LoginDenial::BadChallenge)),
    }
}

async fn refuse(
    user_id: Option<&Id>,
    denial: LoginDenial,
    ctx: ServiceContext<'_, impl AuditStore, impl SecureRandom>,
) -> Result<Result<TokenGrant, LoginDenial>, UseCaseError> {
    let event = ctx.event(AuditKind::LoginRefused(denial), user_id)?;
    ctx.store.record(&event).await?;
    Ok(Err(denial))
}
