//! Requests a mail: the same single transaction for every address.

use portcullis_core::audit::AuditKind;
use portcullis_core::email::EmailAddress;
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::mail::MailKind;

use super::mail;
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::limit::{self, LimitKey, LimitOutcome};
use crate::ports::SecureRandom;
use crate::store::{AuditStore, LimitStore, OutboxStore};

/// Requests a mail that verifies `email`.
///
/// # Errors
///
/// [`UseCaseError`]; no mail was requested then.
pub async fn ask_to_verify(
    email: &EmailAddress,
    ctx: ServiceContext<'_, impl OutboxStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    ask(
        MailKind::Verify,
        AuditKind::VerificationRequested,
        email,
        ctx,
    )
    .await
}

/// Requests a mail with a link to set a new password.
///
/// # Errors
///
/// [`UseCaseError`]; no mail was requested then.
pub async fn ask_to_reset(
    email: &EmailAddress,
    ctx: ServiceContext<'_, impl OutboxStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    ask(MailKind::Reset, AuditKind::ResetRequested, email, ctx).await
}

/// Requests a mail that gives the owner of `email` access from an unknown browser, unless one was
/// requested a short time ago. So guessing does not fill the owner's mailbox.
///
/// # Errors
///
/// [`UseCaseError`]; no mail was requested then.
pub async fn offer_unlock(
    email: &EmailAddress,
    ctx: ServiceContext<'_, impl OutboxStore + LimitStore + AuditStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    match limit::acquire(LimitKind::UnlockEmail, LimitKey::Email(email), ctx).await? {
        LimitOutcome::Allowed(_counted) => {
            ask(MailKind::Unlock, AuditKind::UnlockRequested, email, ctx).await
        }
        LimitOutcome::Limited(_) => Ok(()),
    }
}

// SECURITY: no account is looked up, so timing reveals nothing (no account enumeration).
async fn ask(
    kind: MailKind,
    tried: AuditKind,
    email: &EmailAddress,
    ctx: ServiceContext<'_, impl OutboxStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    let mail = mail(kind, email, None, ctx)?;
    let event = ctx.event(tried, None)?;
    Ok(ctx.store.enqueue(&mail, &event).await?)
}
