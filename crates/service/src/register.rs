//! Registration: an address and a password become an account.

use portcullis_core::audit::{AuditKind, RegistrationDenial};
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::mail::MailKind;
use portcullis_core::password::{Password, PasswordContext, Unfit};

use crate::error::ServiceError;
use crate::mailing;
use crate::means::Means;
use crate::ports::{Chance, Hasher};
use crate::screen::{self, Screen};
use crate::store::{Account, AccountStatus, AccountStore, Written};

/// What the caller sent, already parsed.
#[derive(Clone, Debug)]
pub struct RegisterRequest {
    /// The address the account is to have.
    pub email: EmailAddress,
    /// Its password.
    pub password: Password,
}

/// How a registration ends.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum RegisterOutcome {
    /// The caller is told this id, whether an account was made or the address had one already.
    Accepted(Id),
    /// The password is not one an account may have.
    BadPassword(Unfit),
}

/// Makes an account, or notes that somebody tried to make a second one.
///
/// Either way: one read, one hash, one transaction of as many rows. What differs is what the mail
/// says, and that goes to the owner of the address alone.
///
/// # Errors
///
/// [`ServiceError`]; no account was made then, or a repetition finds it made.
pub async fn register(
    request: &RegisterRequest,
    hasher: &impl Hasher,
    screen: &impl Screen,
    means: Means<'_, impl AccountStore, impl Chance>,
) -> Result<RegisterOutcome, ServiceError> {
    // Before the store is asked, so that its health is not guessed from this.
    let rules = &means.settings.passwords;
    let context = PasswordContext {
        email: &request.email,
        services: &rules.services,
        second_factor: false,
    };
    if let Some(unfit) = screen::unfit(&request.password, &context, rules, screen).await? {
        return Ok(RegisterOutcome::BadPassword(unfit));
    }
    let owner = means.store.account(&request.email).await?;
    // SECURITY: hashed before anything is written, so that a taken address costs a hash as well.
    let password = hasher.hash(&request.password).await?;
    let account = Account {
        user_id: means.chance.id()?,
        email: request.email.clone(),
        password,
        status: AccountStatus::Active,
        created_at: means.call.now,
        verified_at: None,
        generation: 0,
        version: 1,
    };
    let made = match owner {
        None => make(&account, means).await?,
        Some(_) => Written::Conflict,
    };
    if made == Written::Conflict {
        make_in_vain(&account, means).await?;
    }
    Ok(RegisterOutcome::Accepted(account.user_id))
}

async fn make(
    account: &Account,
    means: Means<'_, impl AccountStore, impl Chance>,
) -> Result<Written, ServiceError> {
    let user_id = Some(&account.user_id);
    let mail = mailing::mail(MailKind::Verify, &account.email, user_id, means)?;
    let event = means.event(AuditKind::Registered, user_id)?;
    Ok(means.store.register(account, &mail, &event).await?)
}

async fn make_in_vain(
    account: &Account,
    means: Means<'_, impl AccountStore, impl Chance>,
) -> Result<(), ServiceError> {
    let refused = AuditKind::RegistrationRefused(RegistrationDenial::AddressTaken);
    let mail = mailing::mail(MailKind::Taken, &account.email, None, means)?;
    let event = means.event(refused, None)?;
    Ok(means.store.register_in_vain(account, &mail, &event).await?)
}
