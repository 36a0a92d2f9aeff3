//! The state that every request shares: settings, clients and keys of this host.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::thread;

use portcullis_aws::client::Client;
use portcullis_aws::dependency::Dependency;
use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_core::forwarding::HeaderRules;
use portcullis_core::gate::Gate;
use portcullis_core::id::Id;
use portcullis_core::policy::{self, Policy, Staleness, TrustedIssuer};
use portcullis_core::route::Routes;
use portcullis_core::time::UnixTime;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_jwt::SigningKey;
use portcullis_service::context::ServiceContext;
use portcullis_service::ports::{NoEntropy, RequestMeta};
use portcullis_service::settings::{Issuing, Settings};
use portcullis_service::signing::SigningKeys;
use portcullis_service::signing::jwks_cache::JwksCache;
use thiserror::Error;
use tokio::sync::Notify;

use crate::client_address::TrustedProxy;
use crate::clients::HostClients;
use crate::clock::{SystemClock, WallClock};
use crate::config::{Config, ConnectionLimits, RotationConfig};
use crate::disposable::{Disposable, DisposableError};
use crate::failure::HostFailure;
use crate::hasher::{HashLimits, HashParameters, HashPool};
use crate::keys::{self, HostSecret, HostSigning, KeyError};
use crate::mailer::HostMailer;
use crate::metrics::{DependencyState, MetricsReport};
use crate::own_origins::OwnOrigins;
use crate::random::SystemRandom;
use crate::root_keys::RootKeyCache;
use crate::screen::HostScreen;
use crate::secret_source::SecretSource;
use crate::transport::{AwsClient, HyperTransport, Timeouts};

/// The default memory limit of all concurrent hashes.
const DEFAULT_HASH_MEMORY_MIB: u32 = 512;

/// The latest known state of the store.
#[derive(Debug, Default)]
pub struct StoreHealth(AtomicU8);

/// The state that lives as long as the host. Creating it reads nothing and opens no connection.
#[derive(Debug)]
pub struct Host {
    /// The AWS client.
    pub client: AwsClient,
    /// The clock.
    pub clock: Arc<dyn WallClock>,
    /// The random source.
    pub random: SystemRandom,
    /// The password hasher.
    pub hasher: HashPool,
    /// The screening of new passwords.
    pub screen: HostScreen,
    /// The source of the private signing keys.
    pub signing_key: SecretSource,
    /// The signing keys, cached.
    pub signing_keys: SigningKeys<SigningKey>,
    /// The settings of the key rotation.
    pub rotation: RotationConfig,
    /// The published JWK Set, cached.
    pub published_keys: JwksCache,
    /// The root keys, cached.
    pub root_keys: RootKeyCache,
    /// The clients that may introspect.
    pub clients: HostClients,
    /// The operator's settings.
    pub settings: Settings,
    /// The mail transport.
    pub mailer: HostMailer,
    /// The e-mail domains that may not register.
    pub disposable: Disposable,
    /// Notified when there is mail to send.
    pub mail_waits: Notify,
    /// The trusted source of the client's address.
    pub edge: TrustedProxy,
    /// The limits of connections to the socket.
    pub connections: ConnectionLimits,
    /// The origins whose pages count as own.
    pub origins: OwnOrigins,
    /// The gate for tokens that clients present to the host itself.
    pub gate: Gate,
    /// Whether the store answered the last call.
    pub health: StoreHealth,
    /// The start of the last day whose audit trail is known to be sealed, in seconds since 1970.
    pub sealed_until: AtomicU64,
    /// The end of the packed part of the revocation feed as far as this host knows, in seconds
    /// since 1970.
    pub packed_until: AtomicU64,
    /// The metrics of the dependencies as last logged.
    pub report: MetricsReport,
}

/// The options that a test sets; a deployment uses the defaults.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// The clock.
    pub clock: Arc<dyn WallClock>,
    /// The parameters of new password hashes.
    pub hashing: HashParameters,
    /// The limits of concurrent and queued password hashes.
    pub limits: HashLimits,
    /// The timeouts of the store.
    pub timeouts: Timeouts,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            hashing: HashParameters::CURRENT,
            limits: hash_limits(),
            timeouts: Timeouts::default(),
        }
    }
}

/// The host cannot be created.
#[derive(Debug, Error)]
pub enum HostError {
    /// The platform has no random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The file of domains cannot be read.
    #[error(transparent)]
    Disposable(#[from] DisposableError),
}

impl Host {
    /// A host with the settings `config`.
    ///
    /// # Errors
    ///
    /// [`HostError`].
    pub fn new(config: Config, surroundings: HostOptions) -> Result<Self, HostError> {
        let random = SystemRandom;
        let said = config.hash_memory_mib;
        let limits = HashLimits {
            memory_mib: said.unwrap_or(surroundings.limits.memory_mib),
            ..surroundings.limits
        };
        let transport = HyperTransport::new(surroundings.timeouts, Arc::clone(&surroundings.clock));
        let client = Client::new(transport, config.credentials, config.aws, random.seed()?);
        let secret_cache = config.rotation.secret_cache;
        let issuing = Issuing {
            account_audience: config
                .account_audience
                .unwrap_or_else(|| config.issuer.clone()),
            issuer: config.issuer,
            audience: config.audience,
            resources: config.resources,
            client_id: config.client_id,
            lifetime: config.access_lifetime,
        };
        Ok(Self {
            client,
            clock: surroundings.clock,
            random,
            hasher: HashPool::new(surroundings.hashing, limits, config.hashing),
            screen: HostScreen::new(config.breaches),
            signing_key: config.signing_key,
            signing_keys: SigningKeys::new(config.rotation.bounds.token_lifetime, secret_cache),
            published_keys: JwksCache::new(config.rotation.bounds.jwks_max_age),
            rotation: config.rotation,
            gate: Gate::new(own_policy(&issuing)),
            root_keys: RootKeyCache::new(config.host_secret),
            edge: config.edge,
            connections: config.connections,
            origins: OwnOrigins::new(&issuing.issuer, config.origins),
            clients: HostClients::new(config.clients, secret_cache),
            settings: Settings {
                limits: config.limits,
                new_account_claims: config.new_account_claims,
                issuing,
                sessions: config.sessions,
                passwords: config.passwords,
                mailing: config.mail.mailing,
            },
            mailer: HostMailer::new(config.mail.delivery),
            disposable: Disposable::new(config.mail.disposable)?,
            mail_waits: Notify::new(),
            health: StoreHealth::default(),
            sealed_until: AtomicU64::new(0),
            packed_until: AtomicU64::new(0),
            report: MetricsReport::default(),
        })
    }

