//! Login: an address and a password become a session and an access token.

use portcullis_core::audit::{AuditKind, LoginDenial};
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::password::Password;
use portcullis_core::secret::Secret;
use portcullis_core::session::{Device, Methods};

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::factor;
use crate::open_session::{TokenGrant, open};
use crate::ports::{HashVerdict, PasswordHasher, SecureRandom, Signer};
use crate::store::{
    Account, AccountChange, AccountStatus, AccountStore, AuditStore, FactorStore, SessionStore,
    WriteOutcome,
};

/// What the caller sent, already parsed.
#[derive(Clone, Debug)]
pub struct LoginRequest {
    /// The account's address.
    pub email: EmailAddress,
    /// The password as typed.
    pub password: Password,
    /// What the caller says it is.
    pub device: Device,
}

/// How a login ends.
#[derive(Debug)]
#[must_use]
pub enum LoginOutcome {
    /// The caller is let in.
    Admit(LoginAdmission),
    /// The password is right; a code of the second factor is wanted besides.
    Challenge(Challenge),
    /// The caller is not let in; all reasons are one answer to them.
    Refuse(LoginDenial),
}

/// What becomes of a caller who is let in.
#[derive(Debug)]
pub struct LoginAdmission {
    /// What they receive.
    pub grant: TokenGrant,
    /// Why a hash made with lesser parameters was not renewed, for the log: the next login tries
    /// again.
    pub not_rehashed: Option<UseCaseError>,
}

/// What becomes of a caller whose password is right, and who has a second factor.
#[derive(Debug)]
pub struct Challenge {
    /// What to bring back with the code, within [`CHALLENGE_LIFETIME`](factor::CHALLENGE_LIFETIME).
    pub challenge: Secret<String>,
    /// As in [`Admission`].
    pub not_rehashed: Option<UseCaseError>,
}

/// Signs the caller in, or says why not, and leaves a line in the audit trail either way.
///
/// # Errors
///
/// [`UseCaseError`]; nobody is signed in then.
pub async fn login(
    request: &LoginRequest,
    hasher: &impl PasswordHasher,
    signer: &impl Signer,
    ctx: ServiceContext<
        '_,
        impl AccountStore + FactorStore + SessionStore + AuditStore,
        impl SecureRandom,
    >,
) -> Result<LoginOutcome, UseCaseError> {
    let store = ctx.store;
    let account = store.account(&request.email).await?;
    // SECURITY: an unknown address costs what a wrong password costs: the same hashes, one row.
    let stored = account.as_ref().map(|account| &account.password);
    let verdict = hasher.verify(&request.password, stored).await?;
    let require_verified = ctx.settings.mailing.require_verified;
    let account = match admit(account, verdict, require_verified) {
        Ok(account) => account,
        Err((denial, user_id)) => {
            let kind = AuditKind::LoginRefused(denial);
            store.record(&ctx.event(kind, user_id.as_ref())?).await?;
            return Ok(LoginOutcome::Refuse(denial));
        }
    };
    // Only now: whether there is a factor is nobody's business who lacks the password.
    if store.factors(&account).await?.active().is_some() {
        let challenge = factor::challenge(&account, &request.device, ctx)?;
        let asked = ctx.event(AuditKind::FactorAsked, Some(&account.user_id))?;
        store.record(&asked).await?;
        return Ok(LoginOutcome::Challenge(Challenge {
            challenge,
            not_rehashed: rehash(request, &account, verdict, hasher, ctx).await.err(),
        }));
    }
    let opened = open(&account, &request.device, Methods::Password, signer, ctx);
    let Some(grant) = opened.await? else {
        // Disabled, or all its sessions ended, while the password was being checked.
        let denial = LoginDenial::Disabled;
        let kind = AuditKind::LoginRefused(denial);
        store
            .record(&ctx.event(kind, Some(&account.user_id))?)
            .await?;
        return Ok(LoginOutcome::Refuse(denial));
    };
    // The session is open: whatever comes of this, the caller is signed in.
    Ok(LoginOutcome::Admit(LoginAdmission {
        grant,
        not_rehashed: rehash(request, &account, verdict, hasher, ctx).await.err(),
    }))
}

/// The account that is let in, or why none is and whose it would have been.
fn admit(
    account: Option<Account>,
    verdict: HashVerdict,
    require_verified: bool,
) -> Result<Account, (LoginDenial, Option<Id>)> {
    let account = account.ok_or((LoginDenial::UnknownAddress, None))?;
    let denial = match (verdict, account.status) {
        (HashVerdict::Differs, _) => LoginDenial::WrongPassword,
        (_, AccountStatus::Disabled) => LoginDenial::Disabled,
        (_, AccountStatus::Active) if require_verified && account.verified_at.is_none() => {
            LoginDenial::Unverified
        }
        (_, AccountStatus::Active) => return Ok(account),
    };
    Err((denial, Some(account.user_id)))
}

/// Renews a hash that is outdated; if the account changed meanwhile, the next login tries again.
async fn rehash(
    request: &LoginRequest,
    account: &Account,
    verdict: HashVerdict,
    hasher: &impl PasswordHasher,
    ctx: ServiceContext<'_, impl AccountStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    if verdict != HashVerdict::MatchesOutdated {
        return Ok(());
    }
    let hash = hasher.hash(&request.password).await?;
    let event = ctx.event(AuditKind::PasswordRehashed, Some(&account.user_id))?;
    let change = AccountChange {
        password: Some(&hash),
        ..AccountChange::default()
    };
    match ctx.store.change_account(account, &change, &event).await? {
        WriteOutcome::Applied | WriteOutcome::Conflict => Ok(()),
    }
}
