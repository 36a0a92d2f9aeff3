//! Registration: creates an account from an address and a password.

use portcullis_core::audit::{AuditKind, RegistrationDenial};
use portcullis_core::email::{EmailAddress, EmailError};
use portcullis_core::id::Id;
use portcullis_core::mail::MailKind;
use portcullis_core::password::Password;
use portcullis_core::password::advice::PasswordRejection;
use portcullis_core::password::rules::PasswordContext;

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::mailing;
use crate::ports::{PasswordHasher, SecureRandom};
use crate::screen::{self, PasswordScreen};
use crate::store::{Account, AccountStatus, AccountStore, WriteOutcome};

/// The parsed request.
#[derive(Clone, Debug)]
pub struct RegisterRequest {
    /// The address of the new account.
    pub email: EmailAddress,
    /// Its password.
    pub password: Password,
}

/// The outcome of a registration.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum RegisterOutcome {
    /// The client gets this id, whether an account was created or the address was already
    /// registered.
    Accepted(Id),
    /// No mail can be sent to the address.
    BadEmail(EmailError),
    /// The password was rejected.
    BadPassword(PasswordRejection),
}

/// Creates an account, or records the attempt to create a second one.
///
/// Both cases cost one read, one hash and one transaction of the same number of rows. Only the text
/// of the mail differs, and only the owner of the address gets it.
///
/// # Errors
///
/// [`UseCaseError`]; either no account was created, or a retry finds it created.
pub async fn register(
    request: &RegisterRequest,
    hasher: &impl PasswordHasher,
    screen: &impl PasswordScreen,
    ctx: ServiceContext<'_, impl AccountStore, impl SecureRandom>,
) -> Result<RegisterOutcome, UseCaseError> {
    // Runs before any call to the store, so the response does not reveal the health of the store.
    let smtputf8 = ctx.settings.mailing.smtputf8;
    if let Err(error) = request.email.check_deliverable(smtputf8) {
        return Ok(RegisterOutcome::BadEmail(error));
    }
    let rules = &ctx.settings.passwords;
    let context = PasswordContext {
        email: &request.email,
        services: &rules.services,
        second_factor: false,
    };
    if let Some(rejection) =
        screen::screen_password(&request.password, &context, rules, screen).await?
    {
        return Ok(RegisterOutcome::BadPassword(rejection));
    }
    let owner = ctx.store.account(&request.email).await?;
    // SECURITY: hashed before any write, so a registered address costs a hash as well (timing).
    let password = hasher.hash(&request.password).await?;
    let account = Account {
        user_id: ctx.random.id()?,
        email: request.email.clone(),
        password,
        short_password: false,
        status: AccountStatus::Active,
        created_at: ctx.call.now,
        verified_at: None,
        generation: 0,
        token_generation: 0,
        claims: ctx.settings.new_account_claims.clone(),
        version: 1,
    };
    let made = match owner {
        None => make(&account, ctx).await?,
        Some(_) => WriteOutcome::Conflict,
    };
    if made == WriteOutcome::Conflict {
        make_in_vain(&account, ctx).await?;
    }
    Ok(RegisterOutcome::Accepted(account.user_id))
}

async fn make(
    account: &Account,
    ctx: ServiceContext<'_, impl AccountStore, impl SecureRandom>,
) -> Result<WriteOutcome, UseCaseError> {
    let user_id = Some(&account.user_id);
    let mail = mailing::mail(MailKind::Verify, &account.email, user_id, ctx)?;
    let event = ctx.event(AuditKind::Registered, user_id)?;
    Ok(ctx.store.register(account, &mail, &event).await?)
}

async fn make_in_vain(
    account: &Account,
    ctx: ServiceContext<'_, impl AccountStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    let refused = AuditKind::RegistrationRefused(RegistrationDenial::AddressTaken);
    let mail = mailing::mail(MailKind::AlreadyRegistered, &account.email, None, ctx)?;
    let event = ctx.event(refused, None)?;
    Ok(ctx.store.register_decoy(account, &mail, &event).await?)
}
