//! Reads every setting of the host from the environment, once at start-up.
//!
//! [`crate::settings`] lists the variables.

mod aws;
mod connections;
mod limits;
mod listen_mode;
mod mail;
mod passwords;
mod rotation;
mod sessions;
mod variable;

use core::fmt;
use core::time::Duration;
use std::ffi::OsString;
use std::path::PathBuf;

pub use self::connections::ConnectionLimits;

use portcullis_aws::client;
use portcullis_aws::credentials::Credentials;
use portcullis_aws::endpoint::Endpoint;
use portcullis_core::account_claims::{AccountClaimError, AccountClaims};
use portcullis_core::cors::Origin;
use portcullis_core::policy::MAX_LIFETIME;
use portcullis_service::settings::Limits;
use portcullis_service::settings::{PasswordRules, Sessions};
use tracing::level_filters::LevelFilter;

use crate::client_address::TrustedProxy;
pub use crate::config::listen_mode::ListenMode;
pub use crate::config::mail::MailConfig;
pub use crate::config::rotation::RotationConfig;
pub use crate::config::variable::{ConfigError, Fault};
use crate::config::variable::{Environment, claim_text, plain_or_loopback, positive, token_text};
use crate::hasher::HashRules;
use crate::screen::BreachRange;
use crate::secret_source::SecretSource;

/// Every setting of the host.
#[derive(Debug)]
pub struct Config {
    /// The source of requests.
    pub entrance: ListenMode,
    /// The host's issuer name (`iss`), byte for byte as policies compare it.
    pub issuer: String,
    /// The audience of the host's tokens (`aud`).
    pub audience: String,
    /// Further audiences, which clients may name as their resource.
    pub resources: Vec<String>,
    /// The audience of the account endpoints, if it is not the issuer.
    pub account_audience: Option<String>,
    /// The `client_id` of the host's tokens.
    pub client_id: String,
    /// The lifetime of an access token.
    pub access_lifetime: Duration,
    /// The endpoints of AWS, and the table names.
    pub aws: client::Config,
    /// The credentials that sign calls to AWS.
    pub credentials: Credentials,
    /// The endpoint of STS, where STS can identify the credentials. The CLI alone asks it.
    pub sts: Option<Endpoint>,
    /// The source of the signing key.
    pub signing_key: SecretSource,
    /// The settings of the key rotation.
    pub rotation: RotationConfig,
    /// The source of the host's root keys.
    pub host_secret: SecretSource,
    /// The lifetimes of sessions.
    pub sessions: Sessions,
    /// The source of the clients that may introspect, if there are any.
    pub clients: Option<SecretSource>,
    /// The rules for a new password.
    pub passwords: PasswordRules,
    /// Password hashing beyond the current parameters.
    pub hashing: HashRules,
    /// The memory limit of all concurrent hashes, in MiB, if it is set.
    pub hash_memory_mib: Option<u32>,
    /// The breached-password service, if one is set.
    pub breaches: Option<BreachRange>,
    /// The mail settings.
    pub mail: MailConfig,
    /// The rate limits.
    pub limits: Limits,
    /// The scopes and roles of a new account.
    pub new_account_claims: AccountClaims,
    /// The trusted source of the client's address.
    pub edge: TrustedProxy,
    /// The limits of connections to the socket.
    pub connections: ConnectionLimits,
    /// The origins whose pages count as own, beside the issuer's.
    pub origins: Vec<Origin>,
    /// The minimum log level.
    pub log: LevelFilter,
}

/// Every fault of the environment, so that an operator can fix all at once.
#[derive(Debug, Eq, PartialEq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// Each faulty variable with its fault.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "; " };
            write!(f, "{comma}{error}")?;
        }
        Ok(())
    }
}

impl core::error::Error for ConfigErrors {}

impl Config {
    /// Reads the environment of this process.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`] with every missing or invalid variable.
    pub fn from_env() -> Result<Self, ConfigErrors> {
        Self::read(|name| std::env::var_os(name))
    }

    /// Reads the variables through `lookup`. An empty variable counts as missing.
    ///
    /// # Errors
    ///
    /// As [`Config::from_env`].
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigErrors> {
        let mut environment = Environment::new(&lookup);
        match Self::assemble(&mut environment) {
            Some(config) if environment.errors.is_empty() => Ok(config),
            _ => Err(ConfigErrors(environment.errors)),
        }
    }

