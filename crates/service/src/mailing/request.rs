//! Asking for a mail: the same single transaction for every address there is.

use portcullis_core::audit::AuditKind;
use portcullis_core::email::EmailAddress;
use portcullis_core::limit::scope::Scope;
use portcullis_core::mail::MailKind;

use super::mail;
use crate::error::ServiceError;
use crate::limit::{self, Entry, Whose};
use crate::means::Means;
use crate::ports::Chance;
use crate::store::{AuditStore, LimitStore, OutboxStore};

/// Asks for a mail that verifies `email`.
///
/// # Errors
///
/// [`ServiceError`]; no mail was asked for then.
pub async fn ask_to_verify(
    email: &EmailAddress,
    means: Means<'_, impl OutboxStore, impl Chance>,
) -> Result<(), ServiceError> {
    ask(
        MailKind::Verify,
        AuditKind::VerificationRequested,
        email,
        means,
    )
    .await
}

/// Asks for a mail that lets whoever reads it set a new password.
///
/// # Errors
///
/// [`ServiceError`]; no mail was asked for then.
pub async fn ask_to_reset(
    email: &EmailAddress,
    means: Means<'_, impl OutboxStore, impl Chance>,
) -> Result<(), ServiceError> {
    ask(MailKind::Reset, AuditKind::ResetRequested, email, means).await
}

/// Asks for a mail that lets the owner of `email` in from a browser that nobody knows, unless one
/// was asked for a short while ago: whoever goes on guessing does not fill a mailbox.
///
/// # Errors
///
/// [`ServiceError`]; no mail was asked for then.
pub async fn offer_unlock(
    email: &EmailAddress,
    means: Means<'_, impl OutboxStore + LimitStore + AuditStore, impl Chance>,
) -> Result<(), ServiceError> {
    match limit::enter(Scope::UnlockEmail, Whose::Email(email), means).await? {
        Entry::Passes(_counted) => {
            ask(MailKind::Unlock, AuditKind::UnlockRequested, email, means).await
        }
        Entry::Limited(_) => Ok(()),
    }
}

// SECURITY: nothing is looked up. Whoever measures learns nothing, for there is nothing to learn.
async fn ask(
    kind: MailKind,
    tried: AuditKind,
    email: &EmailAddress,
    means: Means<'_, impl OutboxStore, impl Chance>,
) -> Result<(), ServiceError> {
    let mail = mail(kind, email, None, means)?;
    let event = means.event(tried, None)?;
    Ok(means.store.enqueue(&mail, &event).await?)
}
