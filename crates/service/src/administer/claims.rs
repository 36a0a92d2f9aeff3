//! The operator's changes of scopes, roles and custom claims.

use portcullis_core::account_claims::{AccountClaimError, AccountClaims, check_claim, check_name};
use portcullis_core::audit::{AdminAct, AuditEvent, AuditKind};
use portcullis_core::mail::MailKind;

use super::account_ref::{AccountRef, find};
use super::outcome::{AdminOutcome, MAX_ATTEMPTS};
use crate::announce;
use crate::context::ServiceContext;
use crate::error::UseCaseError;
use crate::mailing;
use crate::ports::{Clock, SecureRandom};
use crate::store::{
    Account, AccountChange, AccountStore, RevocationStore, TokensEnd, WriteOutcome,
};

/// A change of the claims of an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClaimChange {
    /// Gives scopes and roles.
    Grant(Permissions),
    /// Takes scopes and roles.
    Revoke(Permissions),
    /// Sets a custom claim to a JSON value.
    Set {
        /// The name of the claim.
        name: String,
        /// The value, as JSON text.
        value: String,
    },
    /// Removes a custom claim.
    Unset {
        /// The name of the claim.
        name: String,
    },
}

/// Names of scopes and roles.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Permissions {
    /// The scopes.
    pub scopes: Vec<String>,
    /// The roles.
    pub roles: Vec<String>,
}

impl Permissions {
    /// The names for the audit trail. Each is checked, so no name contains a separator.
    pub(super) fn detail(&self) -> String {
        let scopes = self.scopes.iter().map(|scope| format!("scope {scope}"));
        let roles = self.roles.iter().map(|role| format!("role {role}"));
        scopes.chain(roles).collect::<Vec<_>>().join(", ")
    }

    fn check(&self) -> Result<(), AccountClaimError> {
        self.scopes
            .iter()
            .chain(&self.roles)
            .try_for_each(|name| check_name(name))
    }
}

impl ClaimChange {
    fn apply(&self, claims: &mut AccountClaims) -> Result<(), AccountClaimError> {
        match self {
            Self::Grant(Permissions { scopes, roles }) => {
                for scope in scopes {
                    claims.add_scope(scope)?;
                }
                for role in roles {
                    claims.add_role(role)?;
                }
            }
            Self::Revoke(permissions) => {
                permissions.check()?;
                let Permissions { scopes, roles } = permissions;
                for scope in scopes {
                    claims.scopes.remove(scope);
                }
                for role in roles {
                    claims.roles.remove(role);
                }
            }
            Self::Set { name, value } => {
                claims.custom.set(name, value)?;
            }
            Self::Unset { name } => {
                check_claim(name)?;
                claims.custom.unset(name);
            }
        }
        Ok(())
    }

    const fn act(&self) -> AdminAct {
        match self {
            Self::Grant(_) => AdminAct::Grant,
            Self::Revoke(_) => AdminAct::Revoke,
            Self::Set { .. } => AdminAct::SetClaim,
            Self::Unset { .. } => AdminAct::UnsetClaim,
        }
    }

    /// Whether a token issued before may say more than one issued after.
    const fn may_withdraw(&self) -> bool {
        !matches!(self, Self::Grant(_))
    }

    /// The names for the audit trail. The value of a claim may be personal data.
    fn detail(&self) -> String {
        match self {
            Self::Grant(permissions) | Self::Revoke(permissions) => permissions.detail(),
            Self::Set { name, .. } | Self::Unset { name } => format!("claim {name}"),
        }
    }
}

/// Changes the claims of an account. The next token has the new ones. If an earlier token says more
/// than the next one will, all access tokens of the account are revoked; its sessions continue, so a
/// client refreshes and notices nothing else. Returns after every edge can know the revocation.
///
/// # Errors
///
/// [`UseCaseError`]; a retry completes the change.
pub async fn change_claims(
    subject: &AccountRef,
    change: &ClaimChange,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl AccountStore + RevocationStore, impl SecureRandom>,
) -> Result<Result<AdminOutcome, AccountClaimError>, UseCaseError> {
    for _try in 0..MAX_ATTEMPTS {
        let Some(account) = find(subject, ctx.store).await? else {
            return Ok(Ok(AdminOutcome::NoAccount));
        };
        let mut claims = account.claims.clone();
        if let Err(error) = change.apply(&mut claims) {
            return Ok(Err(error));
        }
        if claims == account.claims {
            if change.may_withdraw() {
                // The earlier revocation may have been too late for the edges to see, and the
                // operator got an error and retries.
                let revocation = announce::last_of(&account, ctx);
                announce::again(&revocation, ctx.store, clock, ctx.call).await?;
            }
            return Ok(Ok(AdminOutcome::Unchanged));
        }
        if store(&account, &claims, change, clock, ctx).await? == WriteOutcome::Applied {
            return Ok(Ok(AdminOutcome::Done));
        }
    }
    Ok(Ok(AdminOutcome::Contended))
}

async fn store(
    account: &Account,
    claims: &AccountClaims,
    change: &ClaimChange,
    clock: &impl Clock,
    ctx: ServiceContext<'_, impl AccountStore + RevocationStore, impl SecureRandom>,
) -> Result<WriteOutcome, UseCaseError> {
    let revocation = announce::tokens_of(account, ctx);
    let stamp = clock.now();
    let ends_tokens = account.claims.exceed(claims);
    let notice = mailing::notice(MailKind::PermissionsChanged, account, ctx)?;
    let written = AccountChange {
        claims: Some(claims),
        tokens: ends_tokens.then_some(TokensEnd {
            revocation: &revocation,
            stamp,
        }),
        mail: Some(&notice),
        ..AccountChange::default()
    };
    let act = AuditKind::Administered(change.act());
    let event = AuditEvent {
        detail: Some(change.detail()),
        ..ctx.event(act, Some(&account.user_id))?
    };
    let written = ctx.store.change_account(account, &written, &event).await?;
    if written == WriteOutcome::Applied && ends_tokens {
        let revocations = core::slice::from_ref(&revocation);
        announce::confirm_within_bound(revocations, stamp, ctx.store, clock, ctx.call).await?;
    }
    Ok(written)
}
