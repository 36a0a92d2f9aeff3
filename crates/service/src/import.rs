//! Imports an account with its hash from another system. No mail is sent, and the password is
//! unknown: the first login verifies the hash and replaces it.

use portcullis_core::audit::AuditKind;
use portcullis_core::email::{EmailAddress, EmailError};
use portcullis_core::id::Id;
use portcullis_core::password::PasswordHash;
use portcullis_core::time::UnixTime;

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{PasswordHasher, SecureRandom};
use crate::store::{Account, AccountStatus, AccountStore, ImportWrite};

/// An account of the other system.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// Its address.
    pub email: EmailAddress,
    /// Its hash: bcrypt, scrypt, PBKDF2 or Argon2.
    pub password: PasswordHash,
    /// The time when the other system verified its address, if it did.
    pub verified_at: Option<UnixTime>,
    /// Its user id, if the other system's id is kept; otherwise a random id is generated.
    pub user_id: Option<Id>,
}

/// The outcome of an import.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum ImportOutcome {
    /// The account was created under this id.
    Imported(Id),
    /// The address already has an account, under the requested user id if there is one; nothing was
    /// changed.
    AddressTaken,
    /// The address already has an account under another user id than the requested one; nothing was
    /// changed.
    OtherUserId,
    /// The requested user id belongs to an account of another address; nothing was changed.
    UserIdTaken,
    /// No mail can be sent to the address.
    BadEmail(EmailError),
    /// The address would have been verified in the future: the time is no number of seconds.
    BadVerifiedAt,
    /// No host can verify the hash: its kind is unknown or its cost too high.
    UnusableHash,
}

/// Creates an account with a hash of another system.
///
/// # Errors
///
/// [`UseCaseError`]; either no account was created, or a retry finds the address registered.
pub async fn import(
    request: &ImportRequest,
    hasher: &impl PasswordHasher,
    ctx: ServiceContext<'_, impl AccountStore, impl SecureRandom>,
) -> Result<ImportOutcome, UseCaseError> {
    let smtputf8 = ctx.settings.mailing.smtputf8;
    if let Err(error) = request.email.check_deliverable(smtputf8) {
        return Ok(ImportOutcome::BadEmail(error));
    }
    // A time in milliseconds is far in the future.
    if request.verified_at.is_some_and(|at| ctx.call.now < at) {
        return Ok(ImportOutcome::BadVerifiedAt);
    }
    if !hasher.can_check(&request.password) {
        return Ok(ImportOutcome::UnusableHash);
    }
    let account = Account {
        user_id: match &request.user_id {
            Some(user_id) => user_id.clone(),
            None => ctx.random.id()?,
        },
        email: request.email.clone(),
        password: request.password.clone(),
        short_password: false,
        status: AccountStatus::Active,
        created_at: ctx.call.now,
        verified_at: request.verified_at,
        generation: 0,
        token_generation: 0,
        claims: ctx.settings.new_account_claims.clone(),
        version: 1,
    };
    let event = ctx.event(AuditKind::Imported, Some(&account.user_id))?;
    Ok(match ctx.store.import(&account, &event).await? {
        ImportWrite::Applied => ImportOutcome::Imported(account.user_id),
        // Tokens and rows of other systems refer to the requested id, so another account is not
        // the same account.
        ImportWrite::AddressTaken(existing) => match &request.user_id {
            Some(requested) if *requested != existing => ImportOutcome::OtherUserId,
            Some(_) | None => ImportOutcome::AddressTaken,
        },
        ImportWrite::UserIdTaken => ImportOutcome::UserIdTaken,
    })
}
