//! Opening: somebody who has proved who they are gets a session and its first tokens.

use core::time::Duration;

use portcullis_core::audit::AuditKind;
use portcullis_core::id::Id;
use portcullis_core::refresh::RefreshToken;
use portcullis_core::secret::Secret;
use portcullis_core::session::{Device, Methods, Session};
use portcullis_core::time::UnixTime;

use crate::error::ServiceError;
use crate::issue::{self, AccessToken};
use crate::means::Means;
use crate::ports::{Chance, Signer};
use crate::store::{Account, SessionStore, Written};

/// What the bearer of a session receives, at its opening and at each refresh.
#[derive(Debug)]
pub struct Grant {
    /// The access token.
    pub access: AccessToken,
    /// The refresh token.
    pub refresh: Secret<String>,
    /// How long the session lasts unless it is used.
    pub idle: Duration,
    /// The session.
    pub session_id: Id,
}

/// Opens a session of `account` on `device`, whose bearer has shown `methods`. `None` if the account was closed, or its sessions
/// were ended, since it was read: then there is no session.
///
/// # Errors
///
/// [`ServiceError`]; the caller gets no session then.
pub(crate) async fn open(
    account: &Account,
    device: &Device,
    methods: Methods,
    signer: &impl Signer,
    means: Means<'_, impl SessionStore, impl Chance>,
) -> Result<Option<Grant>, ServiceError> {
    let (now, chance) = (means.call.now, means.chance);
    let refresh = RefreshToken::first(chance.id()?, chance.secret()?);
    let ends_at = now.after(means.settings.sessions.absolute);
    let session = Session {
        id: refresh.session_id().clone(),
        user_id: account.user_id.clone(),
        email: account.email.clone(),
        opened_at: now,
        ends_at,
        methods,
        generation: account.generation,
        device: device.clone(),
        client_address: means.call.client_address.clone(),
        head: refresh.head(now, idle_end(now, ends_at, means.settings.sessions.idle)),
    };
    // Signed before the session is opened: a session nobody holds a token of would be an orphan.
    let grant = grant(&session, &refresh, session.head.idle_ends_at, signer, means)?;
    let event = means.session_event(AuditKind::LoggedIn, &account.user_id, &session.id)?;
    match means.store.open_session(&session, &event).await? {
        Written::Done => Ok(Some(grant)),
        Written::Conflict => Ok(None),
    }
}

/// What the bearer of `session` gets with `refresh`, which is good until `idle_ends_at`.
pub(crate) fn grant<S>(
    session: &Session,
    refresh: &RefreshToken,
    idle_ends_at: UnixTime,
    signer: &impl Signer,
    means: Means<'_, S, impl Chance>,
) -> Result<Grant, ServiceError> {
    Ok(Grant {
        access: issue::access_token(session, signer, means)?,
        refresh: refresh.to_text(means.vault),
        idle: means.call.now.until(idle_ends_at),
        session_id: session.id.clone(),
    })
}

/// When a session that ends at `ends_at` is over unless it is used after `now`.
pub(crate) fn idle_end(now: UnixTime, ends_at: UnixTime, idle: Duration) -> UnixTime {
    now.after(idle).min(ends_at)
}
