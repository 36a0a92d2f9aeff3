//! Changes a password: verifies the current password, screens the new one and revokes every other
//! session.

use portcullis_core::audit::{AuditKind, PasswordChangeDenial};
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::mail::MailKind;
use portcullis_core::password::Password;
use portcullis_core::password::advice::PasswordRejection;
use portcullis_core::password::rules::PasswordContext;
use portcullis_core::refresh::RefreshToken;
use portcullis_core::session::Session;

use crate::announce;
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::mailing;
use crate::open_session::{self, GrantTerms, TokenGrant, idle_end};
use crate::ports::{Clock, PasswordHasher, SecureRandom, Signer};
use crate::reauthenticate::reauthenticate;
use crate::screen::{self, PasswordScreen};
use crate::store::{
    Account, AccountChange, AccountStore, AuditStore, FactorStore, KeptSession, RetainedSession,
    RevocationStore, SessionStore, SessionsEnd, TokensEnd, WriteOutcome,
};

/// The parsed request.
#[derive(Debug)]
pub struct ChangePasswordRequest {
    /// The caller, authenticated by a valid token.
    pub user_id: Id,
    /// The session of the token; it stays active.
    pub session: RetainedSession,
    /// The tokens that replace the current ones.
    pub terms: GrantTerms,
    /// The current password.
    pub current: Password,
    /// The new password.
    pub new: Password,
}

/// The outcome of a change.
#[derive(Debug)]
#[must_use]
pub enum ChangePasswordOutcome {
    /// The password is changed, and every other session is revoked. The remaining session gets new
    /// tokens, and its browser a device cookie.
    Changed(PasswordChanged),
    /// The current password is wrong.
    WrongPassword,
    /// The new password was rejected.
    PasswordRejected(PasswordRejection),
    /// The account changed concurrently, or the session has ended: nothing was changed.
    Conflict,
}

/// The result of a change.
#[derive(Debug)]
pub struct PasswordChanged {
    /// The new tokens of the remaining session. Its earlier refresh token is invalid: a thief may
    /// hold it.
    pub grant: TokenGrant,
    /// The address of the account.
    pub email: EmailAddress,
    /// The new generation of the account, for the device cookie of this browser.
    pub generation: u64,
}

/// The ports of the change in addition to [`ServiceContext`].
#[derive(Debug)]
pub struct Tools<'a, H, N, G, K> {
    /// The password hasher.
    pub hasher: &'a H,
    /// The password screen.
    pub screen: &'a N,
    /// The signer.
    pub signer: &'a G,
    /// The clock.
    pub clock: &'a K,
}

/// Changes the password of the caller's account.
///
/// # Errors
///
/// [`UseCaseError`]. If it reports a late feed, the password is changed, but some edges may still
/// accept the other sessions.
pub async fn change_password(
    request: &ChangePasswordRequest,
    tools: &Tools<'_, impl PasswordHasher, impl PasswordScreen, impl Signer, impl Clock>,
    ctx: ServiceContext<
        '_,
        impl AccountStore + FactorStore + SessionStore + RevocationStore + AuditStore,
        impl SecureRandom,
    >,
) -> Result<ChangePasswordOutcome, UseCaseError> {
    use PasswordChangeDenial as Denial;
    let known = reauthenticate(&request.user_id, &request.current, tools.hasher, ctx);
    let Some(account) = known.await? else {
        refuse(&request.user_id, Denial::WrongPassword, ctx).await?;
        return Ok(ChangePasswordOutcome::WrongPassword);
    };
    if let Some(rejection) = screen_password(&account, &request.new, tools.screen, ctx).await? {
        refuse(&request.user_id, Denial::PasswordRejected, ctx).await?;
        return Ok(ChangePasswordOutcome::PasswordRejected(rejection));
    }
    let session = ctx.store.session_of(&account, &request.session).await?;
    let Some(session) = session else {
        refuse(&request.user_id, Denial::Changed, ctx).await?;
        return Ok(ChangePasswordOutcome::Conflict);
    };
    let hash = tools.hasher.hash(&request.new).await?;
    let stamp = tools.clock.now();
    let (id, GrantTerms { audience, delivery }) = (session.id.clone(), &request.terms);
    let refresh = RefreshToken::replacing(&session.head, id, *delivery, ctx.random.secret()?);
    let idle_ends_at = idle_end(stamp, session.ends_at, ctx.settings.sessions.idle);
    let next = refresh.head(stamp, idle_ends_at);
    let renewed = Session {
        generation: account.next_generation(),
        ..session.clone()
    };
    let renewed_account = Account {
        token_generation: account.next_token_generation(),
        ..account.clone()
    };
    // Signed before any change: a session without a token for it is useless.
    let grant = open_session::grant(
        (&renewed, &renewed_account),
        &refresh,
        idle_ends_at,
        audience,
        tools.signer,
        ctx,
    )?;
    let revocation = announce::tokens_of(&account, ctx);
    let notice = mailing::notice(MailKind::PasswordChanged, &account, ctx)?;
    let change = AccountChange {
        password: Some(&hash),
        short_password: Some(request.new.needs_factor()),
        sessions: Some(SessionsEnd {
            tokens: TokensEnd {
                revocation: &revocation,
                stamp,
            },
            kept: Some(KeptSession {
                session: &request.session,
                read: &session.head,
                next: &next,
            }),
        }),
        mail: Some(&notice),
        ..AccountChange::default()
    };
    let event = ctx.session_event(
        AuditKind::PasswordChanged,
        &account.user_id,
        &request.session.id,
    )?;
    match ctx.store.change_account(&account, &change, &event).await? {
        WriteOutcome::Applied => {}
        WriteOutcome::Conflict => {
            refuse(&request.user_id, Denial::Changed, ctx).await?;
            return Ok(ChangePasswordOutcome::Conflict);
        }
    }
    let revocations = core::slice::from_ref(&revocation);
    announce::confirm_within_bound(revocations, stamp, ctx.store, tools.clock, ctx.call).await?;
    Ok(ChangePasswordOutcome::Changed(PasswordChanged {
        grant,
        generation: account.next_generation(),
        email: account.email,
    }))
}

/// The reason to reject `password` as the account's new password.
async fn screen_password<C>(
    account: &Account,
    password: &Password,
    screen: &impl PasswordScreen,
    ctx: ServiceContext<'_, impl FactorStore, C>,
) -> Result<Option<PasswordRejection>, UseCaseError> {
    let factors = ctx.store.factors(account).await?;
    let rules = &ctx.settings.passwords;
    let context = PasswordContext {
        email: &account.email,
        services: &rules.services,
        second_factor: factors.active().is_some(),
    };
    Ok(screen::screen_password(password, &context, rules, screen).await?)
}

async fn refuse(
    user_id: &Id,
    denial: PasswordChangeDenial,
    ctx: ServiceContext<'_, impl AuditStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    let event = ctx.event(AuditKind::PasswordChangeRefused(denial), Some(user_id))?;
    Ok(ctx.store.record(&event).await?)
}
