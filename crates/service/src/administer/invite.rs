//! Creates an account for a person who sets the password later.

use portcullis_core::account_claims::AccountClaims;
use portcullis_core::audit::{AdminAct, AuditEvent, AuditKind};
use portcullis_core::base64url;
use portcullis_core::email::{EmailAddress, EmailError};
use portcullis_core::id::Id;
use portcullis_core::mail::MailKind;
use portcullis_core::password::Password;
use portcullis_core::secret::Secret;

use super::claims::Permissions;
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::mailing;
use crate::ports::{PasswordHasher, SecureRandom};
use crate::store::{Account, AccountChange, AccountStatus, AccountStore, WriteOutcome};

/// The outcome of an invitation.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum InviteOutcome {
    /// The account was created under this id, and the mail is queued.
    Invited(Id),
    /// The address has an account that nobody has proved yet. Its owner is invited again; nothing
    /// else was changed.
    InvitedAgain(Id),
    /// The address has an account that was proved or is disabled; nothing was changed.
    AddressTaken,
    /// No mail can be sent to the address.
    BadEmail(EmailError),
}

/// Creates an account with `claims` for `email` and invites its owner by mail. The link in the mail
/// proves the address, and the page behind it asks for the first password. Until then the account
/// has a random password, which nobody knows.
///
/// # Errors
///
/// [`UseCaseError`]; either no account was created, or a retry finds the address registered.
pub async fn invite(
    email: &EmailAddress,
    claims: &AccountClaims,
    hasher: &impl PasswordHasher,
    ctx: ServiceContext<'_, impl AccountStore, impl SecureRandom>,
) -> Result<InviteOutcome, UseCaseError> {
    if let Err(error) = email.check_deliverable(ctx.settings.mailing.smtputf8) {
        return Ok(InviteOutcome::BadEmail(error));
    }
    if let Some(known) = ctx.store.account(email).await? {
        return invite_again(&known, ctx).await;
    }
    let random = base64url::encode(ctx.random.secret()?.expose());
    let Ok(password) = Password::parse(&Secret::new(random)) else {
        return Err(UseCaseError::Contended);
    };
    let account = Account {
        user_id: ctx.random.id()?,
        email: email.clone(),
        password: hasher.hash(&password).await?,
        short_password: false,
        status: AccountStatus::Active,
        created_at: ctx.call.now,
        verified_at: None,
        generation: 0,
        token_generation: 0,
        claims: claims.clone(),
        version: 1,
    };
    let user_id = Some(&account.user_id);
    let mail = mailing::mail(MailKind::Invite, email, user_id, ctx)?;
    let event = AuditEvent {
        detail: permissions(claims),
        ..ctx.event(AuditKind::Administered(AdminAct::Invite), user_id)?
    };
    Ok(match ctx.store.register(&account, &mail, &event).await? {
        WriteOutcome::Applied => InviteOutcome::Invited(account.user_id),
        WriteOutcome::Conflict => InviteOutcome::AddressTaken,
    })
}

/// Invites the owner of `account` again, for example after the link has expired. The link replaces the
/// earlier one.
async fn invite_again(
    account: &Account,
    ctx: ServiceContext<'_, impl AccountStore, impl SecureRandom>,
) -> Result<InviteOutcome, UseCaseError> {
    if account.verified_at.is_some() || account.status == AccountStatus::Disabled {
        return Ok(InviteOutcome::AddressTaken);
    }
    let user_id = Some(&account.user_id);
    let mail = mailing::mail(MailKind::Invite, &account.email, user_id, ctx)?;
    let change = AccountChange {
        mail: Some(&mail),
        ..AccountChange::default()
    };
    let event = ctx.event(AuditKind::Administered(AdminAct::Invite), user_id)?;
    match ctx.store.change_account(account, &change, &event).await? {
        WriteOutcome::Applied => Ok(InviteOutcome::InvitedAgain(account.user_id.clone())),
        WriteOutcome::Conflict => Err(UseCaseError::Contended),
    }
}

/// The scopes and roles of a new account for the audit trail, if it has any.
fn permissions(claims: &AccountClaims) -> Option<String> {
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let permissions = Permissions {
        scopes: names(claims.scopes.iter().collect()),
        roles: names(claims.roles.iter().collect()),
    };
    let detail = permissions.detail();
    (!detail.is_empty()).then_some(detail)
}
