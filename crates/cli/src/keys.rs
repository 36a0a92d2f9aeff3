//! `portcullis keys`: shows, rotates and revokes the keys of the key document.

use portcullis_core::keys::document::{KeyDocument, PublishedKey};
use portcullis_core::time::UnixTime;
use portcullis_host::rotation::RotationContext;
use portcullis_service::rotate::RotateError;
use portcullis_service::rotate::manual::rotate_now;
use portcullis_service::rotate::revoke::KeyRevocation;
use portcullis_service::store::KeyStore as _;
use serde_json::{Value, json};

use crate::arguments::Keys;
use crate::context::CliContext;
use crate::output::{CommandOutput, Failure};

pub(crate) async fn run(command: &Keys, cli: &CliContext) -> Result<CommandOutput, Failure> {
    match command {
        Keys::Show => show(cli).await,
        Keys::Rotate => rotate(cli).await,
        Keys::Revoke { key } => revoke(key, cli).await,
    }
}

async fn show(cli: &CliContext) -> Result<CommandOutput, Failure> {
    let document = cli.store().key_document().await;
    let document = document.map_err(Failure::unavailable)?;
    let now = cli.now();
    let mut text = format!("version {}\n", document.version());
    for key in document.keys() {
        text.push_str(&line(key, &document, now));
    }
    let keys = document.keys().iter();
    let keys: Vec<_> = keys.map(|key| object(key, &document, now)).collect();
    let json = json!({"version": document.version(), "keys": keys});
    Ok(if keys.is_empty() {
        text.push_str("no key has been published yet\n");
        CommandOutput::bad(text, json)
    } else {
        CommandOutput::good(text, json)
    })
}

async fn rotate(cli: &CliContext) -> Result<CommandOutput, Failure> {
    let desk = desk(cli).await?;
    let rotation = desk.rotation();
    let rotation = rotation.map_err(|fault| Failure::Setting(fault.to_string()))?;
    let end = rotate_now(&rotation).await;
    desk.ensure_clock().map_err(Failure::unavailable)?;
    let version = match end {
        Ok(version) => version,
        Err(RotateError::TooEarly(early)) => {
            let json = json!({"outcome": "too_early", "until": early.until.as_secs()});
            return Ok(CommandOutput::bad(format!("{early}\n"), json));
        }
        Err(error) => return Err(Failure::unavailable(error)),
    };
    let document = cli.store().key_document().await;
    let document = document.map_err(Failure::unavailable)?;
    // The newest key belongs to this rotation: no later rotation could have started.
    let newest = document.keys().iter().max_by_key(|key| key.sign_from);
    let now = cli.now();
    let keys = document.keys().iter();
    let signing: Vec<_> = keys.filter(|key| signs(key, &document, now)).collect();
    let json = json!({
        "outcome": "done",
        "key": newest.map(|key| object(key, &document, now)),
        "signing": signing.iter().map(|key| object(key, &document, now)).collect::<Vec<_>>(),
        "request_id": version,
    });
    let mut text = String::new();
    for key in signing {
        text.push_str(&line(key, &document, now));
    }
    if let Some(key) = newest.filter(|key| !signs(key, &document, now)) {
        text.push_str(&line(key, &document, now));
    }
    text.push_str(&rotated(newest, now));
    text.push_str(&format!("(audit: request {version})\n"));
    Ok(CommandOutput::good(text, json))
}

/// Tells from when the key of a completed rotation signs.
fn rotated(newest: Option<&PublishedKey>, now: UnixTime) -> String {
    let Some(key) = newest else {
        return "the rotation is complete\n".to_owned();
    };
    let id = key.key.id().unwrap_or_default();
    if now < key.sign_from {
        let from = key.sign_from;
        format!(
            "the key {id} is published; it does not sign before {from}, and the previous key signs until then\n"
        )
    } else {
        format!("the key {id} signs now\n")
    }
}

async fn revoke(key: &str, cli: &CliContext) -> Result<CommandOutput, Failure> {
    let desk = desk(cli).await?;
    let end = desk.revoke(key).await;
    let outcome = end.map_err(Failure::unavailable)?;
    // If the clock failed meanwhile, the duration of the write is unknown.
    desk.ensure_clock().map_err(Failure::unavailable)?;
    let request_id = cli.call.request_id.as_str();
    match outcome {
        KeyRevocation::Done => Ok(CommandOutput::good(
            format!(
                "revoked: each edge rejects it within the bound of its policy, by default 31 s (audit: request {request_id})\n"
            ),
            json!({"outcome": "done", "request_id": request_id}),
        )),
        KeyRevocation::UnknownKey => Ok(CommandOutput::bad(
            "no such key\n".to_owned(),
            json!({"outcome": "unknown_key"}),
        )),
        KeyRevocation::Contended => Err(Failure::Unavailable(
            "concurrent updates of the key document; retry".to_owned(),
        )),
    }
}

async fn desk(cli: &CliContext) -> Result<RotationContext<'_>, Failure> {
    let desk = RotationContext::open(&cli.host, &cli.call).await;
    desk.map_err(Failure::unavailable)
}

fn signs(key: &PublishedKey, document: &KeyDocument, now: UnixTime) -> bool {
    let id = key.key.id();
    id.is_some_and(|id| document.is_signing(id, now))
}

/// The time from which the key signs no more; `None` if it does not sign, or no successor is known.
fn signs_until(key: &PublishedKey, document: &KeyDocument, now: UnixTime) -> Option<UnixTime> {
    let next = document.next_signing_at(now);
    next.filter(|_| signs(key, document, now))
}

/// The validity of a key at `now`.
fn state(key: &PublishedKey, document: &KeyDocument, now: UnixTime) -> &'static str {
    if !key.verifies(now) {
        "ended"
    } else if now < key.sign_from {
        "published"
    } else if signs(key, document, now) {
        "signing"
    } else {
        "leaving"
    }
}

fn line(key: &PublishedKey, document: &KeyDocument, now: UnixTime) -> String {
    let algorithm = key.key.algorithm().map(|name| name.to_string());
    let until = signs_until(key, document, now)
        .map(|next| format!(" until {next}"))
        .unwrap_or_default();
    let end = key
        .ends_at
        .map(|end| format!(", ends {end}"))
        .unwrap_or_default();
    format!(
        "{:<9}  {:<6}  {}  signs from {}{until}{end}\n",
        state(key, document, now),
        algorithm.unwrap_or_default(),
        key.key.id().unwrap_or_default(),
        key.sign_from,
    )
}

fn object(key: &PublishedKey, document: &KeyDocument, now: UnixTime) -> Value {
    json!({
        "kid": key.key.id(),
        "alg": key.key.algorithm().map(|name| name.to_string()),
        "state": state(key, document, now),
        "sign_from": key.sign_from.as_secs(),
        "signs_until": signs_until(key, document, now).map(UnixTime::as_secs),
        "ends_at": key.ends_at.map(UnixTime::as_secs),
    })
}
