//! `portcullis users`: account operations.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use portcullis_core::account_claims::AccountClaims;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_service::administer::{self, AccountDetails, AccountRef, AdminOutcome, TotpState};
use portcullis_service::store::{Account, AccountStatus};
use serde_json::{Value, json};

mod create;
mod list;
mod permissions;

use crate::arguments::{User, Users};
use crate::context::CliContext;
use crate::import;
use crate::output::{CommandOutput, Failure, printable};

pub(crate) async fn run(command: &Users, cli: &CliContext) -> Result<CommandOutput, Failure> {
    match command {
        Users::Show(user) => show(&subject(user)?, cli).await,
        Users::Disable(user)
        | Users::Enable(user)
        | Users::Logout(user)
        | Users::RemoveFactor(user) => act(command, &subject(user)?, cli).await,
        Users::Import { file } => import::run(file, cli).await,
        Users::Grant { user, names } => permissions::grant(user, names, cli).await,
        Users::Revoke { user, names } => permissions::revoke(user, names, cli).await,
        Users::Claims(command) => permissions::claims(command, cli).await,
        Users::List(filter) => list::run(filter, cli).await,
        Users::Create { email, names, .. } => create::run(email, names, cli).await,
        Users::Delete { user, yes } => {
            let subject = subject(user)?;
            if !yes && !confirmed(&user.user)? {
                return Err(Failure::Setting(
                    "not confirmed: nothing was deleted (--yes skips the confirmation)".to_owned(),
                ));
            }
            act(command, &subject, cli).await
        }
    }
}

/// An address or an id: only an address contains `@`.
pub(crate) fn subject(user: &User) -> Result<AccountRef, Failure> {
    account_ref(&user.user)
}

/// As [`subject`], of the text.
pub(crate) fn account_ref(user: &str) -> Result<AccountRef, Failure> {
    if user.contains('@') {
        EmailAddress::parse(user)
            .map(AccountRef::Email)
            .map_err(|error| Failure::Setting(error.to_string()))
    } else {
        Id::parse(user)
            .map(AccountRef::UserId)
            .map_err(|error| Failure::Setting(format!("neither an address nor a user id: {error}")))
    }
}

async fn show(subject: &AccountRef, cli: &CliContext) -> Result<CommandOutput, Failure> {
    let store = cli.store();
    let account = administer::show(subject, cli.ctx(&store).await?).await;
    match account.map_err(Failure::unavailable)? {
        Some(account) => Ok(CommandOutput::good(text(&account), json(&account))),
        None => Ok(no_account()),
    }
}

async fn act(
    command: &Users,
    subject: &AccountRef,
    cli: &CliContext,
) -> Result<CommandOutput, Failure> {
    let store = cli.store();
    let ctx = cli.ctx(&store).await?;
    let clock = cli.watch();
    let (done, end) = match command {
        Users::Disable(_) => (
            "disabled; all its sessions are revoked",
            administer::disable(subject, &clock, ctx).await,
        ),
        Users::Enable(_) => ("enabled", administer::enable(subject, ctx).await),
        Users::Logout(_) => (
            "all its sessions are revoked",
            administer::log_out(subject, &clock, ctx).await,
        ),
        Users::RemoveFactor(_) => (
            "its second factor is removed; a password with fewer than 15 characters needs a reset",
            administer::remove_factor(subject, ctx).await,
        ),
        Users::Delete { .. } => ("removed", administer::delete(subject, &clock, ctx).await),
        Users::Show(_)
        | Users::List(_)
        | Users::Create { .. }
        | Users::Grant { .. }
        | Users::Revoke { .. }
        | Users::Claims(_)
        | Users::Import { .. } => return show(subject, cli).await,
    };
    let outcome = end.map_err(Failure::unavailable)?;
    // If the clock failed meanwhile, the duration of the write is unknown.
    clock.ensure_readable().map_err(Failure::unavailable)?;
    report(outcome, done, cli)
}

/// The output of a command: `done`, or the reason why nothing was done.
fn report(outcome: AdminOutcome, done: &str, cli: &CliContext) -> Result<CommandOutput, Failure> {
    let request_id = cli.call.request_id.as_str();
    match outcome {
        AdminOutcome::Done => Ok(CommandOutput::good(
            format!("{done} (audit: request {request_id})\n"),
            json!({"outcome": "done", "request_id": request_id}),
        )),
        AdminOutcome::Unchanged => Ok(CommandOutput::good(
            "already in this state\n".to_owned(),
            json!({"outcome": "unchanged"}),
        )),
        AdminOutcome::NoAccount => Ok(no_account()),
        AdminOutcome::Contended => Err(Failure::Unavailable(
            "concurrent updates of the account; retry".to_owned(),
        )),
    }
}