    fn assemble(env: &mut Environment<'_>) -> Option<Self> {
        for (former, current) in crate::settings::RENAMED {
            if env.has(former) {
                env.errors.push(ConfigError {
                    variable: former,
                    fault: Fault::Renamed(current),
                });
            }
        }
        // Every variable is read before the first missing one ends the reading, so that one run
        // reports all faults.
        let entrance = listen_mode::entrance(env);
        let issuer = env.required("PORTCULLIS_ISSUER", plain_or_loopback);
        let audience = env.required("PORTCULLIS_AUDIENCE", claim_text);
        let resources = env.optional("PORTCULLIS_RESOURCES", resources);
        let account_audience = env.optional("PORTCULLIS_ACCOUNT_AUDIENCE", claim_text);
        let client_id = env.optional("PORTCULLIS_CLIENT_ID", claim_text);
        let access_lifetime = env.optional("PORTCULLIS_ACCESS_LIFETIME", |text| {
            positive(text, MAX_LIFETIME)
        });
        let (aws, credentials) = (aws::services(env), aws::credentials(env));
        let sts = aws::sts(env);
        let signing_key = key_source(
            env,
            "PORTCULLIS_SIGNING_SECRET",
            "PORTCULLIS_SIGNING_KEY_FILE",
        );
        let host_secret = key_source(env, "PORTCULLIS_HOST_SECRET", "PORTCULLIS_HOST_SECRET_FILE");
        let sessions = sessions::sessions(env);
        let clients = optional_source(env, "PORTCULLIS_CLIENTS_SECRET", "PORTCULLIS_CLIENTS_FILE");
        let rotation = rotation::rotation(env, access_lifetime);
        let passwords = passwords::rules(env, issuer.as_deref());
        let breaches = passwords::breaches(env);
        let hashing = passwords::hashing(env);
        let hash_memory_mib = passwords::hash_memory(env);
        let mail = mail::mail(env, issuer.as_deref(), &passwords);
        let (limits, edge) = (limits::limits(env), limits::edge(env));
        let mut new_account_claims = AccountClaims::default();
        for (variable, add) in NEW_ACCOUNT_CLAIMS {
            let parsed = env.optional(variable, |text| added(text, &new_account_claims, add));
            new_account_claims = parsed.unwrap_or(new_account_claims);
        }
        let origins = env.optional("PORTCULLIS_ALLOWED_ORIGINS", origins);
        let connections = connections::limits(env);
        let log = env.optional("PORTCULLIS_LOG", |text| {
            let fault = Fault::Invalid;
            text.parse().map_err(|_| fault)
        });
        Some(Self {
            entrance: entrance?,
            issuer: issuer?,
            audience: audience?,
            resources: resources.unwrap_or_default(),
            account_audience,
            client_id: client_id.unwrap_or_else(|| "portcullis".to_owned()),
            access_lifetime: access_lifetime.unwrap_or(Duration::from_secs(600)),
            sts: aws::sts_or_region(sts, aws.as_ref()?),
            aws: aws?,
            credentials: credentials?,
            signing_key: signing_key?,
            rotation,
            host_secret: host_secret?,
            sessions,
            clients,
            passwords,
            breaches,
            hashing,
            hash_memory_mib,
            mail: mail?,
            limits,
            new_account_claims,
            edge: edge?,
            connections,
            origins: origins.unwrap_or_default(),
            log: log.unwrap_or(LevelFilter::INFO),
        })
    }
}

type AddClaim = fn(&mut AccountClaims, &str) -> Result<bool, AccountClaimError>;

/// The scopes and the roles of a new account.
const NEW_ACCOUNT_CLAIMS: [(&str, AddClaim); 2] = [
    ("PORTCULLIS_NEW_ACCOUNT_SCOPES", AccountClaims::add_scope),
    ("PORTCULLIS_NEW_ACCOUNT_ROLES", AccountClaims::add_role),
];

