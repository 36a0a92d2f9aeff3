//! `portcullis users list`: all accounts, or those with a domain, a scope or a role.

use indicatif::ProgressBar;
use portcullis_core::email::EmailAddress;
use portcullis_service::administer;
use portcullis_service::store::Account;
use serde_json::json;

use super::{account_object, status};
use crate::arguments::AccountFilter;
use crate::context::CliContext;
use crate::output::{CommandOutput, Failure, printable};

pub(super) async fn run(
    filter: &AccountFilter,
    cli: &CliContext,
) -> Result<CommandOutput, Failure> {
    let domain = filter.domain.as_deref().map(normal_domain).transpose()?;
    let store = cli.store();
    let ctx = cli.ctx(&store).await?;
    // Shown on standard error, and only on a terminal.
    let progress = ProgressBar::new_spinner();
    let (mut accounts, mut after, mut rows) = (Vec::new(), None, 0_u64);
    loop {
        let page = administer::list(after, ctx).await;
        let page = page.map_err(Failure::unavailable)?;
        rows = rows.saturating_add(page.rows);
        progress.set_message(format!("{rows} rows read"));
        progress.tick();
        let selected = |account: &Account| is_selected(account, filter, domain.as_deref());
        accounts.extend(page.accounts.into_iter().filter(selected));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    progress.finish_and_clear();
    accounts.sort_by(|one, other| one.email.as_str().cmp(other.email.as_str()));
    let text = accounts.iter().map(line).collect();
    let objects: Vec<_> = accounts.iter().map(account_object).collect();
    Ok(CommandOutput::good(
        text,
        json!({"accounts": objects, "rows_read": rows}),
    ))
}

/// The normal form of a domain as in the rows, taken from an address in it.
fn normal_domain(domain: &str) -> Result<String, Failure> {
    let address = EmailAddress::parse(&format!("x@{domain}"))
        .map_err(|error| Failure::Setting(error.to_string()))?;
    Ok(address.domain().to_owned())
}

fn is_selected(account: &Account, filter: &AccountFilter, domain: Option<&str>) -> bool {
    let claims = &account.claims;
    domain.is_none_or(|domain| account.email.domain() == domain)
        && filter
            .scope
            .as_deref()
            .is_none_or(|scope| claims.scopes.contains(scope))
        && filter
            .role
            .as_deref()
            .is_none_or(|role| claims.roles.contains(role))
}

fn line(account: &Account) -> String {
    let verified = if account.verified_at.is_some() {
        "verified"
    } else {
        "unverified"
    };
    let mut line = format!(
        "{}  {}  {}  {verified}",
        printable(account.email.as_typed()),
        account.user_id,
        status(account),
    );
    for (name, text) in [
        ("scopes", account.claims.scopes.to_string()),
        ("roles", account.claims.roles.to_string()),
    ] {
        if !text.is_empty() {
            line.push_str(&format!("  {name}: {text}"));
        }
    }
    line.push('\n');
    line
}
