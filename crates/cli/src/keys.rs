//! `portcullis keys`: the key document.

use portcullis_core::keys::document::PublishedKey;
use portcullis_core::time::UnixTime;
use portcullis_service::store::KeyStore as _;
use serde_json::{Value, json};

use crate::answer::{Answer, Failure};
use crate::arguments::Keys;
use crate::office::Office;

pub(crate) async fn run(command: &Keys, office: &Office) -> Result<Answer, Failure> {
    match command {
        Keys::Show => show(office).await,
    }
}

async fn show(office: &Office) -> Result<Answer, Failure> {
    let document = office.store().key_document().await;
    let document = document.map_err(Failure::unavailable)?;
    let now = office.now();
    let mut text = format!("version {}\n", document.version());
    for key in document.keys() {
        text.push_str(&line(key, now));
    }
    let keys: Vec<_> = document.keys().iter().map(|key| object(key, now)).collect();
    let json = json!({"version": document.version(), "keys": keys});
    Ok(if keys.is_empty() {
        text.push_str("no key has been published yet\n");
        Answer::bad(text, json)
    } else {
        Answer::good(text, json)
    })
}

/// What a key is good for at `now`.
fn state(key: &PublishedKey, now: UnixTime) -> &'static str {
    if !key.verifies(now) {
        "ended"
    } else if now < key.sign_from {
        "published"
    } else if key.ends_at.is_some() {
        "leaving"
    } else {
        "signing"
    }
}

fn line(key: &PublishedKey, now: UnixTime) -> String {
    let algorithm = key.key.algorithm().map(|name| name.to_string());
    let end = key
        .ends_at
        .map(|end| format!(", ends {end}"))
        .unwrap_or_default();
    format!(
        "{:<9}  {:<6}  {}  signs from {}{end}\n",
        state(key, now),
        algorithm.unwrap_or_default(),
        key.key.id().unwrap_or_default(),
        key.sign_from,
    )
}

fn object(key: &PublishedKey, now: UnixTime) -> Value {
    json!({
        "kid": key.key.id(),
        "alg": key.key.algorithm().map(|name| name.to_string()),
        "state": state(key, now),
        "sign_from": key.sign_from.as_secs(),
        "ends_at": key.ends_at.map(UnixTime::as_secs),
    })
}
