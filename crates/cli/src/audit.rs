//! `portcullis audit`: lists the trail, seals its days, and verifies it.

use indicatif::ProgressBar;
use portcullis_core::audit::entry::AuditEntry;
use portcullis_core::id::Id;
use portcullis_core::root_keys::RootKeys;
use portcullis_core::time::UnixTime;
use portcullis_service::administer::{self, AccountRef};
use portcullis_service::audit_trail::{
    self, AuditFilter, Finding, LocatedFinding, SealOutcome, VerifyReport,
};
use serde_json::{Value, json};

use crate::arguments::{Audit, Days};
use crate::context::CliContext;
use crate::output::{CommandOutput, Failure};
use crate::users::{account_ref, no_account};

/// The maximum number of days in one command: the retention of entries.
const MAX_DAYS: usize = 401;

pub(crate) async fn run(command: &Audit, cli: &CliContext) -> Result<CommandOutput, Failure> {
    match command {
        Audit::List {
            days,
            user,
            action,
            outcome,
            address,
            request,
            session,
        } => {
            let user_id = match user.as_deref().map(account_ref).transpose()? {
                None => None,
                // An erased account has only its id.
                Some(AccountRef::UserId(id)) => Some(id),
                Some(by_email) => {
                    let account = administer::find(&by_email, &cli.store()).await;
                    match account.map_err(Failure::unavailable)? {
                        Some(account) => Some(account.user_id),
                        None => return Ok(no_account()),
                    }
                }
            };
            let filter = AuditFilter {
                user_id,
                action: action.clone(),
                outcome: outcome.clone(),
                client_address: address.clone(),
                request_id: id(request.as_deref())?,
                session_id: id(session.as_deref())?,
            };
            list(&span(days, cli.now())?, &filter, cli).await
        }
        Audit::Verify(days) => verify(&span(days, cli.now())?, cli).await,
        Audit::Seal { day } => seal(parse(day)?, cli).await,
    }
}

