//! The configuration of the Worker, from its variables and secrets.

use http::Uri;
use portcullis_aws::client::Config as AwsConfig;
use portcullis_aws::credentials::Credentials;
use portcullis_aws::endpoint::{Endpoint, EndpointError, Region, RegionError};
use portcullis_core::assertion::is_edge_secret;
use portcullis_core::denial::RatePeriod;
use portcullis_core::host_route::HostRoute;
use portcullis_core::path::CanonicalPath;
use portcullis_core::policy::{Policy, PolicyError};
use portcullis_core::route::RevocationMode;
use portcullis_core::secret::Secret;
use portcullis_core::transport_security::is_protected;
use thiserror::Error;
use wasm_bindgen::JsValue;
use worker::Env;

use crate::origin_proof::{OriginProof, OriginProofError, ProofSettings};

/// The validated configuration of a Worker.
#[derive(Debug)]
pub struct Config {
    /// The trusted issuers and the rules of the routes (`PORTCULLIS_POLICY`, `PORTCULLIS_ISSUER`).
    pub policy: Policy,
    /// The origin of authorized requests (`PORTCULLIS_ORIGIN`).
    pub origin: Origin,
    /// The auth host behind this Worker (`PORTCULLIS_HOST`, `PORTCULLIS_HOST_EDGE_SECRET`).
    pub host: Option<AuthHost>,
    /// The proof that a request passed the edge (`PORTCULLIS_ORIGIN_PROOF`,
    /// `PORTCULLIS_EDGE_SECRET`, `PORTCULLIS_ASSERTION_KEYS`).
    pub origin_proof: OriginProof,
    /// The period of the platform's rate limit (`PORTCULLIS_RATE_PERIOD`, in seconds). The binding
    /// does not expose it.
    pub rate_period: RatePeriod,
    /// Region, endpoint and table (`AWS_REGION`, `PORTCULLIS_DYNAMODB_ENDPOINT`,
    /// `PORTCULLIS_BLACKLIST_TABLE`).
    pub aws: AwsConfig,
    /// The secrets `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, for temporary credentials,
    /// `AWS_SESSION_TOKEN`.
    pub credentials: Credentials,
}

/// The auth host, which the Worker reaches under the path of its issuer.
#[derive(Debug)]
pub struct AuthHost {
    /// The paths of the issuer.
    pub route: HostRoute,
    /// The address of the host.
    pub origin: Origin,
    /// The host's own `PORTCULLIS_EDGE_SECRET`.
    pub secret: Secret<String>,
}

