//! Login: an address and a password become a session and an access token.

use portcullis_core::audit::{AuditEvent, AuditKind, LoginDenial};
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::password::Password;
use portcullis_core::session::{Device, SESSION_LIFETIME, Session};

use crate::error::ServiceError;
use crate::issue::{self, AccessToken};
use crate::means::Means;
use crate::ports::{Chance, HashVerdict, Hasher, Signer};
use crate::store::{
    Account, AccountChange, AccountStatus, AccountStore, AuditStore, SessionStore, Written,
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
    Admit(Grant),
    /// The caller is not let in; all reasons are one answer to them.
    Refuse(LoginDenial),
}

/// What a caller who is let in receives.
#[derive(Debug)]
pub struct Grant {
    /// The access token.
    pub access: AccessToken,
    /// Why a hash made with lesser parameters was not renewed, for the log: the next login tries
    /// again.
    pub not_rehashed: Option<ServiceError>,
}

/// Signs the caller in, or says why not, and leaves a line in the audit trail either way.
///
/// # Errors
///
/// [`ServiceError`]; nobody is signed in then.
pub async fn login(
    request: &LoginRequest,
    hasher: &impl Hasher,
    signer: &impl Signer,
    means: Means<'_, impl AccountStore + SessionStore + AuditStore, impl Chance>,
) -> Result<LoginOutcome, ServiceError> {
    let (store, call) = (means.store, means.call);
    let account = store.account(&request.email).await?;
    // SECURITY: an unknown address costs what a wrong password costs: one hash, one audit row.
    let stored = account.as_ref().map(|account| &account.password);
    let verdict = hasher.verify(&request.password, stored).await?;
    let require_verified = means.settings.mailing.require_verified;
    let account = match admit(account, verdict, require_verified) {
        Ok(account) => account,
        Err((denial, user_id)) => {
            let kind = AuditKind::LoginRefused(denial);
            store.record(&means.event(kind, user_id.as_ref())?).await?;
            return Ok(LoginOutcome::Refuse(denial));
        }
    };
    let session = Session {
        id: means.chance.id()?,
        user_id: account.user_id.clone(),
        email: request.email.clone(),
        opened_at: call.now,
        ends_at: call.now.after(SESSION_LIFETIME),
        generation: account.generation,
        device: request.device.clone(),
    };
    // Signed before the session is opened: a session nobody holds a token of would be an orphan.
    let mut grant = Grant {
        access: issue::access_token(&session, signer, means)?,
        not_rehashed: None,
    };
    let event = means.session_event(AuditKind::LoggedIn, &account.user_id, &session.id)?;
    if store.open_session(&session, &event).await? == Written::Conflict {
        // Disabled, or all its sessions ended, while the password was being checked.
        let denial = LoginDenial::Disabled;
        store
            .record(&AuditEvent {
                kind: AuditKind::LoginRefused(denial),
                session_id: None,
                ..event
            })
            .await?;
        return Ok(LoginOutcome::Refuse(denial));
    }
    if verdict == HashVerdict::MatchesOutdated {
        // The session is open: whatever comes of this, the caller is signed in.
        let renewed = rehash(request, &account, hasher, means).await;
        grant.not_rehashed = renewed.err();
    }
    Ok(LoginOutcome::Admit(grant))
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

/// Renews a hash made with lesser parameters; if the account changed meanwhile, the next login
/// tries again.
async fn rehash(
    request: &LoginRequest,
    account: &Account,
    hasher: &impl Hasher,
    means: Means<'_, impl AccountStore, impl Chance>,
) -> Result<(), ServiceError> {
    let hash = hasher.hash(&request.password).await?;
    let event = means.event(AuditKind::PasswordRehashed, Some(&account.user_id))?;
    let change = AccountChange {
        password: Some(&hash),
        ..AccountChange::default()
    };
    match means.store.change_account(account, &change, &event).await? {
        Written::Done | Written::Conflict => Ok(()),
    }
}
