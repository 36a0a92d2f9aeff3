//! The host with its surroundings: an engine in memory, the proxy before it, a clock that stands
//! still, and the host's router on a real socket.

pub mod clock;
mod peer;
mod settings;

use std::future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::Request;
use portcullis_host::config::Config;
use portcullis_host::hasher::{HashLimits, HashParameters};
use portcullis_host::host::{Host, HostOptions};
use portcullis_host::random::SystemRandom;
use portcullis_host::transport::Timeouts;
use portcullis_lambda_host::http_service::HttpService;
use portcullis_lambda_host::socket;
use portcullis_local::LocalDynamo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::proxy::Proxy;
pub use crate::system::clock::TestClock;
pub use crate::system::peer::{DEVICE_COOKIE, Peer, REGISTRATION_COOKIE, Reply};
pub use crate::system::settings::{
    AUDIENCE, HOST_SECRET, ISSUER, ROOT_KEYS, SIGNING_SECRET, access_key, environment, signing_key,
};
use crate::wire::WireClient;

/// 2026-11-23T12:00:00Z.
pub const NOON: u64 = 1_795_435_200;

/// Argon2 at minimum cost: these tests are not about its cost.
pub const CHEAP: HashParameters = HashParameters {
    memory_kib: 64,
    passes: 1,
    lanes: 1,
};

/// One password at a time and a short queue, so that a test can fill it.
pub const LIMITS: HashLimits = HashLimits {
    at_once: 1,
    waiting: 15,
    memory_mib: 64,
};

/// The default store timeout of a host in tests: no machine is slow enough to reach it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A host and its surroundings.
pub struct System {
    /// The common clock.
    pub clock: TestClock,
    /// The host's DynamoDB and Secrets Manager.
    pub proxy: Proxy,
    /// The host itself, for state that is invisible from outside.
    pub host: Arc<Host>,
    address: SocketAddr,
    client: WireClient,
    engine_address: SocketAddr,
    _engine: LocalDynamo,
    folder: PathBuf,
}

impl System {
    /// A new system, with its own signing key in Secrets Manager.
    ///
    /// # Errors
    ///
    /// If a port, the engine or the host is unavailable.
    pub async fn start() -> anyhow::Result<Self> {
        Self::with_patience(TIMEOUT).await
    }

    /// A system with a host that waits at most `patience` for its store.
    ///
    /// # Errors
    ///
    /// As [`System::start`].
    pub async fn with_patience(patience: Duration) -> anyhow::Result<Self> {
        let engine = LocalDynamo::start(NOON).await?;
        let clock = TestClock::new(engine.clock().clone(), NOON);
        let proxy = Proxy::start(engine.address(), access_key(), clock.clone()).await?;
        proxy.keep_secret(SIGNING_SECRET, &signing_key());
        proxy.keep_secret(HOST_SECRET, ROOT_KEYS);
        let folder = std::env::temp_dir().join(format!("portcullis-flows-{}", fresh_name()));
        std::fs::create_dir(&folder)?;
        let host = new_host(&proxy, &clock, CHEAP, patience, &[])?;
        let address = serve(&host).await?;
        Ok(Self {
            clock,
            proxy,
            host,
            address,
            client: WireClient::default(),
            engine_address: engine.address(),
            _engine: engine,
            folder,
        })
    }

    /// Another host on the same store, with other hash parameters and variables.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub async fn another(
        &self,
        hashing: HashParameters,
        changes: &[(&str, &str)],
    ) -> anyhow::Result<Peer> {
        let host = new_host(&self.proxy, &self.clock, hashing, TIMEOUT, changes)?;
        let address = serve(&host).await?;
        Ok(Peer::new(host, address, self.client.clone()))
    }

    /// This host as a peer of others.
    pub fn peer(&self) -> Peer {
        Peer::new(Arc::clone(&self.host), self.address, self.client.clone())
    }

    /// The engine's own address: no signatures, no faults.
    pub const fn engine_address(&self) -> SocketAddr {
        self.engine_address
    }

    /// A folder that is removed with the system.
    pub fn folder(&self) -> &PathBuf {
        &self.folder
    }

    /// The rows of `table` whose partition key begins with `prefix`, attributes without their
    /// types, in the order of their keys.
    ///
    /// # Errors
    ///
    /// If the engine does not answer.
    pub async fn rows(&self, table: &str, prefix: &str) -> anyhow::Result<Vec<Value>> {
        let answer = self
            .engine_call("Scan", &json!({"TableName": table}))
            .await?;
        let items = answer["Items"].as_array().context("a scan has items")?;
        let mut rows: Vec<Value> = items.iter().map(plain).collect();
        rows.retain(|row| {
            row["PK"]
                .as_str()
                .is_some_and(|key| key.starts_with(prefix))
        });
        rows.sort_by_key(|row| format!("{} {}", row["PK"], row["SK"]));
        Ok(rows)
    }

    /// Calls the engine directly, as an operator with a console would.
    ///
    /// # Errors
    ///
    /// If the engine does not answer, or refuses.
    pub async fn engine_call(&self, operation: &str, body: &Value) -> anyhow::Result<Value> {
        let request = Request::post("/")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20261123T120000Z")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=test/20261123/eu-central-1/dynamodb/aws4_request, \
                 SignedHeaders=host, Signature=0",
            )
            .body(Bytes::from(body.to_string()))?;
        let response = self.client.send(self.engine_address, request).await?;
        anyhow::ensure!(response.status().is_success(), "{:?}", response.body());
        Ok(serde_json::from_slice(response.body())?)
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn new_host(
    proxy: &Proxy,
    clock: &TestClock,
    hashing: HashParameters,
    patience: Duration,
    changes: &[(&str, &str)],
) -> anyhow::Result<Arc<Host>> {
    let environment = environment(proxy);
    let config = Config::read(|name| {
        let changed = changes.iter().find(|(changed, _)| *changed == name);
        let usual = || environment.iter().find(|(usual, _)| usual == name);
        let value = changed.map(|(_, value)| *value);
        value
            .or_else(|| usual().map(|(_, value)| value.as_str()))
            .map(Into::into)
    })?;
    let surroundings = HostOptions {
        clock: Arc::new(clock.clone()),
        hashing,
        limits: LIMITS,
        timeouts: Timeouts {
            answer: patience,
            ..Timeouts::default()
        },
    };
    Ok(Arc::new(Host::new(config, surroundings)?))
}

async fn serve(host: &Arc<Host>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(socket::serve(
        listener,
        HttpService::new(Arc::clone(host)),
        future::pending(),
    ));
    Ok(address)
}

fn fresh_name() -> String {
    let seed = SystemRandom.seed().expect("entropy");
    format!("{seed:016x}")
}

/// An item without DynamoDB's types: texts, numbers and nested values.
fn plain(item: &Value) -> Value {
    let members = item.as_object().into_iter().flatten();
    let attribute = |value: &Value| match value.as_object().and_then(|kind| kind.iter().next()) {
        Some((kind, value)) if kind == "N" => value
            .as_str()
            .and_then(|text| text.parse::<u64>().ok())
            .map_or(Value::Null, Value::from),
        Some((kind, value)) if kind == "M" => plain(value),
        Some((_, value)) => value.clone(),
        None => Value::Null,
    };
    members
        .map(|(name, value)| (name.clone(), attribute(value)))
        .collect()
}