    /// Returns the outcome of a use case; `/health` reports whether the store answered.
    ///
    /// # Errors
    ///
    /// The failure, unchanged.
    pub fn track<T>(&self, end: Result<T, impl Into<HostFailure>>) -> Result<T, HostFailure> {
        let end = end.map_err(Into::into);
        match &end {
            Ok(_) => self.health.record(true),
            Err(failure) if failure.is_store_unavailable() => self.health.record(false),
            Err(_) => {}
        }
        end
    }

    /// The key that signs at `now`.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub async fn signer(
        &self,
        now: UnixTime,
        request_id: &Id,
    ) -> Result<Arc<SigningKey>, KeyError> {
        let ports = HostSigning {
            secret: HostSecret::new(&self.signing_key, &self.client, now),
            store: self.store(now),
            client: &self.client,
            root_keys: &self.root_keys,
            settings: &self.settings,
            call: RequestMeta {
                now,
                request_id: request_id.clone(),
                client_address: keys::ACTOR.to_owned(),
            },
        };
        let published = &self.published_keys;
        self.signing_keys.ready(published, &ports, now).await
    }

    /// The context of the use cases for `call`, on `store`.
    ///
    /// # Errors
    ///
    /// [`HostFailure::RootKeys`].
    pub async fn ctx<'a>(
        &'a self,
        store: &'a DynamoStore<'a, HyperTransport>,
        call: &'a RequestMeta,
    ) -> Result<ServiceContext<'a, DynamoStore<'a, HyperTransport>, SystemRandom>, HostFailure>
    {
        Ok(ServiceContext {
            store,
            random: &self.random,
            root_keys: self.track(self.root_keys.open(&self.client, call.now).await)?,
            settings: &self.settings,
            call,
        })
    }

    /// Logs the metrics of the dependencies, if the last ones are a minute old.
    pub fn flush_metrics(&self, now: UnixTime) {
        self.report.flush(self.dependencies(), now);
    }

    /// Logs the metrics of the dependencies now: the process may be frozen from here on.
    pub fn flush_metrics_now(&self, now: UnixTime) {
        self.report.flush_now(self.dependencies(), now);
    }

    fn dependencies(&self) -> impl Iterator<Item = DependencyState> {
        let aws = Dependency::ALL.map(|it| (it.as_str(), self.client.state(it)));
        aws.into_iter().chain(self.screen.state())
    }

    /// The store, at `now`.
    pub const fn store(&self, now: UnixTime) -> DynamoStore<'_, HyperTransport> {
        DynamoStore::at(&self.client, now)
    }
}

impl StoreHealth {
    /// Records whether the store answered.
    pub fn record(&self, reachable: bool) {
        self.0
            .store(if reachable { 1 } else { 2 }, Ordering::Relaxed);
    }

    /// The state in one word: `unknown` before the first call.
    pub fn as_str(&self) -> &'static str {
        match self.0.load(Ordering::Relaxed) {
            1 => "reachable",
            2 => "unreachable",
            _ => "unknown",
        }
    }
}

/// One hash per core; the queue holds about one second of work.
fn hash_limits() -> HashLimits {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    HashLimits {
        at_once: cores,
        waiting: cores.saturating_mul(32),
        memory_mib: DEFAULT_HASH_MEMORY_MIB,
    }
}

/// The policy for calls to the host itself: its own tokens, of any lifetime that a host may issue.
fn own_policy(issuing: &Issuing) -> Policy {
    // Keys and revocations are read for each call, so they are as fresh as the call.
    let now = Duration::from_secs(30);
    let fresh = Staleness {
        poll: now,
        soft: now,
        hard: now,
    };
    Policy {
        published: Vec::new(),
        issuers: vec![TrustedIssuer {
            issuer: issuing.issuer.clone(),
            audience: issuing.audiences().map(str::to_owned).collect(),
            algorithms: vec![
                Algorithm::EdDsa,
                Algorithm::Es256,
                Algorithm::Rs256,
                Algorithm::Ps256,
            ],
            keys: policy::KeySource::Document,
            leeway: Duration::ZERO,
            max_lifetime: Duration::from_secs(24 * 60 * 60),
            max_age: None,
        }],
        routes: Routes::default(),
        revocations: fresh,
        keys: fresh,
        headers: HeaderRules::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_reports_the_latest_state_of_the_store() {
        let health = StoreHealth::default();
        assert_eq!(health.as_str(), "unknown");
        health.record(false);
        assert_eq!(health.as_str(), "unreachable");
        health.record(true);
        assert_eq!(health.as_str(), "reachable");
    }
}