/// `claims` with the names in `text`, separated by commas.
fn added(text: &str, claims: &AccountClaims, add: AddClaim) -> Result<AccountClaims, Fault> {
    let mut claims = claims.clone();
    for name in text.split(',') {
        add(&mut claims, name.trim()).map_err(|_error| Fault::Invalid)?;
    }
    Ok(claims)
}

/// The maximum number of resources.
const MAX_RESOURCES: usize = 32;

/// Parses audiences, separated by commas.
fn resources(text: &str) -> Result<Vec<String>, Fault> {
    let names: Vec<_> = text
        .split(',')
        .map(|name| claim_text(name.trim()))
        .collect();
    let fits = names.len() <= MAX_RESOURCES;
    let names: Result<Vec<_>, _> = names.into_iter().collect();
    names.and_then(|names| {
        let whole = fits && names.iter().all(|name| !name.is_empty());
        whole.then_some(names).ok_or(Fault::Invalid)
    })
}

/// The maximum number of configured origins.
const MAX_ORIGINS: usize = 32;

/// Parses origins, separated by commas.
fn origins(text: &str) -> Result<Vec<Origin>, Fault> {
    let origins: Option<Vec<_>> = text
        .split(',')
        .map(|origin| Origin::parse(origin.trim()))
        .collect();
    let fault = Fault::Invalid;
    origins
        .filter(|origins| origins.len() <= MAX_ORIGINS)
        .ok_or(fault)
}

/// A required secret, in Secrets Manager or in a file.
fn key_source(
    env: &mut Environment<'_>,
    secret_variable: &'static str,
    file_variable: &'static str,
) -> Option<SecretSource> {
    if !env.has(secret_variable) && !env.has(file_variable) {
        return env.fault(secret_variable, Fault::MissingOr(file_variable));
    }
    optional_source(env, secret_variable, file_variable)
}

