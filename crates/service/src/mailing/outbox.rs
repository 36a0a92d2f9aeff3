//! The rows of the outbox.

use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::mail::MailKind;

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::SecureRandom;
use crate::store::{Account, OutboxMail};

/// A notice of `kind` to the owner of `account` about a change that is made now. It belongs into the
/// transaction of the change. Delivery drops it if the address is not verified then.
pub(crate) fn notice<S>(
    kind: MailKind,
    account: &Account,
    ctx: ServiceContext<'_, S, impl SecureRandom>,
) -> Result<OutboxMail, UseCaseError> {
    mail(kind, &account.email, Some(&account.user_id), ctx)
}

/// A mail of `kind` about `email`, requested now.
pub(crate) fn mail<S>(
    kind: MailKind,
    email: &EmailAddress,
    user_id: Option<&Id>,
    ctx: ServiceContext<'_, S, impl SecureRandom>,
) -> Result<OutboxMail, UseCaseError> {
    Ok(OutboxMail {
        id: ctx.random.id()?,
        kind,
        email: email.clone(),
        user_id: user_id.cloned(),
        asked_at: ctx.call.now,
    })
}
