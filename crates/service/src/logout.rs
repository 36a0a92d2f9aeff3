//! Logout: ends the session and revokes its remaining tokens everywhere.

use portcullis_core::audit::AuditKind;
use portcullis_core::csrf::TokenSource;
use portcullis_core::id::Id;
use portcullis_core::refresh::RefreshToken;
use portcullis_core::secret::Secret;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;

use crate::announce;
use crate::context::ServiceContext;
use crate::end_session::{self, Ending, end, end_family};
use crate::error::UseCaseError;
use crate::ports::{Clock, SecureRandom};
use crate::refresh::live_account;
use crate::store::{RevocationStore, SessionStore};

/// The outcome of a logout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum LogoutOutcome {
    /// The session has ended; every edge knows within its staleness bound.
    Done,
    /// The token belongs to no session of this service.
    NoSession,
}

/// Ends the session that `cookie` holds the refresh token of, after a login over it ([ASVS 5.0
/// 7.2.4]). A cookie without an open session changes nothing.
///
/// # Errors
///
/// [`UseCaseError`]; the session may still be active then.
///
/// [ASVS 5.0 7.2.4]: https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x16-V7-Session-Management.md
pub async fn end_replaced(
    cookie: &Secret<String>,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl SessionStore + RevocationStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    let Ok(token) = RefreshToken::parse(cookie.expose(), ctx.root_keys) else {
        return Ok(());
    };
    let family = ctx.store.family(token.session_id()).await?;
    let Some(family) = family.filter(|family| live_account(family).is_some()) else {
        return Ok(());
    };
    let ending = Ending {
        user_id: &family.session.user_id,
        session_id: &family.session.id,
        token: None,
        kind: AuditKind::LoggedOut,
        notice: None,
    };
    end(&ending, clock, ctx).await
}

/// Ends the session of a refresh token, current or used, that came from `source`, unless it is the
/// session `ended`. Any other text and a request that another site may have caused change nothing.
/// Returns whether the token was one of a session.
///
/// # Errors
///
/// [`UseCaseError`]; the session may still be active then.
pub async fn logout_by_refresh_token(
    token: &Secret<String>,
    source: &TokenSource,
    ended: Option<&str>,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl SessionStore + RevocationStore, impl SecureRandom>,
) -> Result<bool, UseCaseError> {
    let Ok(token) = RefreshToken::parse(token.expose(), ctx.root_keys) else {
        return Ok(false);
    };
    let session_id = token.session_id();
    if ended == Some(session_id.as_str()) || !source.may_log_out(session_id, ctx.root_keys) {
        return Ok(false);
    }
    end_family(&token, AuditKind::LoggedOut, clock, ctx).await?;
    Ok(true)
}

/// Ends the session of `caller`, whose access token has expired, if the session is still open.
///
/// # Errors
///
/// [`UseCaseError`]; the session may still be active then.
pub async fn logout_expired(
    caller: &Verified<Claims>,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl SessionStore + RevocationStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    let claims = caller.get();
    let session = claims.session_id.as_deref().map(Id::parse);
    let (Some(Ok(session_id)), Ok(user_id)) = (session, Id::parse(&claims.subject)) else {
        return Ok(());
    };
    let Some(family) = ctx.store.family(&session_id).await? else {
        // The response to an earlier logout may have been lost.
        end_session::announce_again(&session_id, clock, ctx).await?;
        return Ok(());
    };
    if family.session.user_id != user_id {
        return Ok(());
    }
    let ending = Ending {
        user_id: &user_id,
        session_id: &session_id,
        token: None,
        kind: AuditKind::LoggedOut,
        notice: None,
    };
    end(&ending, clock, ctx).await
}

/// Ends the session of `caller`, whose access token is revoked. If the session has ended too, the
/// request repeats an earlier one: its revocation is announced again, unless that is recent.
///
/// # Errors
///
/// [`UseCaseError`]; the session may still be active then, and the caller may retry.
pub async fn logout_revoked(
    caller: &Verified<Claims>,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl SessionStore + RevocationStore, impl SecureRandom>,
) -> Result<LogoutOutcome, UseCaseError> {
    let session = caller.get().session_id.as_deref().map(Id::parse);
    let Some(Ok(session_id)) = session else {
        return Ok(LogoutOutcome::NoSession);
    };
    if ctx.store.family(&session_id).await?.is_none()
        && end_session::announce_again(&session_id, clock, ctx).await?
    {
        return Ok(LogoutOutcome::Done);
    }
    logout(caller, clock, ctx).await
}

/// Ends the session of `caller`: deletes its rows and revokes its token and session in one
/// transaction. Returns after the feed has carried that to the edges.
///
/// # Errors
///
/// [`UseCaseError`]; the session may still be active then, and the caller may retry.
pub async fn logout(
    caller: &Verified<Claims>,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl SessionStore + RevocationStore, impl SecureRandom>,
) -> Result<LogoutOutcome, UseCaseError> {
    let claims = caller.get();
    let session = claims.session_id.as_deref().map(Id::parse);
    let (Some(Ok(session_id)), Ok(user_id)) = (session, Id::parse(&claims.subject)) else {
        return Ok(LogoutOutcome::NoSession);
    };
    let ending = Ending {
        user_id: &user_id,
        session_id: &session_id,
        token: Some(announce::token(&claims.token_id, claims.expires_at)),
        kind: AuditKind::LoggedOut,
        notice: None,
    };
    end(&ending, clock, ctx).await?;
    Ok(LogoutOutcome::Done)
}
