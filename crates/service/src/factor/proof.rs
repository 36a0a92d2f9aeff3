//! Verifying a second factor: each code is accepted once, by one host.

use portcullis_core::factor::{RecoveryCode, TOTP_SECRET_BYTES, TotpCode};
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::root_keys::Purpose;
use portcullis_core::secret::Secret;

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::store::{Account, FactorStore, Factors, TotpFactor, WriteOutcome};

/// The proof of possession of the second factor.
#[derive(Debug)]
pub enum Proof {
    /// A TOTP code.
    Totp(TotpCode),
    /// A recovery code.
    Recovery(RecoveryCode),
}

impl Proof {
    /// The limit that counts its kind of codes.
    pub const fn limit(&self) -> LimitKind {
        match self {
            Self::Totp(_) => LimitKind::FactorAccount,
            Self::Recovery(_) => LimitKind::RecoveryAccount,
        }
    }
}

/// The time step of `code`, unless this step or a later one was used before.
pub(super) fn step<S, C>(
    code: &TotpCode,
    factor: &TotpFactor,
    account: &Account,
    ctx: ServiceContext<'_, S, C>,
) -> Option<u64> {
    let context = [account.user_id.as_str().as_bytes()];
    let opened = ctx
        .root_keys
        .open(Purpose::FactorSecret, &context, &factor.sealed);
    let secret: [u8; TOTP_SECRET_BYTES] = opened.ok()?.expose().as_slice().try_into().ok()?;
    let step = code.step(&Secret::new(secret), ctx.call.now);
    step.filter(|step| *step > factor.last_step)
}

/// Whether `proof` is correct; it is marked as used then.
// SECURITY: verified against the state that was read and marked as used by one conditional write.
// If two hosts get the same code, only one accepts it.
pub(super) async fn spend<C>(
    proof: &Proof,
    account: &Account,
    factors: &Factors,
    ctx: ServiceContext<'_, impl FactorStore, C>,
) -> Result<bool, UseCaseError> {
    match proof {
        Proof::Totp(code) => {
            let step = factors
                .active()
                .and_then(|factor| Some((factor, step(code, factor, account, ctx)?)));
            let Some((factor, step)) = step else {
                return Ok(false);
            };
            let request_id = &ctx.call.request_id;
            let spent = ctx.store.spend_step(account, factor, step, request_id);
            Ok(spent.await? == WriteOutcome::Applied)
        }
        Proof::Recovery(code) => spend_recovery_code(code, account, factors, ctx).await,
    }
}

/// The attempts to read the codes again after a concurrent use of another code.
const MAX_ATTEMPTS: usize = 3;

async fn spend_recovery_code<C>(
    code: &RecoveryCode,
    account: &Account,
    factors: &Factors,
    ctx: ServiceContext<'_, impl FactorStore, C>,
) -> Result<bool, UseCaseError> {
    let mut all = factors.recovery.clone();
    for _try in 0..MAX_ATTEMPTS {
        let is_it = |kept: &String| code.is(kept, ctx.root_keys, &account.user_id);
        let rest: Vec<String> = all.iter().filter(|kept| !is_it(kept)).cloned().collect();
        if rest.len() == all.len() {
            return Ok(false);
        }
        let request_id = &ctx.call.request_id;
        let spent = ctx
            .store
            .spend_recovery_code(account, &all, &rest, request_id);
        match spent.await? {
            WriteOutcome::Applied => return Ok(true),
            WriteOutcome::Conflict => all = ctx.store.factors(account).await?.recovery,
        }
    }
    Ok(false)
}
