//! Refresh: exchanges a refresh token for an access token and a successor refresh token.

use portcullis_core::audit::{AuditEvent, AuditKind, RefreshDenial};
use portcullis_core::csrf::TokenSource;
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::refresh::{Redemption, RefreshToken};
use portcullis_core::secret::Secret;
use portcullis_core::session::Session;

use crate::context::ServiceContext;
use crate::end_session::{Ending, end};
use crate::error::UseCaseError;
use crate::limit::{LimitKey, LimitOutcome, acquire};
use crate::open_session::{TokenGrant, grant, idle_end};
use crate::ports::{Clock, SecureRandom, Signer};
use crate::settings::Audience;
use crate::store::{
    Account, AccountStatus, AuditStore, LimitStore, RevocationStore, SessionStore,
    SessionWithAccount, WriteOutcome,
};

/// The attempts after another request advanced the head first. One retry finds the successor; more
/// happen only if the reuse window is shorter than a write.
const MAX_ATTEMPTS: usize = 4;

/// The request.
#[derive(Clone, Debug)]
pub struct RefreshRequest {
    /// The refresh token as received.
    pub token: Secret<String>,
    /// The source of the refresh token.
    pub carrier: TokenSource,
    /// The audience of the new access token.
    pub audience: Audience,
}

/// The outcome of a refresh.
#[derive(Debug)]
#[must_use]
pub enum RefreshOutcome {
    /// The session continues.
    Renew(TokenGrant),
    /// The token is rejected; its session, if there is one, is unchanged.
    Refuse(RefreshDenial),
    /// Refresh token reuse: two parties hold tokens of the family. The session is revoked
    /// everywhere.
    Reused,
}

/// Refreshes the client's tokens or denies it with a reason. Writes an audit entry in both cases,
/// except for bad tokens beyond the limit of their network.
///
/// # Errors
///
/// [`UseCaseError`]: the session is as it was, or a repetition within the window finds it advanced.
/// This error is no sign of theft.
pub async fn refresh(
    request: &RefreshRequest,
    signer: &impl Signer,
    clock: &impl Clock,
    ctx: ServiceContext<
        '_,
        impl SessionStore + RevocationStore + LimitStore + AuditStore,
        impl SecureRandom,
    >,
) -> Result<RefreshOutcome, UseCaseError> {
    let token = RefreshToken::parse(request.token.expose(), ctx.root_keys).ok();
    // SECURITY: a token that was issued as a cookie is no token in a body, and the other way round.
    let token = token.filter(|token| token.delivery() == request.carrier.delivery());
    let Some(token) = token else {
        return refuse_garbage(ctx).await;
    };
    let audience = &request.audience;
    if !request
        .carrier
        .passes_csrf_check(token.session_id(), ctx.root_keys)
    {
        return refuse(RefreshDenial::CrossSite, Some(&token), None, ctx).await;
    }
    for _reading in 0..MAX_ATTEMPTS {
        let Some(family) = ctx.store.family(token.session_id()).await? else {
            return refuse(RefreshDenial::NoSession, Some(&token), None, ctx).await;
        };
        let session = &family.session;
        let Some(account) = live_account(&family) else {
            let denial = RefreshDenial::SessionsEnded;
            return refuse(denial, Some(&token), Some(session), ctx).await;
        };
        let owned = (session, account);
        let grace = ctx.settings.sessions.grace;
        let denial = match session
            .head
            .redeem(&token, grace, ctx.root_keys, ctx.call.now)
        {
            Redemption::Rotate => {
                match advance(&token, owned, audience, signer, clock, ctx).await? {
                    Some(grant) => return Ok(RefreshOutcome::Renew(grant)),
                    None => continue,
                }
            }
            Redemption::StillCurrent => {
                return repeat(&token, owned, audience, signer, ctx).await;
            }
            Redemption::Replayed(successor) => {
                return repeat(&successor, owned, audience, signer, ctx).await;
            }
            Redemption::Reused => return end_family(session, clock, ctx).await,
            Redemption::Conflict => return Err(UseCaseError::Contended),
            Redemption::Expired => RefreshDenial::Expired,
            Redemption::Unknown => RefreshDenial::Unknown,
        };
        return refuse(denial, Some(&token), Some(session), ctx).await;
    }
    Err(UseCaseError::Contended)
}

