//! `portcullis limits`: shows and clears the counts of rate limits.

use core::net::IpAddr;

use portcullis_core::limit::kind::LimitKind;
use portcullis_service::administer::{self, LimitState, LimitTarget};
use serde_json::{Value, json};

use crate::arguments::Limits;
use crate::context::CliContext;
use crate::output::{CommandOutput, Failure};
use crate::users;

pub(crate) async fn run(command: &Limits, cli: &CliContext) -> Result<CommandOutput, Failure> {
    let store = cli.store();
    let ctx = cli.ctx(&store).await?;
    match command {
        Limits::Show { target } => {
            let states = administer::limits(&limit_target(target)?, ctx).await;
            Ok(list(&states.map_err(Failure::unavailable)?))
        }
        Limits::Clear { target, limit } => {
            let only = limit.as_deref().map(kind).transpose()?;
            let cleared = administer::clear_limits(&limit_target(target)?, only, ctx).await;
            let cleared = cleared.map_err(Failure::unavailable)?;
            let request_id = cli.call.request_id.as_str();
            Ok(CommandOutput::good(
                format!("cleared {cleared} limits (audit: request {request_id})\n"),
                json!({"outcome": "done", "cleared": cleared, "request_id": request_id}),
            ))
        }
    }
}

fn kind(name: &str) -> Result<LimitKind, Failure> {
    LimitKind::parse(name).ok_or_else(|| {
        let names = LimitKind::ALL.iter().map(|kind| kind.as_str());
        let names: Vec<_> = names.collect();
        Failure::Setting(format!("no such limit; one of: {}", names.join(", ")))
    })
}

/// The network of an IP address, else an account.
fn limit_target(text: &str) -> Result<LimitTarget, Failure> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok(LimitTarget::Network(text.to_owned()));
    }
    users::account_ref(text).map(LimitTarget::Account)
}

fn list(states: &[LimitState]) -> CommandOutput {
    let text: String = if states.is_empty() {
        "nothing is counted\n".to_owned()
    } else {
        states.iter().map(line).collect()
    };
    let objects: Vec<Value> = states.iter().map(object).collect();
    CommandOutput::good(text, json!({"limits": objects}))
}

fn line(state: &LimitState) -> String {
    let decision = match (state.is_locked, state.wait) {
        (true, _) => "locked".to_owned(),
        (false, Some(wait)) => format!("used up, next attempt in {} s", wait.as_secs()),
        (false, None) => "free".to_owned(),
    };
    let failures = match state.failures {
        0 => String::new(),
        some => format!(", {some} failures in a row"),
    };
    let site = if state.is_site { " (IPv6 /48)" } else { "" };
    format!(
        "{:<20} {:<12} {decision}{failures}{site}\n",
        state.kind.as_str(),
        state.quota.to_string()
    )
}

fn object(state: &LimitState) -> Value {
    json!({
        "limit": state.kind.as_str(),
        "quota": state.quota.to_string(),
        "locked": state.is_locked,
        "retry_after": state.wait.map(|wait| wait.as_secs()),
        "failures": state.failures,
        "ipv6_48": state.is_site,
    })
}