pub(crate) fn no_account() -> CommandOutput {
    CommandOutput::bad(
        "no such account\n".to_owned(),
        json!({"outcome": "no_account"}),
    )
}

/// Asks on the terminal; without a terminal the answer is no.
fn confirmed(user: &str) -> Result<bool, Failure> {
    let input = io::stdin();
    if !input.is_terminal() {
        return Ok(false);
    }
    let failed = |error: io::Error| Failure::Setting(error.to_string());
    let mut terminal = io::stderr();
    write!(terminal, "delete {user} with all its sessions? type yes: ").map_err(failed)?;
    terminal.flush().map_err(failed)?;
    let mut line = String::new();
    input.lock().read_line(&mut line).map_err(failed)?;
    Ok(line.trim() == "yes")
}

const fn status(account: &Account) -> &'static str {
    match account.status {
        AccountStatus::Active => "active",
        AccountStatus::Disabled => "disabled",
    }
}

const fn totp(details: &AccountDetails) -> &'static str {
    match details.totp {
        TotpState::None => "none",
        TotpState::Pending => "pending",
        TotpState::Active => "active",
    }
}

fn text(details: &AccountDetails) -> String {
    let account = &details.account;
    let AccountClaims {
        scopes,
        roles,
        custom,
    } = &account.claims;
    let custom = printable(&custom.to_string());
    let browsers = details
        .known_browsers
        .map_or_else(|| "not counted".to_owned(), |known| known.to_string());
    let verified = account
        .verified_at
        .map_or_else(|| "no".to_owned(), |moment| moment.to_string());
    format!(
        "user id     {}\naddress     {}\nstatus      {}\ncreated     {}\nverified    {verified}\n\
         password    {}\ntotp        {}\nrecovery    {} codes left\nsessions    {} open\n\
         browsers    {browsers} known\nscopes      {scopes}\nroles       {roles}\n\
         claims      {custom}\ngeneration  {}\nversion     {}\n",
        account.user_id,
        printable(account.email.as_typed()),
        status(account),
        account.created_at,
        scheme(account),
        totp(details),
        details.recovery_codes,
        details.sessions,
        account.generation,
        account.version,
    )
}

fn json(details: &AccountDetails) -> Value {
    let mut object = account_object(&details.account);
    let more = json!({
        "totp": totp(details),
        "recovery_codes": details.recovery_codes,
        "sessions": details.sessions,
        "known_browsers": details.known_browsers,
    });
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

fn account_object(account: &Account) -> Value {
    let AccountClaims {
        scopes,
        roles,
        custom,
    } = &account.claims;
    json!({
        "user_id": account.user_id.as_str(),
        "email": account.email.as_typed(),
        "status": status(account),
        "created_at": account.created_at.as_secs(),
        "verified_at": account.verified_at.map(|moment| moment.as_secs()),
        "password_scheme": scheme(account),
        "scopes": scopes.iter().collect::<Vec<_>>(),
        "roles": roles.iter().collect::<Vec<_>>(),
        "claims": serde_json::from_str::<Value>(&custom.to_string()).unwrap_or_default(),
        "generation": account.generation,
        "version": account.version,
    })
}

/// The hash algorithm and its parameters, never salt or hash.
fn scheme(account: &Account) -> String {
    let mut fields = account.password.as_phc().split('$').skip(1);
    let name = fields.next().unwrap_or_default();
    let parameters: Vec<_> = fields
        .take_while(|field| field.contains('=') && field.len() <= 32)
        .collect();
    [&[name], parameters.as_slice()].concat().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_at_sign_distinguishes_an_address_from_a_user_id() {
        let read = |user: &str| {
            subject(&User {
                user: user.to_owned(),
            })
        };
        assert!(
            matches!(read("Ann@Example.com"), Ok(AccountRef::Email(email)) if email.as_str() == "ann@example.com")
        );
        assert!(matches!(read("u1"), Ok(AccountRef::UserId(id)) if id.as_str() == "u1"));
        for wrong in ["", "ann@", "a b", "ä"] {
            assert!(matches!(read(wrong), Err(Failure::Setting(_))), "{wrong}");
        }
    }
}
