//! `portcullis sessions`: lists the sessions of an account and revokes one.

use portcullis_core::id::Id;
use portcullis_core::session::Session;
use portcullis_service::administer::{self, AdminOutcome};
use serde_json::{Value, json};

use crate::arguments::Sessions;
use crate::context::CliContext;
use crate::output::{CommandOutput, Failure};
use crate::users;

pub(crate) async fn run(command: &Sessions, cli: &CliContext) -> Result<CommandOutput, Failure> {
    let store = cli.store();
    let ctx = cli.ctx(&store).await?;
    match command {
        Sessions::List(user) => {
            let found = administer::sessions(&users::subject(user)?, ctx).await;
            Ok(found
                .map_err(Failure::unavailable)?
                .map_or_else(users::no_account, |sessions| list(&sessions)))
        }
        Sessions::End { session } => end(session, cli).await,
    }
}

fn list(sessions: &[Session]) -> CommandOutput {
    let lines = sessions.iter().map(|session| {
        format!(
            "{}  opened {}  used {}  from {}  {}\n",
            session.id,
            session.opened_at,
            session.head.advanced_at,
            session.client_address,
            session.device.as_str(),
        )
    });
    let objects: Vec<Value> = sessions
        .iter()
        .map(|session| {
            json!({
                "id": session.id.as_str(),
                "opened_at": session.opened_at.as_secs(),
                "last_used_at": session.head.advanced_at.as_secs(),
                "ends_at": session.head.idle_ends_at.as_secs(),
                "device": session.device.as_str(),
                "client_address": session.client_address,
            })
        })
        .collect();
    CommandOutput::good(lines.collect(), json!({"sessions": objects}))
}

async fn end(session: &str, cli: &CliContext) -> Result<CommandOutput, Failure> {
    let id = Id::parse(session).map_err(|error| Failure::Setting(error.to_string()))?;
    let store = cli.store();
    let ctx = cli.ctx(&store).await?;
    let clock = cli.watch();
    let outcome = administer::end_session(&id, &clock, ctx).await;
    let outcome = outcome.map_err(Failure::unavailable)?;
    // If the clock failed meanwhile, the duration of the write is unknown.
    clock.ensure_readable().map_err(Failure::unavailable)?;
    let request_id = cli.call.request_id.as_str();
    Ok(match outcome {
        AdminOutcome::Done => CommandOutput::good(
            format!("the session is revoked (audit: request {request_id})\n"),
            json!({"outcome": "done", "request_id": request_id}),
        ),
        AdminOutcome::Unchanged => CommandOutput::good(
            "the session was already revoked; the revocation is published again\n".to_owned(),
            json!({"outcome": "done", "again": true}),
        ),
        AdminOutcome::NoAccount | AdminOutcome::Contended => CommandOutput::bad(
            "no such session\n".to_owned(),
            json!({"outcome": "no_session"}),
        ),
    })
}
