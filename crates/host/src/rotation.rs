//! The adapter of the rotation function: an event of Secrets Manager becomes a step of the
//! rotation.
//!
//! The function and the CLI work with the host's own settings and clients.

use core::fmt;

use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_aws::secrets_manager::SecretsManager;
use portcullis_aws::secrets_manager::signing_secret::SigningSecret;
use portcullis_core::root_keys::RootKeys;
use portcullis_jwt::{JwkKeyFactory, NativeVerifier};
use portcullis_service::context::ServiceContext;
use portcullis_service::error::UseCaseError;
use portcullis_service::ports::{RequestMeta, SecureRandom as _};
use portcullis_service::rotate::ports::RotationPorts;
use portcullis_service::rotate::revoke::{KeyRevocation, revoke_key};
use portcullis_service::rotate::{RotateError, Rotation, Step};
use serde::Deserialize;
use thiserror::Error;
use tracing::{error, info};

use crate::clock::{ClockError, RequestClock};
use crate::error_chain::ErrorChain;
use crate::host::Host;
use crate::random::SystemRandom;
use crate::root_keys::HostRootKeysError;
use crate::secret_source::SecretSource;
use crate::transport::HyperTransport;

/// The actor of this function in the audit trail.
const FUNCTION: &str = "function:rotation";

/// The ports of one rotation or revocation, which starts with `call`.
#[derive(Debug)]
pub struct RotationContext<'a> {
    host: &'a Host,
    secret: Option<SigningSecret<'a, HyperTransport>>,
    store: DynamoStore<'a, HyperTransport>,
    clock: RequestClock<'a>,
    root_keys: &'a RootKeys,
    call: &'a RequestMeta,
}

impl<'a> RotationPorts for RotationContext<'a> {
    type Secret = SigningSecret<'a, HyperTransport>;
    type Factory = JwkKeyFactory;
    type Signatures = NativeVerifier;
    type Clock = RequestClock<'a>;
    type Store = DynamoStore<'a, HyperTransport>;
    type Random = SystemRandom;
}

/// The event of Secrets Manager for each step. It may contain a rotation token for cross-account
/// roles; this function assumes no role.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotationEvent {
    step: String,
    secret_id: String,
    client_request_token: String,
}

/// A step failed; Secrets Manager retries it.
#[derive(Debug, Error)]
pub enum RotationFunctionError {
    /// The event names no step.
    #[error("the event names no step of a rotation")]
    Step,
    /// The event is for another secret than `PORTCULLIS_SIGNING_SECRET`.
    #[error("the event is for another secret than PORTCULLIS_SIGNING_SECRET")]
    Secret,
    /// The signing key is in a file, which no rotation changes.
    #[error("the signing key is in a file: only a secret can be rotated")]
    File,
    /// The clock is unreadable.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The root keys are unavailable.
    #[error("the host's root keys are unavailable")]
    RootKeys(#[source] HostRootKeysError),
    /// The step itself failed.
    #[error(transparent)]
    Rotate(#[from] RotateError),
}

impl RotationFunctionError {
    /// A stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Step => "unknown_step",
            Self::Secret => "other_secret",
            Self::File => "key_in_file",
            Self::Clock(_) => "no_clock",
            Self::RootKeys(_) => "key_unavailable",
            Self::Rotate(error) => error.code(),
        }
    }
}

impl<'a> RotationContext<'a> {
    /// Opens the ports of a rotation of the host's signing secret. The client address of `call` is
    /// the actor in the audit trail.
    ///
    /// # Errors
    ///
    /// [`RotationFunctionError::RootKeys`].
    pub async fn open(
        host: &'a Host,
        call: &'a RequestMeta,
    ) -> Result<Self, RotationFunctionError> {
        let root_keys = host.root_keys.open(&host.client, call.now).await;
        let manager = SecretsManager::at(&host.client, call.now);
        Ok(Self {
            host,
            secret: match &host.signing_key {
                SecretSource::Secret(name) => Some(SigningSecret::new(manager, name)),
                SecretSource::File(_) => None,
            },
            store: host.store(call.now),
            clock: RequestClock::new(&*host.clock, call.now),
            root_keys: root_keys.map_err(RotationFunctionError::RootKeys)?,
            call,
        })
    }

