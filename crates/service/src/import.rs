//! Importing: an account from another system, with the hash it had there. No mail, and no password
//! is seen: the hash is checked at the first login, and made anew.

use portcullis_core::audit::AuditKind;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::password::PasswordHash;
use portcullis_core::time::UnixTime;

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{PasswordHasher, SecureRandom};
use crate::store::{Account, AccountStatus, AccountStore, WriteOutcome};

/// An account as the other system knew it.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// Its address.
    pub email: EmailAddress,
    /// Its hash: bcrypt, scrypt, PBKDF2 or Argon2.
    pub password: PasswordHash,
    /// When its address was verified there, if it was.
    pub verified_at: Option<UnixTime>,
}

/// How an import ends.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum ImportOutcome {
    /// The account is there, under this id.
    Imported(Id),
    /// The address has an account; nothing was changed.
    AddressTaken,
    /// No host could check the hash: of an unknown kind, or too costly.
    UnusableHash,
}

/// Makes an account with a hash of another system.
///
/// # Errors
///
/// [`UseCaseError`]; no account was made then, or a repetition finds the address taken.
pub async fn import(
    request: &ImportRequest,
    hasher: &impl PasswordHasher,
    ctx: ServiceContext<'_, impl AccountStore, impl SecureRandom>,
) -> Result<ImportOutcome, UseCaseError> {
    if !hasher.can_check(&request.password) {
        return Ok(ImportOutcome::UnusableHash);
    }
    let account = Account {
        user_id: ctx.chance.id()?,
        email: request.email.clone(),
        password: request.password.clone(),
        status: AccountStatus::Active,
        created_at: ctx.call.now,
        verified_at: request.verified_at,
        generation: 0,
        version: 1,
    };
    let event = ctx.event(AuditKind::Imported, Some(&account.user_id))?;
    Ok(match ctx.store.import(&account, &event).await? {
        WriteOutcome::Applied => ImportOutcome::Imported(account.user_id),
        WriteOutcome::Conflict => ImportOutcome::AddressTaken,
    })
}
