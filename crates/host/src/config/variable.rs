//! One variable at a time: its presence, its value and its fault.

use core::fmt;
use core::time::Duration;
use std::ffi::OsString;

use http::Uri;
use portcullis_core::token::claims::MAX_NAME_BYTES;
use portcullis_core::transport_security::is_protected;

use crate::settings;

/// An unusable variable of the environment. Never quotes its value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConfigError {
    /// The variable.
    pub variable: &'static str,
    /// The reason why it is invalid.
    pub fault: Fault,
}

impl core::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (variable, expected) = (self.variable, settings::expected(self.variable));
        match self.fault {
            Fault::Missing => write!(f, "{variable} is not set; expected: {expected}"),
            Fault::MissingOr(other) => write!(f, "{variable} or {other} must be set"),
            Fault::Exclusive(other) => write!(f, "set {variable} or {other}, not both"),
            Fault::Invalid => write!(f, "{variable} is invalid; expected: {expected}"),
            Fault::Rule(rule) => write!(f, "{variable} must be {rule}"),
            Fault::Renamed(name) => write!(f, "{variable} was renamed: set {name} instead"),
        }
    }
}

/// The fault of a variable. The table of settings has the values that the variable accepts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It is not set, or empty.
    Missing,
    /// Neither it nor the other one is set.
    MissingOr(&'static str),
    /// Both it and the other one are set.
    Exclusive(&'static str),
    /// Its value is not accepted.
    Invalid,
    /// Its value breaks a rule that the table cannot state.
    Rule(&'static str),
    /// It is set under its former name.
    Renamed(&'static str),
}

/// The environment while it is read, with the faults so far.
pub(super) struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<OsString>,
    pub(super) errors: Vec<ConfigError>,
}

impl<'a> Environment<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self {
            lookup,
            errors: vec![],
        }
    }

    /// Whether `variable` is set and not empty.
    pub(super) fn has(&self, variable: &str) -> bool {
        (self.lookup)(variable).is_some_and(|value| !value.is_empty())
    }

    /// The value of `variable`, parsed by `parse`; `None` if it is missing or invalid.
    pub(super) fn optional<T>(
        &mut self,
        variable: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let value = (self.lookup)(variable).filter(|value| !value.is_empty())?;
        let parsed = match value.to_str() {
            Some(text) => parse(text),
            None => Err(Fault::Invalid),
        };
        parsed.map_or_else(|fault| self.fault(variable, fault), Some)
    }

    /// As [`Environment::optional`]; a missing variable is a fault.
    pub(super) fn required<T>(
        &mut self,
        variable: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        if self.has(variable) {
            self.optional(variable, parse)
        } else {
            self.fault(variable, Fault::Missing)
        }
    }

    /// Records a fault; always returns `None`.
    pub(super) fn fault<T>(&mut self, variable: &'static str, fault: Fault) -> Option<T> {
        self.errors.push(ConfigError { variable, fault });
        None
    }
}

/// Parses an `https` URL, or an `http` URL on loopback.
pub(super) fn plain_or_loopback(text: &str) -> Result<String, Fault> {
    let fault = Fault::Invalid;
    let uri: Uri = text.parse().map_err(|_| fault)?;
    let host = uri.host().ok_or(fault)?;
    let secure = is_protected(uri.scheme_str().unwrap_or_default(), host);
    let clean = text.len() <= MAX_NAME_BYTES
        && uri.query().is_none()
        && !text.contains(['#', '@', '"', '\\'])
        && text.is_ascii();
    if secure && clean {
        Ok(text.to_owned())
    } else {
        Err(fault)
    }
}

/// Parses printable ASCII without blanks, as a claim or a header value holds it.
pub(super) fn token_text(text: &str) -> Result<String, Fault> {
    let fits = text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= 1_024;
    let fault = Fault::Invalid;
    fits.then(|| text.to_owned()).ok_or(fault)
}

/// Parses printable ASCII without blanks, of a claim's length ([`MAX_NAME_BYTES`]).
pub(super) fn claim_text(text: &str) -> Result<String, Fault> {
    let fits = text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= MAX_NAME_BYTES;
    let fault = Fault::Invalid;
    fits.then(|| text.to_owned()).ok_or(fault)
}

/// Parses `on` or `off`.
pub(super) fn on_or_off(text: &str) -> Result<bool, Fault> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Fault::Invalid),
    }
}

/// Parses a table name by DynamoDB's rules.
pub(super) fn table_name(text: &str) -> Result<String, Fault> {
    let fits = (3..=255).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    let fault = Fault::Invalid;
    fits.then(|| text.to_owned()).ok_or(fault)
}

/// Parses a duration in whole seconds, from 1 to `most`.
pub(super) fn positive(text: &str, most: Duration) -> Result<Duration, Fault> {
    let seconds = text.parse().unwrap_or(0);
    if (1..=most.as_secs()).contains(&seconds) {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(Fault::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_accepted_on_loopback_only() {
        for accepted in [
            "https://login.example",
            "https://login.example/tenant",
            "http://127.0.0.1:8788",
            "http://127.9.9.9",
            "http://localhost:1",
            "http://[::1]:8788/",
        ] {
            assert!(plain_or_loopback(accepted).is_ok(), "{accepted}");
        }
        for bad in [
            "http://10.0.0.1",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "ws://127.0.0.1",
            "login.example",
            "/",
            "https://user@login.example",
            "https://login.example/#a",
            "https://login.example/?a",
        ] {
            assert!(plain_or_loopback(bad).is_err(), "{bad}");
        }
    }
}
