//! `portcullis limits`: shows and clears the counts of rate limits.

use core::net::IpAddr;

use portcullis_core::limit::kind::LimitKind;
use portcullis_service::administer::{self, LimitPart, LimitState, LimitTarget};
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
    let mut facts = vec![format!(
        "{} of {} used in {} s",
        state.used,
        state.quota.attempts(),
        state.quota.per().as_secs()
    )];
    if state.is_locked {
        facts.push("locked".to_owned());
    } else if let Some(wait) = state.wait {
        facts.push(format!("used up, next attempt in {} s", wait.as_secs()));
    }
    if state.failures > 0 {
        facts.push(format!("{} failures in a row", state.failures));
    }
    if let Some(left) = state.unused_in {
        facts.push(format!("unused again in {} s", left.as_secs()));
    }
    let part = match &state.part {
        LimitPart::Whole => String::new(),
        LimitPart::Site => " (IPv6 /48)".to_owned(),
        LimitPart::Browser(name) => format!(" (known browser {name})"),
        LimitPart::Session(id) => format!(" (session {id})"),
    };
    let (kind, facts) = (state.kind.as_str(), facts.join(", "));
    format!("{kind:<20} {facts}{part}\n")
}

fn object(state: &LimitState) -> Value {
    let (browser, session) = match &state.part {
        LimitPart::Browser(name) => (Some(name.as_str()), None),
        LimitPart::Session(id) => (None, Some(id.as_str())),
        LimitPart::Whole | LimitPart::Site => (None, None),
    };
    json!({
        "limit": state.kind.as_str(),
        "quota": state.quota.to_string(),
        "used": state.used,
        "attempts": state.quota.attempts(),
        "locked": state.is_locked,
        "retry_after": state.wait.map(|wait| wait.as_secs()),
        "unused_in": state.unused_in.map(|left| left.as_secs()),
        "failures": state.failures,
        "ipv6_48": state.part == LimitPart::Site,
        "known_browser": browser,
        "session": session,
    })
}
