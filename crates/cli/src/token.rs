//! `portcullis token`: decodes a token and shows the decision of a gate about it.

mod decode;
pub(crate) mod verdict;

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use portcullis_core::keys::document::KeyDocument;
use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_core::keys::set::JwkSet;
use portcullis_core::secret::Secret;
use portcullis_core::time::UnixTime;
use portcullis_core::token::jws::MAX_TOKEN_BYTES;
use portcullis_host::clock::{SystemClock, WallClock as _};
use serde_json::json;

use crate::arguments::{Inspect, Token};
use crate::output::{CommandOutput, Failure};
use crate::policy;
use crate::token::decode::DecodedToken;
use crate::token::verdict::{Keys, TokenVerdict};

pub(crate) fn run(command: &Token) -> Result<CommandOutput, Failure> {
    match command {
        Token::Inspect(arguments) => inspect(arguments),
    }
}

fn inspect(arguments: &Inspect) -> Result<CommandOutput, Failure> {
    let token = read_token(&arguments.token)?;
    let issuer = arguments.issuer.as_deref();
    let policy = arguments.policy.as_deref();
    let policy = policy.map(|file| policy::load(file, issuer)).transpose()?;
    let keys = arguments.keys.as_deref().map(read_keys).transpose()?;
    let now = match arguments.at {
        Some(secs) => UnixTime::from_secs(secs),
        None => SystemClock.read().map_err(Failure::unavailable)?,
    };
    let reading = DecodedToken::of(token.expose(), policy.as_ref(), now);
    let verdict = TokenVerdict::of(token.expose(), policy.as_ref(), keys.as_ref(), now);
    let text = format!("{}\n{}\n", reading.text(), verdict.text());
    let json = json!({
        "header": reading.header(),
        "claims": reading.claims(),
        "verdict": verdict.json(),
    });
    Ok(if verdict.passes() {
        CommandOutput::good(text, json)
    } else {
        CommandOutput::bad(text, json)
    })
}

pub(crate) fn read_token(argument: &str) -> Result<Secret<String>, Failure> {
    if argument != "-" {
        return Ok(Secret::new(argument.trim().to_owned()));
    }
    let most = u64::try_from(MAX_TOKEN_BYTES.saturating_mul(2)).unwrap_or(u64::MAX);
    let mut text = String::new();
    io::stdin()
        .take(most)
        .read_to_string(&mut text)
        .map_err(|error| Failure::Setting(format!("standard input: {error}")))?;
    let text = Secret::new(text);
    Ok(Secret::new(text.expose().trim().to_owned()))
}

/// Keys in any format of Portcullis: a key document, a JWK Set, a single JWK.
pub(crate) fn read_keys(file: &Path) -> Result<Keys, Failure> {
    let json =
        fs::read(file).map_err(|error| Failure::Setting(format!("{}: {error}", file.display())))?;
    if let Ok(document) = KeyDocument::parse(&json) {
        return Ok(Keys::Document(document));
    }
    if let Ok(set) = JwkSet::parse(&json) {
        return Ok(Keys::Set(set));
    }
    // The error of the simplest format is the most useful.
    VerifyingKey::parse(&json)
        .map(|key| Keys::One(Box::new(key)))
        .map_err(|error| {
            Failure::Setting(format!(
                "{}: not a key document, JWK Set or JWK ({error})",
                file.display()
            ))
        })
}
