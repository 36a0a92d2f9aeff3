//! Rows for the outbox.

use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::mail::MailKind;

use crate::error::ServiceError;
use crate::means::Means;
use crate::ports::Chance;
use crate::store::OutboxMail;

/// A mail of `kind` about `email`, asked for now.
pub(crate) fn mail<S>(
    kind: MailKind,
    email: &EmailAddress,
    user_id: Option<&Id>,
    means: Means<'_, S, impl Chance>,
) -> Result<OutboxMail, ServiceError> {
    Ok(OutboxMail {
        id: means.chance.id()?,
        kind,
        email: email.clone(),
        user_id: user_id.cloned(),
        asked_at: means.call.now,
    })
}