async fn list(
    days: &[UnixTime],
    filter: &AuditFilter,
    cli: &CliContext,
) -> Result<CommandOutput, Failure> {
    let (store, progress) = (cli.store(), progress(days));
    let mut lines = Vec::new();
    for day in days {
        let found = audit_trail::read(*day, filter, &store).await;
        lines.extend(found.map_err(Failure::unavailable)?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    let root_keys = root_keys(cli).await?;
    let objects: Vec<_> = lines.iter().map(|line| object(line, root_keys)).collect();
    let text = lines.iter().map(|line| sentence(line, root_keys)).collect();
    let json = json!({"lines": objects});
    Ok(if lines.is_empty() {
        CommandOutput::bad("no such entry\n".to_owned(), json)
    } else {
        CommandOutput::good(text, json)
    })
}

async fn verify(days: &[UnixTime], cli: &CliContext) -> Result<CommandOutput, Failure> {
    let (store, progress) = (cli.store(), progress(days));
    let root_keys = root_keys(cli).await?;
    let mut review = VerifyReport::default();
    for day in days {
        let end = audit_trail::review(*day, &store, root_keys, cli.now(), &mut review).await;
        end.map_err(Failure::unavailable)?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    let mut text: String = review.found.iter().map(finding_line).collect();
    text.push_str(&format!(
        "{} entries; {} sealed and {} open day shards; {} findings\n",
        review.lines,
        review.sealed,
        review.open,
        review.found.len()
    ));
    let found: Vec<_> = review.found.iter().map(finding).collect();
    let json = json!({
        "lines": review.lines, "sealed": review.sealed, "open": review.open, "findings": found,
    });
    Ok(if review.found.is_empty() {
        CommandOutput::good(text, json)
    } else {
        CommandOutput::bad(text, json)
    })
}

async fn seal(day: UnixTime, cli: &CliContext) -> Result<CommandOutput, Failure> {
    let store = cli.store();
    let sealing = audit_trail::seal(day, &store, root_keys(cli).await?, &cli.call).await;
    Ok(match sealing.map_err(Failure::unavailable)? {
        SealOutcome::Sealed(shards) => CommandOutput::good(
            format!("{}: sealed, {shards} shards in this run\n", day.day()),
            json!({"outcome": "sealed", "shards": shards}),
        ),
        SealOutcome::Open => CommandOutput::bad(
            format!("{}: the day is not over, nothing was sealed\n", day.day()),
            json!({"outcome": "open", "shards": 0}),
        ),
    })
}

async fn root_keys(cli: &CliContext) -> Result<&RootKeys, Failure> {
    let root_keys = cli.host.root_keys.open(&cli.host.client, cli.now());
    root_keys.await.map_err(Failure::unavailable)
}

/// The first second of each selected day.
fn span(days: &Days, now: UnixTime) -> Result<Vec<UnixTime>, Failure> {
    let from = days.from.as_deref().map_or(Ok(now), parse)?;
    let to = days.to.as_deref().map_or(Ok(from), parse)?;
    let days: Vec<_> = audit_trail::days(from, to)
        .take(MAX_DAYS.saturating_add(1))
        .collect();
    if days.is_empty() || days.len() > MAX_DAYS {
        return Err(Failure::Setting(format!(
            "--from must not be after --to, and at most {MAX_DAYS} days before it"
        )));
    }
    Ok(days)
}

fn parse(day: &str) -> Result<UnixTime, Failure> {
    UnixTime::of_day(day)
        .ok_or_else(|| Failure::Setting("a day has the form 2026-11-23".to_owned()))
}

fn id(text: Option<&str>) -> Result<Option<Id>, Failure> {
    let parsed = text.map(Id::parse).transpose();
    parsed.map_err(|error| Failure::Setting(error.to_string()))
}

/// Shown on standard error, and only on a terminal.
fn progress(days: &[UnixTime]) -> ProgressBar {
    ProgressBar::new(u64::try_from(days.len()).unwrap_or_default())
}

fn object(line: &AuditEntry, root_keys: &RootKeys) -> Value {
    json!({
        "id": line.id.as_str(),
        "at": line.at.as_secs(),
        "action": line.action,
        "outcome": line.outcome,
        "user_id": line.user_id.as_ref().map(Id::as_str),
        "session_id": line.session_id.as_ref().map(Id::as_str),
        "client_address": line.client_address,
        "request_id": line.request_id.as_str(),
        "detail": line.detail,
        "genuine": line.is_genuine(root_keys),
    })
}

fn sentence(line: &AuditEntry, root_keys: &RootKeys) -> String {
    let name = |id: Option<&Id>| id.map_or("-", Id::as_str).to_owned();
    let detail = line.detail.as_ref();
    let detail = detail.map(|detail| format!(" detail={:?}", detail));
    let detail = detail.unwrap_or_default();
    // A modified entry may contain anything, including terminal control codes.
    format!(
        "{} {} {} user={} session={} from={} request={}{detail}{}\n",
        line.at,
        line.action.escape_debug(),
        line.outcome.escape_debug(),
        name(line.user_id.as_ref()),
        name(line.session_id.as_ref()),
        line.client_address.escape_debug(),
        line.request_id,
        if line.is_genuine(root_keys) {
            ""
        } else {
            " ALTERED"
        },
    )
}

fn finding(found: &LocatedFinding) -> Value {
    let (kind, line, count) = match &found.finding {
        Finding::Unreadable(place) => ("unreadable", Some(place.as_str()), None),
        Finding::Altered(id) => ("altered", Some(id.as_str()), None),
        Finding::Unsealed => ("unsealed", None, None),
        Finding::FalseSeal => ("false_seal", None, None),
        Finding::Removed(count) => ("removed", None, Some(*count)),
        Finding::Added(count) => ("added", None, Some(*count)),
        Finding::Exchanged => ("exchanged", None, None),
    };
    json!({
        "day": found.day.day(), "shard": found.shard, "finding": kind, "line": line, "count": count,
    })
}

fn finding_line(found: &LocatedFinding) -> String {
    let what = match &found.finding {
        Finding::Unreadable(place) => {
            format!(
                "entry missing or under a foreign key: {}",
                place.escape_debug()
            )
        }
        Finding::Altered(id) => format!("modified, or not written by a host: {id}"),
        Finding::Unsealed => "the day is closed and not sealed".to_owned(),
        Finding::FalseSeal => "the digest was not written by a host".to_owned(),
        Finding::Removed(count) => format!("{count} entries fewer than in the sealed digest"),
        Finding::Added(count) => format!("{count} entries more than in the sealed digest"),
        Finding::Exchanged => "the entries differ from the sealed digest".to_owned(),
    };
    format!("{} shard {}: {what}\n", found.day.day(), found.shard)
}
