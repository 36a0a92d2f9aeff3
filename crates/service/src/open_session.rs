//! Opens a session: an authenticated user gets a session and its first tokens.

use core::time::Duration;

use portcullis_core::audit::AuditKind;
use portcullis_core::id::Id;
use portcullis_core::refresh::{Delivery, RefreshToken};
use portcullis_core::secret::Secret;
use portcullis_core::session::{Device, Methods, Session};
use portcullis_core::time::UnixTime;

use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::issue_token::{self, AccessToken};
use crate::ports::{SecureRandom, Signer};
use crate::settings::Audience;
use crate::store::{Account, SessionStore, WriteOutcome};

/// The tokens that a client asks for.
#[derive(Clone, Debug)]
pub struct GrantTerms {
    /// The audience of the access token.
    pub audience: Audience,
    /// The place of the refresh token.
    pub delivery: Delivery,
}

/// The tokens that a client gets when a session is opened, and at each refresh.
#[derive(Debug)]
pub struct TokenGrant {
    /// The access token.
    pub access: AccessToken,
    /// The refresh token.
    pub refresh: Secret<String>,
    /// The place of the refresh token in the response.
    pub delivery: Delivery,
    /// The idle lifetime of the session.
    pub idle: Duration,
    /// The session.
    pub session_id: Id,
}

/// Opens a session of `account` on `device`, authenticated by `methods`. Returns `None` if the
/// account was closed or its sessions were revoked since the read; no session exists then.
///
/// # Errors
///
/// [`UseCaseError`]; the client gets no session then.
pub(crate) async fn open(
    account: &Account,
    device: &Device,
    methods: Methods,
    terms: &GrantTerms,
    signer: &impl Signer,
    ctx: ServiceContext<'_, impl SessionStore, impl SecureRandom>,
) -> Result<Option<TokenGrant>, UseCaseError> {
    let (now, random) = (ctx.call.now, ctx.random);
    let refresh = RefreshToken::first(random.id()?, terms.delivery, random.secret()?);
    let ends_at = now.plus(ctx.settings.sessions.absolute);
    let session = Session {
        id: refresh.session_id().clone(),
        user_id: account.user_id.clone(),
        email: account.email.clone(),
        opened_at: now,
        ends_at,
        methods,
        generation: account.generation,
        device: device.clone(),
        client_address: ctx.call.client_address.clone(),
        head: refresh.head(now, idle_end(now, ends_at, ctx.settings.sessions.idle)),
    };
    // Signed before the session is opened: a session without a delivered token would be an orphan.
    let idle_ends_at = session.head.idle_ends_at;
    let grant = grant(
        (&session, account),
        &refresh,
        idle_ends_at,
        &terms.audience,
        signer,
        ctx,
    )?;
    let event = ctx.session_event(AuditKind::LoggedIn, &account.user_id, &session.id)?;
    match ctx.store.open_session(&session, &event).await? {
        WriteOutcome::Applied => Ok(Some(grant)),
        WriteOutcome::Conflict => Ok(None),
    }
}

/// The tokens of `session` of `account`: an access token for `audience`, and `refresh`, which is valid until
/// `idle_ends_at`.
pub(crate) fn grant<S>(
    (session, account): (&Session, &Account),
    refresh: &RefreshToken,
    idle_ends_at: UnixTime,
    audience: &Audience,
    signer: &impl Signer,
    ctx: ServiceContext<'_, S, impl SecureRandom>,
) -> Result<TokenGrant, UseCaseError> {
    Ok(TokenGrant {
        access: issue_token::access_token((session, account), audience, signer, ctx)?,
        refresh: refresh.to_text(ctx.root_keys),
        delivery: refresh.delivery(),
        idle: ctx.call.now.until(idle_ends_at),
        session_id: session.id.clone(),
    })
}

/// The idle end of a session with the absolute end `ends_at` after its use at `now`.
pub(crate) fn idle_end(now: UnixTime, ends_at: UnixTime, idle: Duration) -> UnixTime {
    now.plus(idle).min(ends_at)
}
