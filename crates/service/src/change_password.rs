//! Changing a password: the old one again, a good new one, and every other session ends.

use portcullis_core::audit::{AuditKind, PasswordChangeDenial};
use portcullis_core::id::Id;
use portcullis_core::password::Password;
use portcullis_core::password::advice::PasswordRejection;
use portcullis_core::password::judge::PasswordContext;
use portcullis_core::session::Methods;
use portcullis_core::time::UnixTime;

use crate::announce;
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::issue_token::{self, AccessToken, Bearer};
use crate::ports::{Clock, PasswordHasher, SecureRandom, Signer};
use crate::reauthenticate::reauthenticate;
use crate::screen::{self, PasswordScreen};
use crate::store::{
    Account, AccountChange, AccountStore, AuditStore, FactorStore, RetainedSession,
    RevocationStore, SessionsEnd, WriteOutcome,
};

/// What the caller sent, already parsed.
#[derive(Debug)]
pub struct ChangePasswordRequest {
    /// Who asks, by a good token.
    pub user_id: Id,
    /// The session that the token stems from: it stays.
    pub session: RetainedSession,
    /// What its bearer showed when it was opened, as the token says.
    pub methods: Methods,
    /// The current password.
    pub current: Password,
    /// The new one.
    pub new: Password,
}

/// How a change ends.
#[derive(Debug)]
#[must_use]
pub enum ChangePasswordOutcome {
    /// It is done, and every other session is over. The session that stays has this access token
    /// now; its refresh token is the one it had.
    Changed(AccessToken),
    /// The current password is not right.
    WrongPassword,
    /// The new one is not one that the account may have.
    PasswordRejected(PasswordRejection),
    /// The account changed meanwhile, or the session is over: nothing was changed.
    Conflict,
}

/// What the change is made with besides [`ServiceContext`].
#[derive(Debug)]
pub struct Tools<'a, H, N, G, K> {
    /// What hashes.
    pub hasher: &'a H,
    /// What screens.
    pub screen: &'a N,
    /// What signs.
    pub signer: &'a G,
    /// What tells the time again.
    pub clock: &'a K,
}

/// Changes the password of the caller's account.
///
/// # Errors
///
/// [`UseCaseError`]; if it says that the feed was late, the password is changed, and not every edge
/// may know that the other sessions are over.
pub async fn change_password(
    request: &ChangePasswordRequest,
    tools: &Tools<'_, impl PasswordHasher, impl PasswordScreen, impl Signer, impl Clock>,
    ctx: ServiceContext<
        '_,
        impl AccountStore + FactorStore + RevocationStore + AuditStore,
        impl SecureRandom,
    >,
) -> Result<ChangePasswordOutcome, UseCaseError> {
    use PasswordChangeDenial as Denial;
    let known = reauthenticate(&request.user_id, &request.current, tools.hasher, ctx);
    let Some(account) = known.await? else {
        refuse(&request.user_id, Denial::WrongPassword, ctx).await?;
        return Ok(ChangePasswordOutcome::WrongPassword);
    };
    if let Some(unfit) = screen_password(&account, &request.new, tools.screen, ctx).await? {
        refuse(&request.user_id, Denial::PasswordRejected, ctx).await?;
        return Ok(ChangePasswordOutcome::PasswordRejected(unfit));
    }
    let hash = tools.hasher.hash(&request.new).await?;
    // Signed before anything changes: a session without a token that speaks for it is of no use.
    let bearer = Bearer {
        user_id: &account.user_id,
        session_id: &request.session.id,
        opened_at: request.session.opened_at,
        methods: request.methods,
        generation: account.next_generation(),
    };
    let access = issue_token::access_token_of(&bearer, tools.signer, ctx)?;
    let stamp = tools.clock.now();
    let revocation = end_of_others(&account, stamp, ctx);
    let change = AccountChange {
        password: Some(&hash),
        sessions: Some(SessionsEnd {
            revocation: &revocation,
            stamp,
            kept: Some(&request.session),
        }),
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
    Ok(ChangePasswordOutcome::Changed(access))
}

/// Why the account may not have `password` from now on.
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

fn end_of_others<S, C>(
    account: &Account,
    now: UnixTime,
    ctx: ServiceContext<'_, S, C>,
) -> portcullis_core::revocation::Revocation {
    announce::subject(
        &ctx.settings.issuing.issuer,
        &account.user_id,
        account.next_generation(),
        now,
    )
}

async fn refuse(
    user_id: &Id,
    denial: PasswordChangeDenial,
    ctx: ServiceContext<'_, impl AuditStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    let event = ctx.event(AuditKind::PasswordChangeRefused(denial), Some(user_id))?;
    Ok(ctx.store.record(&event).await?)
}
