//! `portcullis users create`: an account whose owner is invited by mail.

use portcullis_core::account_claims::{AccountClaimError, AccountClaims};
use portcullis_core::email::EmailAddress;
use portcullis_service::administer::{self, InviteOutcome};
use serde_json::json;

use crate::arguments::PermissionNames;
use crate::context::CliContext;
use crate::output::{CommandOutput, Failure};

pub(super) async fn run(
    email: &str,
    names: &PermissionNames,
    cli: &CliContext,
) -> Result<CommandOutput, Failure> {
    let wrong = |error: &dyn core::fmt::Display| Failure::Setting(error.to_string());
    let email = EmailAddress::parse(email).map_err(|error| wrong(&error))?;
    let store = cli.store();
    let ctx = cli.ctx(&store).await?;
    let claims = with(&ctx.settings.new_account_claims, names).map_err(|error| wrong(&error))?;
    let hasher = cli.host.hasher.with(ctx.root_keys, "");
    let end = administer::invite(&email, &claims, &hasher, ctx).await;
    match end.map_err(Failure::unavailable)? {
        InviteOutcome::Invited(user_id) => {
            let request_id = cli.call.request_id.as_str();
            Ok(CommandOutput::good(
                format!("invited as {user_id} (audit: request {request_id})\n"),
                json!({"outcome": "invited", "user_id": user_id.as_str(), "request_id": request_id}),
            ))
        }
        InviteOutcome::InvitedAgain(user_id) => {
            let request_id = cli.call.request_id.as_str();
            Ok(CommandOutput::good(
                format!(
                    "invited {user_id} again; its scopes and roles are unchanged (audit: request \
                     {request_id})\n"
                ),
                json!({
                    "outcome": "invited_again", "user_id": user_id.as_str(), "request_id": request_id,
                }),
            ))
        }
        InviteOutcome::AddressTaken => Ok(CommandOutput::bad(
            "the address has an account already\n".to_owned(),
            json!({"outcome": "address_taken"}),
        )),
        InviteOutcome::BadEmail(error) => Err(wrong(&error)),
    }
}

/// The claims of every new account, and the named scopes and roles.
fn with(
    claims: &AccountClaims,
    names: &PermissionNames,
) -> Result<AccountClaims, AccountClaimError> {
    let mut claims = claims.clone();
    for scope in &names.scopes {
        claims.add_scope(scope)?;
    }
    for role in &names.roles {
        claims.add_role(role)?;
    }
    Ok(claims)
}
