//! The rate limits and the source of the client's address.

use portcullis_core::limit::quotas::{Quotas, QuotasError};
use portcullis_core::secret::Secret;
use portcullis_service::refused_sites::RefusedSites;
use portcullis_service::settings::{LimitFailMode, Limits};

use crate::client_address::{AddressSource, TrustedProxy};
use crate::config::variable::{Environment, Fault};

/// The minimum length of the secret between edge and host, in characters.
const MIN_EDGE_SECRET: usize = 32;

const EDGE_SECRET: &str = "PORTCULLIS_EDGE_SECRET";

pub(super) fn limits(env: &mut Environment<'_>) -> Limits {
    let quotas = env.optional("PORTCULLIS_LIMITS", |text| {
        Quotas::parse(text).map_err(|error| {
            Fault::Rule(match error {
                QuotasError::Malformed => "name=attempts/seconds or name=off, separated by commas",
                QuotasError::Quota(_) => {
                    "of quotas of 1 to 1000000 attempts in 1 to 86400 seconds, such as 10/3600"
                }
                QuotasError::Unknown => "a list of names from docs/limits.md",
                QuotasError::Twice => "a list without duplicates",
                QuotasError::TooLarge(_) => {
                    "at most 32 attempts for logins, second factors and passwords"
                }
            })
        })
    });
    let when_down = env.optional("PORTCULLIS_RATE_LIMIT_FAIL_MODE", |text| match text {
        "closed" => Ok(LimitFailMode::Closed),
        "open" => Ok(LimitFailMode::Open),
        _ => Err(Fault::Invalid),
    });
    Limits {
        quotas: quotas.unwrap_or_default(),
        fail_mode: when_down.unwrap_or_default(),
        refused_sites: RefusedSites::default(),
    }
}

/// The trusted source of the client's address; `None` if the settings contradict each other.
pub(super) fn edge(env: &mut Environment<'_>) -> Option<TrustedProxy> {
    let secret = env.optional(EDGE_SECRET, |text| {
        let fits =
            text.len() >= MIN_EDGE_SECRET && text.bytes().all(|byte| byte.is_ascii_graphic());
        let fault = Fault::Invalid;
        fits.then(|| Secret::new(text.to_owned())).ok_or(fault)
    });
    let source = env.optional("PORTCULLIS_CLIENT_IP_SOURCE", |text| {
        let fault = Fault::Invalid;
        AddressSource::parse(text).ok_or(fault)
    });
    match (source.unwrap_or_default(), secret) {
        (AddressSource::Connection, _) => Some(TrustedProxy::Connection),
        (AddressSource::Header(header), Some(secret)) => {
            Some(TrustedProxy::Named { header, secret })
        }
        (AddressSource::Header(_), None) if env.has(EDGE_SECRET) => None,
        (AddressSource::Header(_), None) => env.fault(
            EDGE_SECRET,
            Fault::MissingOr("PORTCULLIS_CLIENT_IP_SOURCE=connection"),
        ),
    }
}
