//! `portcullis users grant`, `revoke` and `claims`: the scopes, roles and custom claims of an account.

use portcullis_service::administer::{self, ClaimChange, Permissions};

use super::{report, subject};
use crate::arguments::{Claims, PermissionNames, User};
use crate::context::CliContext;
use crate::output::{CommandOutput, Failure};

pub(super) async fn grant(
    user: &User,
    names: &PermissionNames,
    cli: &CliContext,
) -> Result<CommandOutput, Failure> {
    let change = ClaimChange::Grant(permissions(names)?);
    change_claims(user, &change, "granted; its next token has them", cli).await
}

pub(super) async fn revoke(
    user: &User,
    names: &PermissionNames,
    cli: &CliContext,
) -> Result<CommandOutput, Failure> {
    let change = ClaimChange::Revoke(permissions(names)?);
    let done = "revoked; its sessions continue with new tokens";
    change_claims(user, &change, done, cli).await
}

pub(super) async fn claims(command: &Claims, cli: &CliContext) -> Result<CommandOutput, Failure> {
    match command {
        Claims::Set { user, name, value } => {
            let change = ClaimChange::Set {
                name: name.clone(),
                value: value.clone(),
            };
            change_claims(user, &change, "set; its next token has the claim", cli).await
        }
        Claims::Unset { user, name } => {
            let change = ClaimChange::Unset { name: name.clone() };
            let done = "removed; its sessions continue with new tokens";
            change_claims(user, &change, done, cli).await
        }
    }
}

/// The names as one change; at least one.
pub(super) fn permissions(names: &PermissionNames) -> Result<Permissions, Failure> {
    let PermissionNames { scopes, roles } = names;
    if scopes.is_empty() && roles.is_empty() {
        let advice = "name at least one --scope or --role";
        return Err(Failure::Setting(advice.to_owned()));
    }
    Ok(Permissions {
        scopes: scopes.clone(),
        roles: roles.clone(),
    })
}

async fn change_claims(
    user: &User,
    change: &ClaimChange,
    done: &str,
    cli: &CliContext,
) -> Result<CommandOutput, Failure> {
    let subject = subject(user)?;
    let store = cli.store();
    let ctx = cli.ctx(&store).await?;
    let clock = cli.watch();
    let end = administer::change_claims(&subject, change, &clock, ctx).await;
    let end = end.map_err(Failure::unavailable)?;
    clock.ensure_readable().map_err(Failure::unavailable)?;
    let outcome = end.map_err(|error| Failure::Setting(error.to_string()))?;
    report(outcome, done, cli)
}
