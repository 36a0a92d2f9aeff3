//! Delivery: sends the mails of the outbox.
//!
//! INVARIANT: if a dispatcher crashes between any two steps, another one takes the mail over when
//! its lease expires. The mail is sent at least once, always with the same link. A used link never
//! becomes valid again.

use core::time::Duration;

use portcullis_core::audit::AuditKind;
use portcullis_core::email::EmailAddress;
use portcullis_core::mail::{MailKind, MailPurpose, MailToken, PendingToken};
use portcullis_core::secret::Secret;

use super::templates;
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{Clock, MailError, Mailer, SecureRandom};
use crate::store::{
    Account, AccountStatus, AccountStore, MailTokenStore, NewMailToken, OutboxEntry, OutboxStore,
    WriteOutcome,
};

/// The duration of a lease: longer than all steps of one delivery can take.
pub const CLAIM: Duration = Duration::from_secs(60);

/// The maximum of delivery attempts per mail.
pub const MAX_ATTEMPTS: u64 = 10;

/// The wait after the first failure; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(30);

/// The longest wait.
const MAX_BACKOFF: Duration = Duration::from_secs(60 * 60);

/// The maximum of mails per run. The run ends before its request signatures expire, and the next
/// run reads the due mails again.
const BATCH_SIZE: usize = 64;

/// The result of one delivery run.
#[derive(Debug, Default)]
pub struct Delivery {
    /// The number of mails handed over.
    pub sent: usize,
    /// The number of mails without a recipient, or no longer needed.
    pub dropped: usize,
    /// The mails to be retried, each with the reason.
    pub postponed: Vec<DeliveryError>,
    /// The mails that are given up, each with the reason.
    pub given_up: Vec<DeliveryError>,
    /// Whether more mails are due that another run would take now.
    pub more: bool,
}

/// The reason why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The mail provider did not accept it.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// An internal error; the lease expires, and a dispatcher retries.
    #[error(transparent)]
    Service(#[from] UseCaseError),
    /// Every allowed attempt took the lease, and none finished.
    #[error("no attempt to send the mail was finished")]
    Unfinished,
}

/// The outcome of one leased mail.
enum Ended {
    Sent,
    Dropped,
    Postponed(DeliveryError),
    /// The provider was not called: the mail waits as if it had never been leased.
    PutBack(DeliveryError),
    GivenUp(DeliveryError),
}

/// Sends the due mails. A mail that fails blocks no other. The run ends when the mailer's circuit
/// breaker is open.
///
/// # Errors
///
/// [`UseCaseError`] if the outbox cannot be read.
pub async fn deliver_due(
    mailer: &impl Mailer,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl OutboxStore + AccountStore + MailTokenStore, impl SecureRandom>,
) -> Result<Delivery, UseCaseError> {
    let due = ctx.store.due_mail(ctx.call.now).await?;
    let mut delivery = Delivery {
        more: due.len() > BATCH_SIZE,
        ..Delivery::default()
    };
    for waiting in due.iter().take(BATCH_SIZE) {
        match deliver(waiting, mailer, clock, ctx).await {
            Ok(None) => {}
            Ok(Some(Ended::Sent)) => delivery.sent = delivery.sent.saturating_add(1),
            Ok(Some(Ended::Dropped)) => delivery.dropped = delivery.dropped.saturating_add(1),
            Ok(Some(Ended::Postponed(error))) => delivery.postponed.push(error),
            Ok(Some(Ended::PutBack(error))) => {
                delivery.postponed.push(error);
                delivery.more = false;
                break;
            }
            Ok(Some(Ended::GivenUp(error))) => delivery.given_up.push(error),
            Err(error) => delivery.postponed.push(error.into()),
        }
    }
    Ok(delivery)
}

