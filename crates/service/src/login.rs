//! Login: an address and a password become a session and an access token.

use core::time::Duration;

use portcullis_core::audit::{AuditEvent, AuditKind, LoginDenial};
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::password::Password;
use portcullis_core::secret::Secret;
use portcullis_core::session::{Device, SESSION_LIFETIME, Session};
use portcullis_core::token::draft::AccessTokenDraft;
use portcullis_core::token::scope::Scopes;

use crate::error::ServiceError;
use crate::ports::{Call, Chance, HashVerdict, Hasher, SignError, Signer};
use crate::store::{Account, AccountStatus, AccountStore, AuditStore, SessionStore, Written};

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

/// How the access tokens of this host are made out.
#[derive(Clone, Debug)]
pub struct Issuing {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// `client_id`.
    pub client_id: String,
    /// How long each is good for.
    pub lifetime: Duration,
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
    pub access_token: Secret<String>,
    /// How long it is good for.
    pub expires_in: Duration,
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
    issuing: &Issuing,
    store: &(impl AccountStore + SessionStore + AuditStore),
    hasher: &impl Hasher,
    signer: &impl Signer,
    chance: &impl Chance,
    call: &Call,
) -> Result<LoginOutcome, ServiceError> {
    let account = store.account(&request.email).await?;
    // SECURITY: an unknown address costs what a wrong password costs: one hash, one audit row.
    let stored = account.as_ref().map(|account| &account.password);
    let verdict = hasher.verify(&request.password, stored).await?;
    let account = match admit(account, verdict) {
        Ok(account) => account,
        Err((denial, user_id)) => {
            let kind = AuditKind::LoginRefused(denial);
            store
                .record(&call.event(chance.id()?, kind, user_id.as_ref()))
                .await?;
            return Ok(LoginOutcome::Refuse(denial));
        }
    };
    let session = Session {
        id: chance.id()?,
        user_id: account.user_id.clone(),
        email: request.email.clone(),
        opened_at: call.now,
        ends_at: call.now.after(SESSION_LIFETIME),
        generation: account.generation,
        device: request.device.clone(),
    };
    // Signed before the session is opened: a session nobody holds a token of would be an orphan.
    let mut grant = issue(issuing, &session, signer, chance, call)?;
    let event = call.event(chance.id()?, AuditKind::LoggedIn, Some(&account.user_id));
    let event = AuditEvent {
        session_id: Some(session.id.clone()),
        ..event
    };
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
        let renewed = rehash(request, &account, store, hasher, chance, call).await;
        grant.not_rehashed = renewed.err();
    }
    Ok(LoginOutcome::Admit(grant))
}

/// The account that is let in, or why none is and whose it would have been.
fn admit(
    account: Option<Account>,
    verdict: HashVerdict,
) -> Result<Account, (LoginDenial, Option<Id>)> {
    let account = account.ok_or((LoginDenial::UnknownAddress, None))?;
    let denial = match (verdict, account.status) {
        (HashVerdict::Differs, _) => LoginDenial::WrongPassword,
        (_, AccountStatus::Disabled) => LoginDenial::Disabled,
        (_, AccountStatus::Active) => return Ok(account),
    };
    Err((denial, Some(account.user_id)))
}

fn issue(
    issuing: &Issuing,
    session: &Session,
    signer: &impl Signer,
    chance: &impl Chance,
    call: &Call,
) -> Result<Grant, ServiceError> {
    let draft = AccessTokenDraft {
        issuer: issuing.issuer.clone(),
        subject: session.user_id.clone(),
        audience: issuing.audience.clone(),
        client_id: issuing.client_id.clone(),
        token_id: chance.id()?,
        session_id: session.id.clone(),
        generation: session.generation,
        authenticated_at: session.opened_at,
        issued_at: call.now,
        lifetime: issuing.lifetime,
        scopes: Scopes::default(),
    };
    let key = signer.key();
    let (Some(algorithm), Some(key_id)) = (key.algorithm(), key.id()) else {
        return Err(SignError.into());
    };
    let input = draft.signing_input(algorithm, key_id);
    let signature = signer.sign(input.as_bytes())?;
    Ok(Grant {
        access_token: input.with_signature(&signature),
        expires_in: issuing.lifetime,
        not_rehashed: None,
    })
}

/// Renews a hash made with lesser parameters; if the account changed meanwhile, the next login
/// tries again.
async fn rehash(
    request: &LoginRequest,
    account: &Account,
    store: &impl AccountStore,
    hasher: &impl Hasher,
    chance: &impl Chance,
    call: &Call,
) -> Result<(), ServiceError> {
    let hash = hasher.hash(&request.password).await?;
    let event = call.event(
        chance.id()?,
        AuditKind::PasswordRehashed,
        Some(&account.user_id),
    );
    match store.rehash(account, &hash, &event).await? {
        Written::Done | Written::Conflict => Ok(()),
    }
}
