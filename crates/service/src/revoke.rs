//! Revocation by the token itself ([RFC 7009]): whoever holds it may end it.
//!
//! [RFC 7009]: https://www.rfc-editor.org/rfc/rfc7009

use portcullis_core::audit::{AuditEvent, AuditKind};
use portcullis_core::gate::Gate;
use portcullis_core::id::Id;
use portcullis_core::refresh::RefreshToken;
use portcullis_core::secret::Secret;
use portcullis_core::token::claims::Claims;

use crate::announce;
use crate::authenticate::{Caller, judge};
use crate::end::{self, Ending};
use crate::error::ServiceError;
use crate::logout::LogoutOutcome;
use crate::logout_all;
use crate::means::Means;
use crate::ports::{Chance, Clock, Signatures};
use crate::store::{AccountStore, KeyStore, RevocationStore, SessionStore};

/// Calls `token` back: an access token by itself, a refresh token with its session and all that
/// was issued for it. A token that is none, or no more, is called back already: the caller is told
/// no difference ([RFC 7009 §2.2]).
///
/// # Errors
///
/// [`ServiceError`]; the token may not be taken for called back then.
///
/// [RFC 7009 §2.2]: https://www.rfc-editor.org/rfc/rfc7009#section-2.2
pub async fn revoke(
    token: &Secret<String>,
    gate: &Gate,
    signatures: &impl Signatures,
    clock: &impl Clock,
    means: Means<'_, impl AccountStore + SessionStore + RevocationStore + KeyStore, impl Chance>,
) -> Result<(), ServiceError> {
    if let Ok(token) = RefreshToken::parse(token.expose(), means.vault) {
        return end_family(&token, clock, means).await;
    }
    let now = means.call.now;
    match judge(gate, token.expose(), means.store, signatures, now).await? {
        // What is called back is announced again: the first answer may have been lost.
        Caller::Known(caller) | Caller::Revoked(caller) => {
            call_back(caller.get(), clock, means).await
        }
        // It went with all sessions of its account. One that has no account any more was announced
        // before that was removed.
        Caller::Superseded(caller) => {
            let (LogoutOutcome::Done | LogoutOutcome::NoSession) =
                logout_all::announce_again(&caller, clock, means).await?;
            Ok(())
        }
        Caller::Refused(_) => Ok(()),
    }
}

async fn end_family(
    token: &RefreshToken,
    clock: &impl Clock,
    means: Means<'_, impl SessionStore + RevocationStore, impl Chance>,
) -> Result<(), ServiceError> {
    let Some(family) = means.store.family(token.session_id()).await? else {
        // Only who had the session's token could show this one: its MAC says so.
        end::announce_again(token.session_id(), clock, means).await?;
        return Ok(());
    };
    let ending = Ending {
        user_id: &family.session.user_id,
        session_id: &family.session.id,
        token: None,
        kind: AuditKind::RefreshTokenRevoked,
    };
    end::end(&ending, clock, means).await
}

async fn call_back(
    claims: &Claims,
    clock: &impl Clock,
    means: Means<'_, impl RevocationStore, impl Chance>,
) -> Result<(), ServiceError> {
    let revocations = [announce::token(&claims.token_id, claims.expires_at)];
    let user_id = Id::parse(&claims.subject).ok();
    let session_id = claims.session_id.as_deref().map(Id::parse);
    let event = AuditEvent {
        session_id: session_id.and_then(Result::ok),
        ..means.event(AuditKind::AccessTokenRevoked, user_id.as_ref())?
    };
    let stamp = clock.now();
    means.store.revoke(&revocations, stamp, &event).await?;
    announce::see_in_time(&revocations, stamp, means.store, clock, means.call).await
}
