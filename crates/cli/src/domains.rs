//! `portcullis domains`: counts the accounts of each e-mail domain.

use std::collections::BTreeMap;

use indicatif::ProgressBar;
use portcullis_core::email::EmailAddress;
use portcullis_service::store::DomainStore as _;
use serde_json::json;

use crate::context::CliContext;
use crate::output::{CommandOutput, Failure};

pub(crate) async fn run(domain: Option<&str>, cli: &CliContext) -> Result<CommandOutput, Failure> {
    match domain {
        Some(domain) => one(domain, cli).await,
        None => all(cli).await,
    }
}

async fn one(domain: &str, cli: &CliContext) -> Result<CommandOutput, Failure> {
    // The normal form of the domain as in the rows, taken from an address in it.
    let address = EmailAddress::parse(&format!("x@{domain}"))
        .map_err(|error| Failure::Setting(error.to_string()))?;
    let accounts = cli.store().accounts_of_domain(address.domain()).await;
    let accounts = accounts.map_err(Failure::unavailable)?;
    let (text, json) = (
        format!("{accounts:>8}  {}\n", address.domain()),
        json!({"domains": [{"domain": address.domain(), "accounts": accounts}]}),
    );
    Ok(if accounts == 0 {
        CommandOutput::bad(text, json)
    } else {
        CommandOutput::good(text, json)
    })
}

async fn all(cli: &CliContext) -> Result<CommandOutput, Failure> {
    let store = cli.store();
    // Shown on standard error, and only on a terminal.
    let progress = ProgressBar::new_spinner();
    let mut accounts = BTreeMap::<String, u64>::new();
    let mut after = None;
    let mut rows = 0_u64;
    loop {
        let page = store.domain_page(after).await;
        let page = page.map_err(Failure::unavailable)?;
        rows = rows.saturating_add(page.rows);
        progress.set_message(format!("{rows} rows read"));
        progress.tick();
        for (domain, count) in page.accounts {
            let sum = accounts.entry(domain).or_default();
            *sum = sum.saturating_add(count);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    progress.finish_and_clear();
    let mut domains: Vec<_> = accounts.into_iter().collect();
    // Most accounts first; equal counts in alphabetical order.
    domains.sort_by(|(one, few), (other, many)| many.cmp(few).then_with(|| one.cmp(other)));
    let lines = domains.iter();
    let lines = lines.map(|(domain, count)| format!("{count:>8}  {domain}\n"));
    let objects = domains.iter();
    let objects = objects.map(|(domain, count)| json!({"domain": domain, "accounts": count}));
    Ok(CommandOutput::good(
        lines.collect(),
        json!({"domains": objects.collect::<Vec<_>>(), "rows_read": rows}),
    ))
}
