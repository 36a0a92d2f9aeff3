//! The state of an isolate between requests: its configuration, imported keys and snapshot.
//!
//! INVARIANT: no future is shared between requests. workerd cancels I/O with its request. A second
//! request that awaits the first one's read would hang or fail, and a disconnecting client would
//! cancel the read.

use std::cell::OnceCell;
use std::rc::Rc;

use portcullis_aws::client::Client;
use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_core::denial::RatePeriod;
use portcullis_core::gate::Gate;
use portcullis_core::time::UnixTime;
use portcullis_service::edge::snapshot_cache::SnapshotCache;
use portcullis_service::snapshot::Keys;
use portcullis_service::store::StoreError;
use worker::Env;

use crate::cache_api::CacheApi;
use crate::clock::{PlatformClock, now};
use crate::config::{AuthHost, Config, Origin};
use crate::lookup_cache::LookupCache;
use crate::metrics::Metrics;
use crate::origin_proof::OriginProof;
use crate::transport::FetchTransport;

/// The signature verifier of this build.
#[cfg(feature = "portable")]
pub type PlatformSignatures = portcullis_jwt::NativeVerifier;
/// The signature verifier of this build.
#[cfg(not(feature = "portable"))]
pub type PlatformSignatures = crate::signatures::WebCryptoVerifier;

thread_local! {
    static ISOLATE: OnceCell<Option<Rc<Isolate>>> = const { OnceCell::new() };
}

/// The state of one isolate.
#[derive(Debug)]
pub struct Isolate {
    gate: Gate,
    origin: Origin,
    host: Option<AuthHost>,
    origin_proof: OriginProof,
    rate_period: RatePeriod,
    client: Client<FetchTransport>,
    lookup_client: Client<FetchTransport>,
    signatures: PlatformSignatures,
    shelf: CacheApi,
    settled: LookupCache,
    knowledge: SnapshotCache,
    metrics: Metrics,
}

impl Isolate {
    /// This isolate's state, created at its first request. `None` if a variable is missing or
    /// invalid; the log names it once. Variables cannot change within an isolate's life.
    pub fn current(env: &Env) -> Option<Rc<Self>> {
        ISOLATE.with(|isolate| isolate.get_or_init(|| Self::make(env)).clone())
    }

    fn make(env: &Env) -> Option<Rc<Self>> {
        let config = match Config::read(env) {
            Ok(config) => config,
            Err(error) => {
                worker::console_error!("portcullis is not configured: {error}");
                return None;
            }
        };
        let mut seed = [0; 8];
        // The seed only adds jitter to retries: without it the delays are merely the same.
        let _ = getrandom::fill(&mut seed);
        let seed = u64::from_le_bytes(seed);
        let (region, endpoint) = (config.aws.region.as_str(), &config.aws.dynamodb);
        let table = format!("{region} {endpoint} {}", config.aws.tables.blacklist);
        let (credentials, aws) = (config.credentials, config.aws);
        let lookup_client = Client::new(
            FetchTransport,
            credentials.clone(),
            aws.clone(),
            seed.rotate_left(32),
        );
        Some(Rc::new(Self {
            gate: Gate::new(config.policy),
            origin: config.origin,
            host: config.host,
            origin_proof: config.origin_proof,
            rate_period: config.rate_period,
            client: Client::new(FetchTransport, credentials, aws, seed),
            lookup_client,
            signatures: PlatformSignatures::default(),
            shelf: CacheApi::new(&table),
            settled: LookupCache::default(),
            knowledge: SnapshotCache::default(),
            metrics: Metrics::since(now()),
        }))
    }

    /// The gate under this Worker's policy.
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The origin of authorized requests.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The auth host behind this Worker, if there is one.
    pub const fn host(&self) -> Option<&AuthHost> {
        self.host.as_ref()
    }

    /// The proof to the origin.
    pub const fn origin_proof(&self) -> &OriginProof {
        &self.origin_proof
    }

    /// The period of the platform's rate limit.
    pub const fn rate_period(&self) -> RatePeriod {
        self.rate_period
    }

    /// The client that reads the snapshot.
    pub const fn client(&self) -> &Client<FetchTransport> {
        &self.client
    }

    /// The client that looks up revocations. A lookup replaces a feed that cannot be read, so the
    /// circuit breaker that the feed's failures open must not reject it.
    pub const fn lookup_client(&self) -> &Client<FetchTransport> {
        &self.lookup_client
    }

    /// The signature verifier.
    pub const fn signatures(&self) -> &PlatformSignatures {
        &self.signatures
    }

    /// The cached results of revocation lookups.
    pub const fn lookup_cache(&self) -> &LookupCache {
        &self.settled
    }

    /// The snapshot of keys and revocations.
    pub const fn snapshot_cache(&self) -> &SnapshotCache {
        &self.knowledge
    }

    /// The metrics.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Reads the keys and revocations, or their changes.
    pub async fn refresh(&self, keys: Keys, began_at: UnixTime) {
        let store = DynamoStore::at(&self.client, began_at);
        let (policy, shelf) = (self.gate.policy(), &self.shelf);
        let read = self
            .knowledge
            .refresh(policy, keys, began_at, &store, shelf, &PlatformClock)
            .await;
        self.metrics.read(read.is_ok());
        if let Err(error) = read {
            log_error(
                "the snapshot of keys and revocations could not be refreshed completely",
                &error,
            );
        }
    }

    /// Emits the metrics, if they are due.
    pub fn emit_metrics(&self, env: &Env) {
        let held = self.knowledge.current();
        let names = held.map_or(0, |held| held.revocations().len());
        let clients = [&self.client, &self.lookup_client];
        self.metrics.emit(env, clients, names, now());
    }
}

/// Logs one line with the whole chain of causes; store errors contain operations and error codes,
/// never data.
pub(crate) fn log_error(event: &str, error: &StoreError) {
    let mut line = format!("{event}: {error}");
    let mut cause = core::error::Error::source(error);
    while let Some(error) = cause {
        line.push_str(&format!(": {error}"));
        cause = error.source();
    }
    worker::console_error!("{line}");
}