    /// The rotation.
    ///
    /// # Errors
    ///
    /// [`RotationFunctionError::File`] if the key is in a file.
    pub fn rotation(&self) -> Result<Rotation<'_, Self>, RotationFunctionError> {
        let secret = self.secret.as_ref();
        Ok(Rotation {
            context: self.service(),
            secret: secret.ok_or(RotationFunctionError::File)?,
            factory: &JwkKeyFactory,
            signatures: &NativeVerifier,
            clock: &self.clock,
            bounds: self.host.rotation.bounds,
            algorithm: self.host.rotation.algorithm,
        })
    }

    /// Revokes the key `key_id`, wherever it is stored.
    ///
    /// # Errors
    ///
    /// [`UseCaseError`]; the key may still be valid then.
    pub async fn revoke(&self, key_id: &str) -> Result<KeyRevocation, UseCaseError> {
        let lifetime = self.host.rotation.bounds.token_lifetime;
        revoke_key(key_id, lifetime, &self.clock, self.service()).await
    }

    const fn service(&self) -> ServiceContext<'_, DynamoStore<'a, HyperTransport>, SystemRandom> {
        ServiceContext {
            store: &self.store,
            random: &self.host.random,
            root_keys: self.root_keys,
            settings: &self.host.settings,
            call: self.call,
        }
    }

    /// # Errors
    ///
    /// [`RotationFunctionError::Clock`] if the clock became unreadable: the outcome is unknown
    /// then.
    pub fn ensure_clock(&self) -> Result<(), RotationFunctionError> {
        Ok(self.clock.ensure_readable()?)
    }
}

impl RotationEvent {
    fn step(&self) -> Result<Step, RotationFunctionError> {
        match self.step.as_str() {
            "createSecret" => Ok(Step::Create),
            "setSecret" => Ok(Step::Set),
            "testSecret" => Ok(Step::Test),
            "finishSecret" => Ok(Step::Finish),
            _ => Err(RotationFunctionError::Step),
        }
    }

    /// Whether the event is for the secret `name`: by its name, its ARN, or the ARN without the six
    /// characters that AWS appends.
    fn is_for(&self, name: &str) -> bool {
        let secret = self.secret_id.as_str();
        let in_arn = secret
            .starts_with("arn:")
            .then(|| secret.split(':').nth(6))
            .flatten();
        let is_named = |in_arn: &str| {
            let suffix = in_arn.strip_prefix(name);
            suffix.is_some_and(|rest| rest.is_empty() || rest.len() == 7 && rest.starts_with('-'))
        };
        secret == name
            || in_arn.is_some_and(is_named)
            || secret.starts_with(name) && {
                // The setting has a partial ARN, and the event the complete one.
                name.starts_with("arn:") && secret.len() == name.len().saturating_add(7)
            }
    }
}

/// Runs the step of `event` and flushes the metrics: Lambda may freeze the process for a month
/// afterwards.
///
/// # Errors
///
/// [`RotationFunctionError`], which is logged.
pub async fn rotate(host: &Host, event: &RotationEvent) -> Result<(), RotationFunctionError> {
    let end = step(host, event).await;
    if let Ok(now) = host.clock.read() {
        host.flush_metrics_now(now);
    }
    match &end {
        Ok(()) => info!(step = %Named(&event.step), "a step of the rotation is done"),
        Err(fault) => {
            error!(error = %ErrorChain(fault), code = fault.code(), "a step of the rotation failed");
        }
    }
    end
}

async fn step(host: &Host, event: &RotationEvent) -> Result<(), RotationFunctionError> {
    let step = event.step()?;
    let now = host.clock.read()?;
    let call = RequestMeta {
        now,
        request_id: host.random.id().map_err(RotateError::from)?,
        client_address: FUNCTION.to_owned(),
    };
    let desk = RotationContext::open(host, &call).await?;
    if let SecretSource::Secret(name) = &host.signing_key
        && !event.is_for(name)
    {
        return Err(RotationFunctionError::Secret);
    }
    let end = desk
        .rotation()?
        .step(step, &event.client_request_token)
        .await;
    desk.ensure_clock()?;
    Ok(end?)
}

/// A step's name, cut for the log.
struct Named<'a>(&'a str);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get(..16).unwrap_or(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(secret: &str) -> RotationEvent {
        RotationEvent {
            step: "createSecret".to_owned(),
            secret_id: secret.to_owned(),
            client_request_token: String::new(),
        }
    }

    #[test]
    fn a_rotation_event_matches_the_secret_by_name_or_arn() {
        let arn = "arn:aws:secretsmanager:eu-central-1:1:secret:portcullis/key-AbCdEf";
        for name in ["portcullis/key", arn, arn.trim_end_matches("-AbCdEf")] {
            assert!(event(arn).is_for(name), "{name}");
        }
        assert!(event("portcullis/key").is_for("portcullis/key"));
        for name in ["portcullis", "portcullis/key-AbC", "key", ""] {
            assert!(!event(arn).is_for(name), "{name}");
        }
    }

    #[test]
    fn an_unknown_rotation_step_is_rejected() {
        for (name, step) in [
            ("createSecret", Some(Step::Create)),
            ("finishSecret", Some(Step::Finish)),
            ("deleteSecret", None),
        ] {
            let event = RotationEvent {
                step: name.to_owned(),
                ..event("x")
            };
            assert_eq!(event.step().ok(), step);
        }
    }
}
