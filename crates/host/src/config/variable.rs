//! One variable at a time: there or not, good or not, and named when it is not.

use core::fmt;
use core::time::Duration;
use std::ffi::OsString;

use http::Uri;
use portcullis_core::secret::Secret;
use portcullis_core::token::claims::MAX_NAME_BYTES;

use crate::settings;

/// A variable of the environment that cannot be used. Never quotes its value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConfigError {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong about it.
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
}

/// The environment while it is read, with what was found wrong so far.
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

    /// Whether `variable` is set to anything.
    pub(super) fn has(&self, variable: &str) -> bool {
        (self.lookup)(variable).is_some_and(|value| !value.is_empty())
    }

    /// The value of `variable` as `parse` reads it; `None` if it is missing or was found wrong.
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

    /// As [`Environment::optional`], and wrong if it is missing.
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

    /// The value of `variable`, kept secret.
    pub(super) fn secret(&mut self, variable: &'static str) -> Option<Secret<String>> {
        self.required(variable, |text| Ok(Secret::new(text.to_owned())))
    }

    /// The value of `variable`, kept secret, if it is set.
    pub(super) fn optional_secret(&mut self, variable: &'static str) -> Option<Secret<String>> {
        self.optional(variable, |text| Ok(Secret::new(text.to_owned())))
    }

    /// Notes what is wrong; always `None`.
    pub(super) fn fault<T>(&mut self, variable: &'static str, fault: Fault) -> Option<T> {
        self.errors.push(ConfigError { variable, fault });
        None
    }
}

/// An `https` address, or an `http` one on this machine.
pub(super) fn plain_or_loopback(text: &str) -> Result<String, Fault> {
    let fault = Fault::Invalid;
    let uri: Uri = text.parse().map_err(|_| fault)?;
    let host = uri.host().ok_or(fault)?;
    let secure = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => is_loopback(host),
        _ => false,
    };
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

/// One word of printable ASCII, as claims and header values can hold it.
pub(super) fn token_text(text: &str) -> Result<String, Fault> {
    let fits = text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= 1_024;
    let fault = Fault::Invalid;
    fits.then(|| text.to_owned()).ok_or(fault)
}

/// One word of printable ASCII that a claim may be ([`MAX_NAME_BYTES`]).
pub(super) fn claim_text(text: &str) -> Result<String, Fault> {
    let fits = text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= MAX_NAME_BYTES;
    let fault = Fault::Invalid;
    fits.then(|| text.to_owned()).ok_or(fault)
}

/// `on` or `off`.
pub(super) fn on_or_off(text: &str) -> Result<bool, Fault> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Fault::Invalid),
    }
}

/// A table's name as DynamoDB allows it.
pub(super) fn table_name(text: &str) -> Result<String, Fault> {
    let fits = (3..=255).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    let fault = Fault::Invalid;
    fits.then(|| text.to_owned()).ok_or(fault)
}

/// A length of time in whole seconds, from one to `most`.
pub(super) fn positive(text: &str, most: Duration) -> Result<Duration, Fault> {
    let seconds = text.parse().unwrap_or(0);
    if (1..=most.as_secs()).contains(&seconds) {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(Fault::Invalid)
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<core::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for good in [
            "https://login.example",
            "https://login.example/tenant",
            "http://127.0.0.1:8788",
            "http://127.9.9.9",
            "http://localhost:1",
            "http://[::1]:8788/",
        ] {
            assert!(plain_or_loopback(good).is_ok(), "{good}");
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
