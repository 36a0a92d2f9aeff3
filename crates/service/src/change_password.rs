//! Changing a password: the old one again, a good new one, and every other session ends.

use portcullis_core::audit::{AuditKind, PasswordChangeDenial};
use portcullis_core::id::Id;
use portcullis_core::password::{Password, PasswordContext, Unfit};
use portcullis_core::session::Methods;
use portcullis_core::time::UnixTime;

use crate::announce;
use crate::error::ServiceError;
use crate::issue::{self, AccessToken, Bearer};
use crate::means::Means;
use crate::ports::{Chance, Clock, Hasher, Signer};
use crate::reauthenticate::reauthenticate;
use crate::screen::{self, Screen};
use crate::store::{
    Account, AccountChange, AccountStore, AuditStore, FactorStore, KeptSession, RevocationStore,
    SessionsEnd, Written,
};

/// What the caller sent, already parsed.
#[derive(Debug)]
pub struct ChangePasswordRequest {
    /// Who asks, by a good token.
    pub user_id: Id,
    /// The session that the token stems from: it stays.
    pub session: KeptSession,
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
    Unfit(Unfit),
    /// The account changed meanwhile, or the session is over: nothing was changed.
    Conflict,
}

/// What the change is made with besides [`Means`].
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
/// [`ServiceError`]; if it says that the feed was late, the password is changed, and not every edge
/// may know that the other sessions are over.
pub async fn change_password(
    request: &ChangePasswordRequest,
    tools: &Tools<'_, impl Hasher, impl Screen, impl Signer, impl Clock>,
    means: Means<'_, impl AccountStore + FactorStore + RevocationStore + AuditStore, impl Chance>,
) -> Result<ChangePasswordOutcome, ServiceError> {
    use PasswordChangeDenial as Denial;
    let known = reauthenticate(&request.user_id, &request.current, tools.hasher, means);
    let Some(account) = known.await? else {
        refuse(&request.user_id, Denial::WrongPassword, means).await?;
        return Ok(ChangePasswordOutcome::WrongPassword);
    };
    if let Some(unfit) = unfit(&account, &request.new, tools.screen, means).await? {
        refuse(&request.user_id, Denial::Unfit, means).await?;
        return Ok(ChangePasswordOutcome::Unfit(unfit));
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
    let access = issue::access_token_of(&bearer, tools.signer, means)?;
    let stamp = tools.clock.now();
    let revocation = end_of_others(&account, stamp, means);
    let change = AccountChange {
        password: Some(&hash),
        sessions: Some(SessionsEnd {
            revocation: &revocation,
            stamp,
            kept: Some(&request.session),
        }),
        ..AccountChange::default()
    };
    let event = means.session_event(
        AuditKind::PasswordChanged,
        &account.user_id,
        &request.session.id,
    )?;
    match means
        .store
        .change_account(&account, &change, &event)
        .await?
    {
        Written::Done => {}
        Written::Conflict => {
            refuse(&request.user_id, Denial::Changed, means).await?;
            return Ok(ChangePasswordOutcome::Conflict);
        }
    }
    let revocations = core::slice::from_ref(&revocation);
    announce::see_in_time(revocations, stamp, means.store, tools.clock, means.call).await?;
    Ok(ChangePasswordOutcome::Changed(access))
}

/// Why the account may not have `password` from now on.
async fn unfit<C>(
    account: &Account,
    password: &Password,
    screen: &impl Screen,
    means: Means<'_, impl FactorStore, C>,
) -> Result<Option<Unfit>, ServiceError> {
    let factors = means.store.factors(account).await?;
    let rules = &means.settings.passwords;
    let context = PasswordContext {
        email: &account.email,
        services: &rules.services,
        second_factor: factors.active().is_some(),
    };
    Ok(screen::unfit(password, &context, rules, screen).await?)
}

fn end_of_others<S, C>(
    account: &Account,
    now: UnixTime,
    means: Means<'_, S, C>,
) -> portcullis_core::revocation::Revocation {
    announce::subject(
        &means.settings.issuing.issuer,
        &account.user_id,
        account.next_generation(),
        now,
    )
}

async fn refuse(
    user_id: &Id,
    denial: PasswordChangeDenial,
    means: Means<'_, impl AuditStore, impl Chance>,
) -> Result<(), ServiceError> {
    let event = means.event(AuditKind::PasswordChangeRefused(denial), Some(user_id))?;
    Ok(means.store.record(&event).await?)
}