/// A variable is missing or invalid. The error contains its name, and never the value of a secret.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The variable is not set, or empty.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// The value contains spaces, line breaks or non-ASCII characters.
    #[error("{0} must be one word of printable ASCII")]
    NotOneWord(&'static str),
    /// The platform supports periods of 10 and 60 seconds.
    #[error("PORTCULLIS_RATE_PERIOD must be 10 or 60")]
    RatePeriod,
    /// The policy is invalid.
    #[error("PORTCULLIS_POLICY: {0}")]
    Policy(#[from] PolicyError),
    /// The proof to the origin is invalid.
    #[error("{0}")]
    OriginProof(#[from] OriginProofError),
    /// The issuer has no path, so its host has no paths of its own.
    #[error(
        "PORTCULLIS_HOST needs a PORTCULLIS_ISSUER with a path, such as https://app.example/auth"
    )]
    HostPath,
    /// The secret for the host is invalid.
    #[error(
        "PORTCULLIS_HOST_EDGE_SECRET must have 32 or more printable ASCII characters without blanks"
    )]
    HostSecret,
    /// The value is no text.
    #[error("{0} is not a text")]
    NotText(&'static str),
    /// A setting needs a feature that this build does not have.
    #[error("{0} needs a build with the feature {1}")]
    NotBuilt(&'static str, &'static str),
    /// The region is invalid.
    #[error("AWS_REGION: {0}")]
    Region(#[from] RegionError),
    /// An address is invalid.
    #[error("{0}: {1}")]
    Endpoint(&'static str, EndpointError),
    /// The URL of our own issuer is invalid or without TLS ([RFC 9700 §2.6]).
    ///
    /// [RFC 9700 §2.6]: https://www.rfc-editor.org/rfc/rfc9700#section-2.6
    #[error("PORTCULLIS_ISSUER must be an https URL, or an http URL with a loopback address")]
    Issuer,
}

impl Config {
    /// Reads and validates the variables.
    ///
    /// # Errors
    ///
    /// The first [`ConfigError`] found.
    pub fn read(env: &Env) -> Result<Self, ConfigError> {
        let own_issuer = text(env, "PORTCULLIS_ISSUER")?;
        if !own_issuer.as_deref().is_none_or(is_issuer) {
            return Err(ConfigError::Issuer);
        }
        let policy = Policy::parse(&required(env, "PORTCULLIS_POLICY")?, own_issuer.as_deref())?;
        check_features(env, &policy)?;
        let origin = required(env, "PORTCULLIS_ORIGIN")?;
        let endpoint = |name| move |error| ConfigError::Endpoint(name, error);
        let origin = Origin::parse(&origin).map_err(endpoint("PORTCULLIS_ORIGIN"))?;
        let secret = |name| Ok::<_, ConfigError>(text(env, name)?.map(Secret::new));
        let host = match text(env, "PORTCULLIS_HOST")? {
            None => None,
            Some(address) => Some(AuthHost {
                route: host_route(own_issuer.as_deref()).ok_or(ConfigError::HostPath)?,
                origin: Origin::parse(&address).map_err(endpoint("PORTCULLIS_HOST"))?,
                secret: secret("PORTCULLIS_HOST_EDGE_SECRET")?
                    .filter(|secret| is_edge_secret(secret.expose()))
                    .ok_or(ConfigError::HostSecret)?,
            }),
        };
        let origin_proof = OriginProof::of(ProofSettings {
            kind: text(env, "PORTCULLIS_ORIGIN_PROOF")?,
            secret: secret("PORTCULLIS_EDGE_SECRET")?,
            keys: secret("PORTCULLIS_ASSERTION_KEYS")?,
        })?;
        let rate_period = rate_period(text(env, "PORTCULLIS_RATE_PERIOD")?.as_deref())?;
        let region = Region::parse(&required(env, "AWS_REGION")?)?;
        let mut aws = AwsConfig::of(region).map_err(endpoint("AWS_REGION"))?;
        if let Some(address) = text(env, "PORTCULLIS_DYNAMODB_ENDPOINT")? {
            aws.dynamodb =
                Endpoint::parse(&address).map_err(endpoint("PORTCULLIS_DYNAMODB_ENDPOINT"))?;
        }
        if let Some(table) = text(env, "PORTCULLIS_BLACKLIST_TABLE")? {
            aws.tables.blacklist = table;
        }
        let secret = Secret::new(one_word(
            "AWS_SECRET_ACCESS_KEY",
            required(env, "AWS_SECRET_ACCESS_KEY")?,
        )?);
        let key_id = one_word("AWS_ACCESS_KEY_ID", required(env, "AWS_ACCESS_KEY_ID")?)?;
        let mut credentials = Credentials::new(key_id, secret);
        if let Some(token) = text(env, "AWS_SESSION_TOKEN")? {
            let token = one_word("AWS_SESSION_TOKEN", token)?;
            credentials = credentials.with_session_token(Secret::new(token));
        }
        Ok(Self {
            policy,
            origin,
            host,
            origin_proof,
            rate_period,
            aws,
            credentials,
        })
    }
}

// SECURITY: fails closed. A build without a feature must not ignore a setting that needs it.
fn check_features(env: &Env, policy: &Policy) -> Result<(), ConfigError> {
    if cfg!(not(feature = "lookup")) {
        let routes = policy.routes.iter();
        let mut modes = routes.map(|route| route.requirement.revocation);
        if modes.any(|mode| mode == RevocationMode::Lookup) {
            let setting = r#"PORTCULLIS_POLICY with "revocation": "lookup""#;
            return Err(ConfigError::NotBuilt(setting, "lookup"));
        }
    }
    if cfg!(not(feature = "websocket")) {
        let mut routes = policy.routes.iter();
        if routes.any(|route| route.requirement.upgrade) {
            let setting = r#"PORTCULLIS_POLICY with "upgrade": true"#;
            return Err(ConfigError::NotBuilt(setting, "websocket"));
        }
    }
    if cfg!(not(feature = "rate-limit")) {
        for name in ["RATE_LIMIT", "PORTCULLIS_RATE_PERIOD"] {
            if !matches!(text(env, name), Ok(None)) {
                return Err(ConfigError::NotBuilt(name, "rate-limit"));
            }
        }
    }
    Ok(())
}

/// An optional variable or secret: the platform exposes both in the same way. An empty one counts as
/// not set.
// SECURITY: fails closed. A value that is no text, such as a JSON variable, must not count as unset.
fn text(env: &Env, name: &'static str) -> Result<Option<String>, ConfigError> {
    let value = js_sys::Reflect::get(env, &name.into()).unwrap_or(JsValue::NULL);
    if value.is_undefined() {
        return Ok(None);
    }
    let text = value.as_string().ok_or(ConfigError::NotText(name))?;
    Ok((!text.is_empty()).then_some(text))
}

fn required(env: &Env, name: &'static str) -> Result<String, ConfigError> {
    text(env, name)?.ok_or(ConfigError::Missing(name))
}

fn host_route(issuer: Option<&str>) -> Option<HostRoute> {
    let uri: Uri = issuer?.parse().ok()?;
    HostRoute::new(uri.path())
}

fn is_issuer(text: &str) -> bool {
    let protected = |uri: Uri| {
        let (scheme, host) = (uri.scheme_str(), uri.host());
        is_protected(scheme.unwrap_or_default(), host.unwrap_or_default())
    };
    // The host rejects the same characters: a user name and a fragment disguise the host.
    !text.contains(['#', '@']) && text.parse().is_ok_and(protected)
}

/// The default is the longer period: a client that waits too long is not rejected again.
fn rate_period(text: Option<&str>) -> Result<RatePeriod, ConfigError> {
    match text {
        Some("10") => Ok(RatePeriod::TenSeconds),
        Some("60") | None => Ok(RatePeriod::Minute),
        Some(_) => Err(ConfigError::RatePeriod),
    }
}

/// A secret pasted with a line break would create invalid signatures.
fn one_word(name: &'static str, text: String) -> Result<String, ConfigError> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err(ConfigError::NotOneWord(name))
    }
}

/// The origin of authorized requests: only scheme, host and port.
#[derive(Clone, Debug)]
pub struct Origin(String);

impl Origin {
    /// Parses an address such as `https://origin.example`.
    ///
    /// # Errors
    ///
    /// [`EndpointError`], the rule that `text` violates.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let endpoint = Endpoint::parse(text)?;
        let text = endpoint.to_string();
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }

    /// Scheme, host and port, without a final slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of the forwarded request: the verified path, and the unchanged query.
    pub fn target(&self, path: &CanonicalPath, query: Option<&str>) -> String {
        query.map_or_else(
            || format!("{}{path}", self.0),
            |query| format!("{}{path}?{query}", self.0),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_limit_period_is_10_or_60_seconds() {
        let seconds = |text| rate_period(text).ok().map(|period| period.secs());
        assert_eq!(seconds(Some("10")), Some(10));
        assert_eq!(seconds(Some("60")), Some(60));
        assert_eq!(seconds(None), Some(60));
        for bad in ["", "30", "10s", "-10"] {
            assert_eq!(seconds(Some(bad)), None, "{bad}");
        }
    }

    #[test]
    fn an_issuer_without_tls_is_accepted_on_loopback_only() {
        for accepted in [
            "https://login.example",
            "https://login.example/tenant",
            "http://127.0.0.1:8788",
            "http://LOCALHOST:8788/tenant",
            "http://[::1]:8788",
        ] {
            assert!(is_issuer(accepted), "{accepted}");
        }
        for bad in [
            "login.example",
            "/",
            "http://login.example",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1@evil.example",
            "https://user@login.example",
            "https://login.example/#a",
            "ws://127.0.0.1",
        ] {
            assert!(!is_issuer(bad), "{bad}");
        }
    }

    #[test]
    fn the_host_has_the_paths_of_an_issuer_with_a_path() {
        let covers = |issuer| {
            let route = host_route(Some(issuer))?;
            Some(route.covers("/auth/v1/login").is_some())
        };
        assert_eq!(covers("https://app.example/auth"), Some(true));
        assert_eq!(covers("http://127.0.0.1:8787/auth"), Some(true));
        assert_eq!(covers("https://app.example/other"), Some(false));
        for bad in [
            "https://app.example",
            "https://app.example/",
            "https://app.example/auth/",
        ] {
            assert_eq!(covers(bad), None, "{bad}");
        }
        assert_eq!(host_route(None), None);
    }

    #[test]
    fn an_origin_without_tls_is_accepted_on_loopback_only() {
        let path = CanonicalPath::parse("/a").expect("canonical");
        for (text, target) in [
            (
                "https://origin.example:8443",
                "https://origin.example:8443/a",
            ),
            ("http://localhost:8789", "http://localhost:8789/a"),
            ("http://[::1]:8789", "http://[::1]:8789/a"),
        ] {
            let origin = Origin::parse(text).expect("good");
            assert_eq!(origin.target(&path, None), target);
        }
        for bad in [
            "http://origin.example",
            "HTTP://ORIGIN.EXAMPLE",
            "http://10.0.0.1:8789",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1@evil.example",
            "http://[::2]:8789",
        ] {
            let error = Origin::parse(bad).expect_err("without TLS");
            let shown = ConfigError::Endpoint("PORTCULLIS_ORIGIN", error).to_string();
            assert!(shown.starts_with("PORTCULLIS_ORIGIN: "), "{shown}");
            assert!(!shown.contains(bad), "{shown}");
        }
    }

    #[test]
    fn an_origin_with_a_path_is_rejected() {
        let path = CanonicalPath::parse("/a/b").expect("canonical");
        for text in ["http://127.0.0.1:8789", "http://127.0.0.1:8789/"] {
            let origin = Origin::parse(text).expect("good");
            assert_eq!(
                origin.target(&path, Some("c=d")),
                "http://127.0.0.1:8789/a/b?c=d"
            );
            assert_eq!(origin.target(&path, None), "http://127.0.0.1:8789/a/b");
        }
        for bad in [
            "",
            "origin.example",
            "ftp://x",
            "https://x/base",
            "https://u:p@x",
        ] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
    }
}
