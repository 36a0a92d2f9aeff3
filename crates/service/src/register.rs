//! Registration: an address and a password become an account.

use portcullis_core::audit::{AuditEvent, AuditKind, RegistrationDenial};
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::password::{Password, PasswordContext, Unfit};

use crate::error::ServiceError;
use crate::means::Means;
use crate::ports::{Chance, Hasher};
use crate::screen::{self, Screen};
use crate::store::{Account, AccountStatus, AccountStore, AuditStore, Written};

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
/// # Errors
///
/// [`ServiceError`]; no account was made then, or a repetition finds it made.
pub async fn register(
    request: &RegisterRequest,
    hasher: &impl Hasher,
    screen: &impl Screen,
    means: Means<'_, impl AccountStore + AuditStore, impl Chance>,
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
    let event = means.event(AuditKind::Registered, Some(&account.user_id))?;
    if means.store.register(&account, &event).await? == Written::Conflict {
        let refused = AuditKind::RegistrationRefused(RegistrationDenial::AddressTaken);
        means
            .store
            .record(&AuditEvent {
                kind: refused,
                user_id: None,
                ..event
            })
            .await?;
    }
    Ok(RegisterOutcome::Accepted(account.user_id))
}