/// Leases one mail, sends it and removes it; `None` if another dispatcher holds it.
async fn deliver(
    read: &OutboxEntry,
    mailer: &impl Mailer,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl OutboxStore + AccountStore + MailTokenStore, impl SecureRandom>,
) -> Result<Option<Ended>, UseCaseError> {
    let (store, request_id) = (ctx.store, &ctx.call.request_id);
    let claimed = OutboxEntry {
        mail: read.mail.clone(),
        attempts: read.attempts.saturating_add(1),
        due_at: clock.now().plus(CLAIM),
    };
    if store.reserve(read, &claimed, request_id).await? == WriteOutcome::Conflict {
        return Ok(None);
    }
    if read.attempts >= MAX_ATTEMPTS {
        give_up(&claimed, ctx).await?;
        return Ok(Some(Ended::GivenUp(DeliveryError::Unfinished)));
    }
    let settings = &ctx.settings.mailing;
    let Some(addressed) = address(&claimed, clock, ctx).await? else {
        store.remove(&claimed).await?;
        return Ok(Some(Ended::Dropped));
    };
    let Addressed { kind, to, link } = addressed;
    let mail = templates::write(kind, &to, link, claimed.mail.asked_at, settings);
    let is_last = claimed.attempts >= MAX_ATTEMPTS;
    let ended = match mailer.send(&mail).await {
        Ok(()) => {
            store.remove(&claimed).await?;
            Ended::Sent
        }
        // An attempt counts only if the provider responds.
        Err(error @ MailError::NotAsked(_)) => {
            let as_before = OutboxEntry {
                due_at: clock.now(),
                ..read.clone()
            };
            put_off(&claimed, &as_before, ctx).await?;
            Ended::PutBack(error.into())
        }
        Err(error @ MailError::Transient(_)) if !is_last => {
            let later = OutboxEntry {
                due_at: clock.now().plus(wait(claimed.attempts)),
                ..claimed.clone()
            };
            put_off(&claimed, &later, ctx).await?;
            Ended::Postponed(error.into())
        }
        Err(error @ (MailError::Transient(_) | MailError::Permanent(_))) => {
            give_up(&claimed, ctx).await?;
            Ended::GivenUp(error.into())
        }
    };
    Ok(Some(ended))
}

/// A mail with its recipient.
struct Addressed {
    kind: MailKind,
    to: EmailAddress,
    link: Option<Secret<String>>,
}

/// The recipient and the link of a mail; `None` if the mail is not to be sent.
async fn address(
    claimed: &OutboxEntry,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl AccountStore + MailTokenStore, impl SecureRandom>,
) -> Result<Option<Addressed>, UseCaseError> {
    if claimed.mail.kind == MailKind::AccountDeleted {
        // No account is left to look up. The row was written with the deletion, and only for a
        // verified address.
        return Ok(Some(Addressed {
            kind: claimed.mail.kind,
            to: claimed.mail.email.clone(),
            link: None,
        }));
    }
    let Some(account) = addressee(claimed, ctx).await? else {
        return Ok(None);
    };
    let kind = kind_for(&account, claimed.mail.kind);
    let link = match link(kind, &account, claimed, clock, ctx).await? {
        Link::None => None,
        Link::Some(link) => Some(link),
        Link::Contended => return Ok(None),
    };
    Ok(Some(Addressed {
        kind,
        to: account.email,
        link,
    }))
}

/// The account of the recipient, if it exists and is due to get this mail.
async fn addressee(
    claimed: &OutboxEntry,
    ctx: ServiceContext<'_, impl AccountStore, impl SecureRandom>,
) -> Result<Option<Account>, UseCaseError> {
    let account = ctx.store.account(&claimed.mail.email).await?;
    Ok(account.filter(|account| {
        let expected = claimed.mail.user_id.as_ref();
        let active = account.status == AccountStatus::Active;
        let wanted = match claimed.mail.kind {
            MailKind::Verify => active && account.verified_at.is_none(),
            MailKind::Reset | MailKind::Unlock => active,
            // The owner has accepted an earlier invitation, or proved the address otherwise.
            MailKind::Invite => active && account.verified_at.is_none(),
            MailKind::AlreadyRegistered => true,
            // A disabled account gets its notices, too.
            MailKind::PasswordChanged
            | MailKind::FactorAdded
            | MailKind::FactorRemoved
            | MailKind::RecoveryCodesRenewed
            | MailKind::AccountDisabled
            | MailKind::AccountEnabled
            | MailKind::SessionsEnded
            | MailKind::SessionEnded
            | MailKind::AccountDeleted
            | MailKind::PermissionsChanged => account.verified_at.is_some(),
        };
        wanted && expected.is_none_or(|user_id| *user_id == account.user_id)
    }))
}