/// The account of `family`, if it permits the session to continue.
pub(crate) fn live_account(family: &SessionWithAccount) -> Option<&Account> {
    let session = &family.session;
    family.account.as_ref().filter(|account| {
        account.user_id == session.user_id
            && account.generation == session.generation
            && match account.status {
                AccountStatus::Active => true,
                AccountStatus::Disabled => false,
            }
    })
}

/// Marks `token` as used and stores its successor; `None` if a concurrent request was first.
async fn advance(
    token: &RefreshToken,
    (session, account): (&Session, &Account),
    audience: &Audience,
    signer: &impl Signer,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl SessionStore, impl SecureRandom>,
) -> Result<Option<TokenGrant>, UseCaseError> {
    let (secret, nonce) = (ctx.random.secret()?, ctx.random.nonce()?);
    // The reuse window starts with the write and not with the request, so a slow store does not
    // shorten it.
    let now = clock.now();
    let idle_ends_at = idle_end(now, session.ends_at, ctx.settings.sessions.idle);
    let (next, head) = token.advance(secret, nonce, ctx.root_keys, now, idle_ends_at);
    // Signed before the token is used: if signing failed later, the client would lose its refresh
    // token.
    let grant = grant(
        (session, account),
        &next,
        idle_ends_at,
        audience,
        signer,
        ctx,
    )?;
    let event = ctx.session_event(AuditKind::Refreshed, &session.user_id, &session.id)?;
    match ctx.store.advance(session, &head, &event).await? {
        WriteOutcome::Applied => Ok(Some(grant)),
        WriteOutcome::Conflict => Ok(None),
    }
}

/// Returns the current token again.
async fn repeat(
    good: &RefreshToken,
    (session, account): (&Session, &Account),
    audience: &Audience,
    signer: &impl Signer,
    ctx: ServiceContext<'_, impl AuditStore, impl SecureRandom>,
) -> Result<RefreshOutcome, UseCaseError> {
    let idle_ends_at = session.head.idle_ends_at;
    let grant = grant(
        (session, account),
        good,
        idle_ends_at,
        audience,
        signer,
        ctx,
    )?;
    let event = ctx.session_event(AuditKind::RefreshRepeated, &session.user_id, &session.id)?;
    ctx.store.record(&event).await?;
    Ok(RefreshOutcome::Renew(grant))
}

/// Revokes the session of a family after refresh token reuse.
async fn end_family(
    session: &Session,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl SessionStore + RevocationStore, impl SecureRandom>,
) -> Result<RefreshOutcome, UseCaseError> {
    let ending = Ending {
        user_id: &session.user_id,
        session_id: &session.id,
        token: None,
        kind: AuditKind::RefreshReused,
        notice: None,
    };
    end(&ending, clock, ctx).await?;
    Ok(RefreshOutcome::Reused)
}

/// Refuses a token without a valid MAC, or of the other delivery.
// SECURITY: such a token costs its sender nothing. Beyond the quota of the network it writes no
// audit entry, and the outcome stays the same.
async fn refuse_garbage(
    ctx: ServiceContext<'_, impl LimitStore + AuditStore, impl SecureRandom>,
) -> Result<RefreshOutcome, UseCaseError> {
    match acquire(LimitKind::RefreshRefused, LimitKey::Network, ctx).await? {
        LimitOutcome::Allowed(_counted) => refuse(RefreshDenial::NotOurs, None, None, ctx).await,
        LimitOutcome::Limited(_) => Ok(RefreshOutcome::Refuse(RefreshDenial::NotOurs)),
    }
}

async fn refuse(
    denial: RefreshDenial,
    token: Option<&RefreshToken>,
    session: Option<&Session>,
    ctx: ServiceContext<'_, impl AuditStore, impl SecureRandom>,
) -> Result<RefreshOutcome, UseCaseError> {
    let user_id = session.map(|session| &session.user_id);
    let event = ctx.event(AuditKind::RefreshRefused(denial), user_id)?;
    let event = AuditEvent {
        session_id: token.map(|token| token.session_id().clone()),
        ..event
    };
    ctx.store.record(&event).await?;
    Ok(RefreshOutcome::Refuse(denial))
}
