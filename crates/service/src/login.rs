//! Login: exchanges an address and a password for a session and an access token.

use portcullis_core::audit::{AuditKind, LoginDenial};
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::password::Password;
use portcullis_core::secret::Secret;
use portcullis_core::session::{Device, Methods};

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::factor;
use crate::limit::{self, LimitOutcome, Limited, Reservation};
use crate::open_session::{GrantTerms, TokenGrant, open};
use crate::ports::{HashVerdict, PasswordHasher, SecureRandom, Signer};
use crate::store::{
    Account, AccountChange, AccountStatus, AccountStore, AuditStore, FactorStore, LimitStore,
    SessionStore, WriteOutcome,
};

/// The parsed request.
#[derive(Clone, Debug)]
pub struct LoginRequest {
    /// The account's address.
    pub email: EmailAddress,
    /// The password as typed.
    pub password: Password,
    /// The device as the client describes it.
    pub device: Device,
    /// The tokens that the client asks for.
    pub terms: GrantTerms,
    /// The generation in the device cookie, if the attempt was counted as one of a known browser.
    pub known_generation: Option<u64>,
}

/// The outcome of a login.
#[derive(Debug)]
#[must_use]
pub enum LoginOutcome {
    /// The login succeeded.
    Admit(LoginAdmission),
    /// The password is correct; a code of the second factor is required.
    Challenge(Challenge),
    /// The login failed; the client gets the same response for every reason.
    Refuse(LoginDenial),
    /// The device cookie is older than the sessions of the account, and too many logins from
    /// unknown browsers failed. The password was not verified.
    Limited(Limited),
}

/// The result of a successful login.
#[derive(Debug)]
pub struct LoginAdmission {
    /// The tokens for the client.
    pub grant: TokenGrant,
    /// The generation of the account, for the device cookie of this browser.
    pub generation: u64,
    /// The second count of a browser with an outdated device cookie, for the refund.
    pub recounted: Option<Reservation>,
    /// The reason why an outdated hash was not replaced, for the log; the next login retries.
    pub not_rehashed: Option<UseCaseError>,
}

/// The result of a correct password on an account with a second factor.
#[derive(Debug)]
pub struct Challenge {
    /// The challenge to present with the code, within
    /// [`CHALLENGE_LIFETIME`](factor::CHALLENGE_LIFETIME).
    pub challenge: Secret<String>,
    /// As in [`LoginAdmission`].
    pub recounted: Option<Reservation>,
    /// As in [`LoginAdmission`].
    pub not_rehashed: Option<UseCaseError>,
}

/// Logs the client in or denies it with a reason. Writes an audit entry in both cases.
///
/// # Errors
///
/// [`UseCaseError`]; the login failed then.
pub async fn login(
    request: &LoginRequest,
    hasher: &impl PasswordHasher,
    signer: &impl Signer,
    ctx: ServiceContext<
        '_,
        impl AccountStore + FactorStore + SessionStore + LimitStore + AuditStore,
        impl SecureRandom,
    >,
) -> Result<LoginOutcome, UseCaseError> {
    let store = ctx.store;
    let account = store.account(&request.email).await?;
    let recounted = match recount(request, account.as_ref(), ctx).await? {
        None => None,
        Some(LimitOutcome::Allowed(reservation)) => Some(reservation),
        Some(LimitOutcome::Limited(limited)) => return Ok(LoginOutcome::Limited(limited)),
    };
    // SECURITY: an unknown address costs as much as a wrong password: the same hashes, one row.
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
    // Checked only now: without the password, a client must not learn whether a factor exists.
    if let Some(factor) = store.factors(&account).await?.active() {
        let challenge = factor::challenge(&account, factor, &request.device, ctx)?;
        let asked = ctx.event(AuditKind::FactorAsked, Some(&account.user_id))?;
        store.record(&asked).await?;
        return Ok(LoginOutcome::Challenge(Challenge {
            challenge,
            recounted,
            not_rehashed: rehash(request, &account, verdict, hasher, ctx).await.err(),
        }));
    }
    // SECURITY: such a password was accepted because a code is asked for, too. Without a factor it
    // is no longer enough; the owner resets it by mail.
    if account.short_password {
        let denial = LoginDenial::ShortPassword;
        let kind = AuditKind::LoginRefused(denial);
        store
            .record(&ctx.event(kind, Some(&account.user_id))?)
            .await?;
        return Ok(LoginOutcome::Refuse(denial));
    }
    let (device, terms) = (&request.device, &request.terms);
    let opened = open(&account, device, Methods::Password, terms, signer, ctx);
    let Some(grant) = opened.await? else {
        // The account was disabled, or all its sessions were revoked, during the password check.
        let denial = LoginDenial::Disabled;
        let kind = AuditKind::LoginRefused(denial);
        store
            .record(&ctx.event(kind, Some(&account.user_id))?)
            .await?;
        return Ok(LoginOutcome::Refuse(denial));
    };
    // The session is open: an error here does not fail the login.
    Ok(LoginOutcome::Admit(LoginAdmission {
        grant,
        generation: account.generation,
        recounted,
        not_rehashed: rehash(request, &account, verdict, hasher, ctx).await.err(),
    }))
}

/// Counts the attempt once more if the device cookie is not of the account's generation: all
/// sessions have ended since, so the browser is unknown.
// SECURITY: only a browser that once logged in to this address, or proved it, has such a cookie, so
// the second count reveals nothing to another client.
async fn recount(
    request: &LoginRequest,
    account: Option<&Account>,
    ctx: ServiceContext<'_, impl LimitStore + AuditStore, impl SecureRandom>,
) -> Result<Option<LimitOutcome>, UseCaseError> {
    let current = account.map(|account| account.generation);
    if request.known_generation.is_none() || request.known_generation == current {
        return Ok(None);
    }
    Ok(Some(limit::acquire_unknown(&request.email, ctx).await?))
}

/// The account, or the reason for the denial and the account that it concerns.
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

/// Replaces an outdated hash. After a concurrent change of the account, the next login retries.
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
