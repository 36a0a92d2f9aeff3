//! The proof of an address.

use portcullis_core::audit::AuditKind;
use portcullis_core::email::EmailAddress;
use portcullis_core::mail::{MailPurpose, MailTokenDigest};
use portcullis_core::password::advice::PasswordRejection;
use portcullis_core::password::rules::PasswordContext;
use portcullis_core::password::{Password, PasswordHash};

use crate::announce;
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::ports::{Clock, SecureRandom};
use crate::screen::{self, PasswordScreen};
use crate::store::{
    Account, AccountChange, AccountStore, FactorStore, OutboxMail, RevocationStore, SessionsEnd,
    SpentToken, TokensEnd, WriteOutcome,
};

/// An address that the bearer of a token has just proved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProvenAddress {
    /// The address.
    pub email: EmailAddress,
    /// The generation of its account, for the device cookie of this browser.
    pub generation: u64,
}

pub(super) fn proven(account: Account) -> ProvenAddress {
    ProvenAddress {
        generation: account.generation,
        email: account.email,
    }
}

/// The reason to reject `password` for `account`, if there is one.
pub(super) async fn screen_password(
    password: &Password,
    account: &Account,
    screen: &impl PasswordScreen,
    ctx: ServiceContext<'_, impl FactorStore, impl SecureRandom>,
) -> Result<Option<PasswordRejection>, UseCaseError> {
    let factors = ctx.store.factors(account).await?;
    let rules = &ctx.settings.passwords;
    let context = PasswordContext {
        email: &account.email,
        services: &rules.services,
        // A token that is about to be deleted is not accepted.
        second_factor: account.verified_at.is_some() && factors.active().is_some(),
    };
    Ok(screen::screen_password(password, &context, rules, screen).await?)
}

/// A proof of an address by the token of a mailed link, with the password that is valid from now on.
pub(super) struct Proof<'a> {
    pub(super) account: &'a Account,
    pub(super) purpose: MailPurpose,
    pub(super) digest: &'a MailTokenDigest,
    /// The new password with its hash; `None` keeps the stored one.
    pub(super) password: Option<(&'a PasswordHash, &'a Password)>,
    pub(super) audit: AuditKind,
    pub(super) mail: Option<&'a OutboxMail>,
}

impl Proof<'_> {
    /// Stores the proof and ends every session. The first proof also removes the second factor and
    /// the recovery codes. The new generation makes every earlier device cookie unknown. Returns
    /// `None` if the account changed since it was read.
    ///
    /// This is the only place that verifies an address.
    pub(super) async fn store(
        &self,
        clock: &impl Clock,
        ctx: ServiceContext<
            '_,
            impl AccountStore + FactorStore + RevocationStore,
            impl SecureRandom,
        >,
    ) -> Result<Option<ProvenAddress>, UseCaseError> {
        let account = self.account;
        forget_factors(account, ctx).await?;
        let stamp = clock.now();
        let generation = account.next_generation();
        let revocation = announce::tokens_of(account, ctx);
        let change = AccountChange {
            password: self.password.map(|(hash, _)| hash),
            short_password: self.password.map(|(_, password)| password.needs_factor()),
            verified_at: Some(account.verified_at.unwrap_or(ctx.call.now)),
            sessions: Some(SessionsEnd {
                tokens: TokensEnd {
                    revocation: &revocation,
                    stamp,
                },
                kept: None,
            }),
            spends: Some(SpentToken {
                purpose: self.purpose,
                digest: self.digest,
            }),
            mail: self.mail,
            ..AccountChange::default()
        };
        let event = ctx.event(self.audit, Some(&account.user_id))?;
        match ctx.store.change_account(account, &change, &event).await? {
            WriteOutcome::Applied => {}
            WriteOutcome::Conflict => return Ok(None),
        }
        announce::confirm_within_bound(&[revocation], stamp, ctx.store, clock, ctx.call).await?;
        Ok(Some(ProvenAddress {
            email: account.email.clone(),
            generation,
        }))
    }
}

/// Removes the second factor of an account with an unverified address. The person who enrolled the
/// factor never proved the address, but the reader of its mail does. A verified account keeps its
/// factor: a reset does not bypass it.
async fn forget_factors(
    account: &Account,
    ctx: ServiceContext<'_, impl FactorStore, impl SecureRandom>,
) -> Result<(), UseCaseError> {
    if account.verified_at.is_none() && ctx.store.factors(account).await?.totp.is_some() {
        let event = ctx.event(AuditKind::FactorRemoved, Some(&account.user_id))?;
        // No notice: the factor was not the owner's.
        ctx.store.remove_factors(account, None, &event).await?;
    }
    Ok(())
}
