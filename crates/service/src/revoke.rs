//! Token revocation ([RFC 7009]): the bearer of a token may revoke it.
//!
//! [RFC 7009]: https://www.rfc-editor.org/rfc/rfc7009

use portcullis_core::audit::{AuditEvent, AuditKind};
use portcullis_core::gate::Gate;
use portcullis_core::id::Id;
use portcullis_core::refresh::RefreshToken;
use portcullis_core::secret::Secret;
use portcullis_core::token::claims::Claims;

use crate::announce;
use crate::authenticate::{Authentication, authenticate_token};
use crate::context::ServiceContext;
use crate::end_session::end_family;
use crate::error::UseCaseError;
use crate::logout::LogoutOutcome;
use crate::logout_all;
use crate::ports::{Clock, SecureRandom, SignatureVerifier};
use crate::store::{AccountStore, KeyStore, RevocationStore, SessionStore};

/// Revokes `token`: an access token alone, a refresh token with its session and every token issued
/// for it. An invalid or expired token counts as revoked: the client gets the same response ([RFC
/// 7009 §2.2]).
///
/// # Errors
///
/// [`UseCaseError`]; the token may still be active then.
///
/// [RFC 7009 §2.2]: https://www.rfc-editor.org/rfc/rfc7009#section-2.2
pub async fn revoke(
    token: &Secret<String>,
    gate: &Gate,
    signatures: &impl SignatureVerifier,
    clock: &impl Clock,
    ctx: ServiceContext<
        '_,
        impl AccountStore + SessionStore + RevocationStore + KeyStore,
        impl SecureRandom,
    >,
) -> Result<(), UseCaseError> {
    if let Ok(token) = RefreshToken::parse(token.expose(), ctx.root_keys) {
        let kind = AuditKind::RefreshTokenRevoked;
        return end_family(&token, kind, clock, ctx).await;
    }
    let now = ctx.call.now;
    match authenticate_token(gate, token.expose(), ctx.store, signatures, now).await? {
        Authentication::Known(caller) => revoke_access_token(caller.get(), clock, ctx).await,
        // The first response may have been lost. The token is announced even if only its session
        // was revoked.
        Authentication::Revoked(caller) => {
            let claims = caller.get();
            let revocation = announce::token(&claims.token_id, claims.expires_at);
            announce::again(&revocation, ctx.store, clock, ctx.call).await
        }
        // It was revoked with all sessions of its account. Without an account, the revocation was
        // announced before the account was deleted.
        Authentication::SubjectRevoked(caller) => {
            let (LogoutOutcome::Done | LogoutOutcome::NoSession) =
                logout_all::announce_again(&caller, clock, ctx).await?;
            Ok(())
        }
        Authentication::Refused(_) => Ok(()),
    }
}

async fn revoke_access_token(
    claims: &Claims,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl RevocationStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    let revocations = [announce::token(&claims.token_id, claims.expires_at)];
    let user_id = Id::parse(&claims.subject).ok();
    let session_id = claims.session_id.as_deref().map(Id::parse);
    let event = AuditEvent {
        session_id: session_id.and_then(Result::ok),
        ..ctx.event(AuditKind::AccessTokenRevoked, user_id.as_ref())?
    };
    let stamp = clock.now();
    ctx.store
        .put_revocation(&revocations, stamp, &event)
        .await?;
    announce::confirm_within_bound(&revocations, stamp, ctx.store, clock, ctx.call).await
}
