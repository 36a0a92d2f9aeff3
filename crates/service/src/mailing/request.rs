//! Asking for a mail: the same single transaction for every address there is.

use portcullis_core::audit::AuditKind;
use portcullis_core::email::EmailAddress;
use portcullis_core::mail::MailKind;

use super::mail;
use crate::error::ServiceError;
use crate::means::Means;
use crate::ports::Chance;
use crate::store::OutboxStore;

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
