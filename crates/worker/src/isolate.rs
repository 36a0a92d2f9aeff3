//! What an isolate keeps between requests: its configuration, imported keys and what it knows.
//!
//! INVARIANT: no future crosses requests. workerd ends I/O with the request that began it, so a
//! second request that awaited the first one's reading would hang or fail, and a starter that
//! disconnects would take the reading with it.

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
use crate::config::{Config, Origin};
use crate::lookup_cache::LookupCache;
use crate::metrics::Metrics;
use crate::transport::FetchTransport;

/// What checks signatures here.
#[cfg(feature = "portable")]
pub type PlatformSignatures = portcullis_jwt::NativeVerifier;
/// What checks signatures here.
#[cfg(not(feature = "portable"))]
pub type PlatformSignatures = crate::signatures::WebCryptoVerifier;

thread_local! {
    static ISOLATE: OnceCell<Option<Rc<Isolate>>> = const { OnceCell::new() };
}

/// One isolate's own.
#[derive(Debug)]
pub struct Isolate {
    gate: Gate,
    origin: Origin,
    rate_period: RatePeriod,
    client: Client<FetchTransport>,
    signatures: PlatformSignatures,
    shelf: CacheApi,
    settled: LookupCache,
    knowledge: SnapshotCache,
    metrics: Metrics,
}

impl Isolate {
    /// This isolate's state, made at its first request. `None` if a variable is missing or wrong;
    /// the log says which, once. Variables cannot change within an isolate's life.
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
        // Only spreads the waits between retries: without it they are merely alike.
        let _ = getrandom::fill(&mut seed);
        let seed = u64::from_le_bytes(seed);
        let (region, endpoint) = (config.aws.region.as_str(), &config.aws.dynamodb);
        let table = format!("{region} {endpoint} {}", config.aws.tables.blacklist);
        Some(Rc::new(Self {
            gate: Gate::new(config.policy),
            origin: config.origin,
            rate_period: config.rate_period,
            client: Client::new(FetchTransport, config.credentials, config.aws, seed),
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

    /// Where admitted requests go.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Over how long the platform's rate limit counts.
    pub const fn rate_period(&self) -> RatePeriod {
        self.rate_period
    }

    /// What reaches the store.
    pub const fn client(&self) -> &Client<FetchTransport> {
        &self.client
    }

    /// What checks signatures.
    pub const fn signatures(&self) -> &PlatformSignatures {
        &self.signatures
    }

    /// What was found out about tokens in doubt.
    pub const fn lookup_cache(&self) -> &LookupCache {
        &self.settled
    }

    /// What is known of the world.
    pub const fn snapshot_cache(&self) -> &SnapshotCache {
        &self.knowledge
    }

    /// What is counted.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Reads the world, or what is new in it.
    pub async fn refresh(&self, keys: Keys, began_at: UnixTime) {
        let store = DynamoStore::at(&self.client, began_at);
        let (policy, shelf) = (self.gate.policy(), &self.shelf);
        let read = self
            .knowledge
            .refresh(policy, keys, began_at, &store, shelf, &PlatformClock)
            .await;
        self.metrics.read(read.is_ok());
        if let Err(error) = read {
            log_error("the world could not be read whole", &error);
        }
    }

    /// Tells what was counted, if it is time.
    pub fn emit_metrics(&self, env: &Env) {
        let held = self.knowledge.current();
        let names = held.map_or(0, |held| held.revocations().len());
        self.metrics.emit(env, &self.client, names, now());
    }
}

/// One line with the whole chain of causes; store errors name operations and codes, never data.
pub(crate) fn log_error(event: &str, error: &StoreError) {
    let mut line = format!("{event}: {error}");
    let mut cause = core::error::Error::source(error);
    while let Some(error) = cause {
        line.push_str(&format!(": {error}"));
        cause = error.source();
    }
    worker::console_error!("{line}");
}