/// As [`key_source`], for an optional secret.
fn optional_source(
    env: &mut Environment<'_>,
    secret_variable: &'static str,
    file_variable: &'static str,
) -> Option<SecretSource> {
    let secret = env.optional(secret_variable, token_text);
    let file = env.optional(file_variable, |text| Ok(PathBuf::from(text)));
    match (secret, file) {
        (Some(secret), None) => Some(SecretSource::Secret(secret)),
        (None, Some(file)) => Some(SecretSource::File(file)),
        (Some(_), Some(_)) => env.fault(secret_variable, Fault::Exclusive(file_variable)),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use portcullis_aws::dynamodb::table::Tables;

    use super::*;

    const WHOLE: [(&str, &str); 8] = [
        ("PORTCULLIS_LISTEN", "127.0.0.1:8788"),
        ("PORTCULLIS_ISSUER", "https://login.example"),
        ("PORTCULLIS_AUDIENCE", "https://api.example"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI"),
        (
            "PORTCULLIS_SIGNING_KEY_FILE",
            "/var/lib/portcullis/key.json",
        ),
        (
            "PORTCULLIS_HOST_SECRET_FILE",
            "/var/lib/portcullis/secret.json",
        ),
    ];

    fn read(changes: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        let mut variables = BTreeMap::from(WHOLE);
        variables.extend(changes.iter().copied());
        Config::read(|name| variables.get(name).map(OsString::from))
    }

    fn reported(changes: &[(&str, &str)]) -> String {
        read(changes)
            .map(|_| ())
            .expect_err("not usable")
            .to_string()
    }

    #[test]
    fn a_variable_under_its_former_name_is_an_error_with_the_current_name() {
        for (former, current) in crate::settings::RENAMED {
            let name = current.split('=').next().expect("a name");
            assert!(crate::settings::find(name).is_some(), "{name}");
            assert!(crate::settings::find(former).is_none(), "{former}");
            assert_eq!(
                reported(&[(former, "refuse")]),
                format!("{former} was renamed: set {current} instead")
            );
            assert!(read(&[(former, "")]).is_ok(), "an empty variable is unset");
        }
    }

    #[test]
    fn unset_variables_have_the_documented_defaults() {
        let config = read(&[]).expect("whole");
        assert_eq!(
            config.entrance,
            ListenMode::Socket("127.0.0.1:8788".parse().expect("an address"))
        );
        assert_eq!(config.issuer, "https://login.example");
        assert_eq!(config.client_id, "portcullis");
        assert_eq!(config.access_lifetime, Duration::from_secs(600));
        assert_eq!(config.aws.tables, Tables::default());
        assert_eq!(
            config.aws.dynamodb.to_string(),
            "https://dynamodb.eu-central-1.amazonaws.com/"
        );
        assert!(!format!("{config:?}").contains("wJalrXUtnFEMI"));
    }

    #[test]
    fn all_missing_variables_are_reported_at_once() {
        for (name, _) in WHOLE {
            assert!(reported(&[(name, "")]).contains(name), "{name}");
        }
        let all = Config::read(|_| None)
            .map(|_| ())
            .expect_err("nothing is set");
        assert_eq!(all.iter().count(), WHOLE.len());
    }

    #[test]
    fn an_invalid_variable_is_named_and_its_value_never_quoted() {
        for (name, value) in [
            ("PORTCULLIS_LISTEN", "localhost"),
            ("PORTCULLIS_ISSUER", "http://login.example"),
            ("PORTCULLIS_ISSUER", "https://login.example/?a=b"),
            ("PORTCULLIS_AUDIENCE", "two words"),
            ("AWS_REGION", "Frankfurt am Main"),
            ("PORTCULLIS_DYNAMODB_ENDPOINT", "http://dynamodb.example"),
            ("PORTCULLIS_DYNAMODB_ENDPOINT", "127.0.0.1:8000"),
            ("PORTCULLIS_DYNAMODB_ENDPOINT", "http://127.0.0.1:8000/path"),
            ("PORTCULLIS_SECRETS_ENDPOINT", "ftp://127.0.0.1"),
            ("PORTCULLIS_TABLE", "no/slash"),
            ("PORTCULLIS_ACCESS_LIFETIME", "0"),
            ("PORTCULLIS_ACCESS_LIFETIME", "86401"),
            ("PORTCULLIS_ACCESS_LIFETIME", "10m"),
            ("PORTCULLIS_CLIENT_ID", "a\u{e9}"),
            ("PORTCULLIS_LIMITS", "login_email=33/60"),
            ("PORTCULLIS_LIMITS", "logins=1/60"),
            ("PORTCULLIS_RATE_LIMIT_FAIL_MODE", "maybe"),
            ("PORTCULLIS_CLIENT_IP_SOURCE", "header:x-forwarded-for"),
            ("PORTCULLIS_EDGE_SECRET", "too short"),
            ("PORTCULLIS_SESSION_IDLE", "59"),
            ("PORTCULLIS_SESSION_LIFETIME", "34560001"),
            ("PORTCULLIS_REFRESH_GRACE", "61"),
            ("PORTCULLIS_LOG", "loud"),
            ("PORTCULLIS_PEPPER", "yes"),
            ("PORTCULLIS_LEGACY_HASH_SAMPLE", "$1$md5"),
            ("PORTCULLIS_HASH_MEMORY", "31"),
            ("PORTCULLIS_BRAND_NAMES", "Acme,,Cloud"),
            ("PORTCULLIS_PASSWORD_SCORE", "5"),
            (
                "PORTCULLIS_PWNED_PASSWORDS_URL",
                "https://range.example/range",
            ),
            (
                "PORTCULLIS_PWNED_PASSWORDS_URL",
                "http://range.example/range/",
            ),
            ("PORTCULLIS_PWNED_PASSWORDS_FAIL_MODE", "shrug"),
            ("PORTCULLIS_MAIL_FROM", "nobody"),
            ("PORTCULLIS_PUBLIC_URL", "http://login.example"),
            ("PORTCULLIS_VERIFY_PAGE", "/verify"),
            ("PORTCULLIS_RESET_PAGE", "https://login.example/#r"),
            ("PORTCULLIS_VERIFY_LIFETIME", "3601"),
            ("PORTCULLIS_RESET_LIFETIME", "599"),
            ("PORTCULLIS_REQUIRE_VERIFIED", "maybe"),
            ("PORTCULLIS_SMTPUTF8", "maybe"),
            ("PORTCULLIS_DISPOSABLE", "yes"),
            ("PORTCULLIS_SES_ENDPOINT", "ftp://127.0.0.1"),
            ("PORTCULLIS_STS_ENDPOINT", "http://sts.example"),
            ("PORTCULLIS_STS_ENDPOINT", "https://sts.example/path"),
            ("PORTCULLIS_SIGNING_SECRET", "both"),
            ("PORTCULLIS_SECRET_CACHE", "0"),
            ("PORTCULLIS_EDGE_JWKS_MAX_AGE", "1h"),
            ("PORTCULLIS_THIRD_PARTY_CACHE", "999999"),
            ("PORTCULLIS_SIGNING_ALGORITHM", "HS256"),
            ("PORTCULLIS_HOST_SECRET", "both"),
            ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"),
        ] {
            let reported = reported(&[(name, value)]);
            let names = if name == "AWS_LAMBDA_RUNTIME_API" {
                "AWS_LAMBDA_FUNCTION_NAME"
            } else {
                name
            };
            assert!(reported.contains(names), "{name}: {reported}");
            assert!(
                !reported.contains(value) || value == "0" || value == "both",
                "{reported}"
            );
        }
    }

    #[test]
    fn sts_is_asked_in_the_region_unless_dynamodb_is_on_loopback() {
        let sts = |changes: &[(&str, &str)]| {
            let endpoint = read(changes).expect("whole").sts;
            endpoint.map(|endpoint| endpoint.to_string())
        };
        let local = ("PORTCULLIS_DYNAMODB_ENDPOINT", "http://127.0.0.1:8000");
        let configured = ("PORTCULLIS_STS_ENDPOINT", "http://127.0.0.1:9000");
        let region = Some("https://sts.eu-central-1.amazonaws.com/".to_owned());
        assert_eq!(sts(&[]), region);
        let private = ("PORTCULLIS_DYNAMODB_ENDPOINT", "https://dynamodb.example");
        assert_eq!(sts(&[private]), region);
        assert_eq!(sts(&[local]), None);
        let set = Some("http://127.0.0.1:9000/".to_owned());
        assert_eq!(sts(&[local, configured]), set);
        assert_eq!(sts(&[configured]), set);
    }

    #[test]
    fn an_edge_as_client_ip_source_requires_the_edge_secret() {
        let named = ("PORTCULLIS_CLIENT_IP_SOURCE", "cloudfront");
        assert!(reported(&[named]).starts_with("PORTCULLIS_EDGE_SECRET"));
        let secret = ("PORTCULLIS_EDGE_SECRET", "0123456789abcdef0123456789abcdef");
        let edge = read(&[named, secret]).expect("whole").edge;
        assert!(matches!(edge, TrustedProxy::Named { .. }));
        assert!(!format!("{edge:?}").contains("0123"));
    }

    #[test]
    fn an_aws_credential_with_white_space_is_refused_by_name_and_never_printed() {
        for name in [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
        ] {
            for value in [
                "swordfish\n",
                "\nswordfish",
                " swordfish",
                "swordfish ",
                "sword fish",
                "sword\r\nfish",
                "sword\tfish",
                "swordfish\u{a0}",
            ] {
                let message = reported(&[(name, value)]);
                assert!(message.contains(name), "{name} {value:?}: {message}");
                assert!(!message.contains("sword"), "{name} {value:?}");
            }
            assert!(read(&[(name, "sword/fish+9=")]).is_ok(), "{name}");
        }
    }

    #[test]
    fn an_invalid_lambda_variable_is_an_error_and_no_panic() {
        for (name, value) in [
            ("AWS_LAMBDA_RUNTIME_API", "not a host"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "a lot"),
        ] {
            let mut changes = vec![
                ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"),
                ("AWS_LAMBDA_FUNCTION_NAME", "host"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ];
            assert!(read(&changes).is_ok());
            changes.push((name, value));
            assert!(reported(&changes).contains(name));
        }
    }

    #[test]
    fn lambda_mode_is_detected_by_the_runtime_api_variable() {
        let config = read(&[
            ("PORTCULLIS_LISTEN", ""),
            ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"),
            ("AWS_LAMBDA_FUNCTION_NAME", "host"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ]);
        assert_eq!(config.expect("whole").entrance, ListenMode::Lambda);
    }
}