/// The kind of mail that `account` gets for a mail of `kind`. The owner of an unverified account
/// who registers again may not know its password: another person may have registered the address
/// first. So this mail is a new verification link.
// SECURITY: decided here and not when the mail is requested, so the registration reads no more, and
// its rows are the same, for a verified account and for an unverified one.
fn kind_for(account: &Account, kind: MailKind) -> MailKind {
    match kind {
        MailKind::AlreadyRegistered
            if account.verified_at.is_none() && account.status == AccountStatus::Active =>
        {
            MailKind::Verify
        }
        MailKind::AlreadyRegistered
        | MailKind::Verify
        | MailKind::Reset
        | MailKind::Unlock
        | MailKind::PasswordChanged
        | MailKind::FactorAdded
        | MailKind::FactorRemoved
        | MailKind::RecoveryCodesRenewed
        | MailKind::AccountDisabled
        | MailKind::AccountEnabled
        | MailKind::SessionsEnded
        | MailKind::SessionEnded
        | MailKind::AccountDeleted
        | MailKind::PermissionsChanged
        | MailKind::Invite => kind,
    }
}

enum Link {
    /// This mail has no link.
    None,
    Some(Secret<String>),
    /// A later mail has the current link, or the link of this one was used.
    Contended,
}

/// The link of this mail, after its token is stored with the account.
async fn link(
    kind: MailKind,
    account: &Account,
    claimed: &OutboxEntry,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl MailTokenStore, impl SecureRandom>,
) -> Result<Link, UseCaseError> {
    let settings = &ctx.settings.mailing;
    let (purpose, page, lifetime) = match kind {
        MailKind::Verify => (
            MailPurpose::Verify,
            &settings.verify_page,
            settings.verify_lifetime,
        ),
        MailKind::Reset => (
            MailPurpose::Reset,
            &settings.reset_page,
            settings.reset_lifetime,
        ),
        // The page sets the first password as it sets a new one.
        MailKind::Invite => (
            MailPurpose::Invite,
            &settings.reset_page,
            settings.invite_lifetime,
        ),
        MailKind::Unlock => (
            MailPurpose::Unlock,
            &settings.unlock_page,
            settings.unlock_lifetime,
        ),
        MailKind::AlreadyRegistered
        | MailKind::PasswordChanged
        | MailKind::FactorAdded
        | MailKind::FactorRemoved
        | MailKind::RecoveryCodesRenewed
        | MailKind::AccountDisabled
        | MailKind::AccountEnabled
        | MailKind::SessionsEnded
        | MailKind::SessionEnded
        | MailKind::AccountDeleted
        | MailKind::PermissionsChanged => return Ok(Link::None),
    };
    let token = MailToken::of_mail(ctx.root_keys, &claimed.mail.id, purpose, &account.user_id);
    let new = NewMailToken {
        purpose,
        pending: PendingToken {
            digest: token.digest(),
            ends_at: clock.now().plus(lifetime),
        },
        asked_at: claimed.mail.asked_at,
    };
    let kind = AuditKind::MailTokenIssued(purpose);
    let event = ctx.event(kind, Some(&account.user_id))?;
    Ok(match ctx.store.issue_token(account, &new, &event).await? {
        // The token is in the fragment (after `#`). Browsers do not send the fragment to the
        // server, so it appears in no server log and no `Referer`, and link scanners cannot use it.
        WriteOutcome::Applied => {
            Link::Some(Secret::new(format!("{page}#{}", token.to_text().expose())))
        }
        WriteOutcome::Conflict => Link::Contended,
    })
}

async fn put_off(
    claimed: &OutboxEntry,
    later: &OutboxEntry,
    ctx: ServiceContext<'_, impl OutboxStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    let (store, request_id) = (ctx.store, &ctx.call.request_id);
    match store.reserve(claimed, later, request_id).await? {
        // If the lease expired, another dispatcher may hold it.
        WriteOutcome::Applied | WriteOutcome::Conflict => Ok(()),
    }
}

async fn give_up(
    claimed: &OutboxEntry,
    ctx: ServiceContext<'_, impl OutboxStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    let kind = AuditKind::MailGivenUp(claimed.mail.kind);
    let event = ctx.event(kind, claimed.mail.user_id.as_ref())?;
    Ok(ctx.store.give_up(claimed, &event).await?)
}

/// The wait after failed attempt number `attempts`.
fn wait(attempts: u64) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    let factor = 2_u32.saturating_pow(doublings);
    FIRST_WAIT.saturating_mul(factor).min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests;
