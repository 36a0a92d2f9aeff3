//! Opening: somebody who has proved who they are gets a session and its first tokens.

use portcullis_core::audit::AuditKind;
use portcullis_core::session::{Device, SESSION_LIFETIME, Session};

use crate::error::ServiceError;
use crate::issue::{self, AccessToken};
use crate::means::Means;
use crate::ports::{Chance, Signer};
use crate::store::{Account, SessionStore, Written};

/// What the bearer of a session receives.
#[derive(Debug)]
pub struct Grant {
    /// The access token.
    pub access: AccessToken,
}

/// Opens a session of `account` on `device`. `None` if the account was closed, or its sessions
/// were ended, since it was read: then there is no session.
///
/// # Errors
///
/// [`ServiceError`]; the caller gets no session then.
pub(crate) async fn open(
    account: &Account,
    device: &Device,
    signer: &impl Signer,
    means: Means<'_, impl SessionStore, impl Chance>,
) -> Result<Option<Grant>, ServiceError> {
    let session = Session {
        id: means.chance.id()?,
        user_id: account.user_id.clone(),
        email: account.email.clone(),
        opened_at: means.call.now,
        ends_at: means.call.now.after(SESSION_LIFETIME),
        generation: account.generation,
        device: device.clone(),
    };
    // Signed before the session is opened: a session nobody holds a token of would be an orphan.
    let grant = Grant {
        access: issue::access_token(&session, signer, means)?,
    };
    let event = means.session_event(AuditKind::LoggedIn, &account.user_id, &session.id)?;
    match means.store.open_session(&session, &event).await? {
        Written::Done => Ok(Some(grant)),
        Written::Conflict => Ok(None),
    }
}
