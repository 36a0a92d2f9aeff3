//! The host with everything around it: an engine in memory, the proxy before it, a clock that
//! stands still, and the host's own router on a real socket.

use std::fmt;
use std::future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, Response};
use portcullis_core::time::UnixTime;
use portcullis_lambda_host::clock::{ClockError, WallClock};
use portcullis_lambda_host::config::Config;
use portcullis_lambda_host::hasher::HashParameters;
use portcullis_lambda_host::host::{Bench, Host};
use portcullis_lambda_host::reception::Reception;
use portcullis_lambda_host::socket;
use portcullis_lambda_host::transport::Timeouts;
use portcullis_local::{LocalDynamo, ManualClock};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::proxy::{Proxy, REGION};
use crate::sigv4::AccessKey;
use crate::wire::Client;

/// 2026-11-23T12:00:00Z.
pub const NOON: u64 = 1_795_435_200;

/// Whom the host's tokens are for.
pub const AUDIENCE: &str = "https://api.example";

/// The issuer of the host's tokens.
pub const ISSUER: &str = "https://login.example";

/// The name that the signing key has where it is a secret.
pub const SIGNING_SECRET: &str = "portcullis/signing-key";

/// Argon2 as cheap as it gets: what it costs is not what these tests are about.
pub const CHEAP: HashParameters = HashParameters {
    memory_kib: 64,
    passes: 1,
    lanes: 1,
};

/// One clock for the host, the proxy and the engine. It moves only by hand.
#[derive(Clone)]
pub struct TestClock {
    engine: ManualClock,
    now: Arc<AtomicU64>,
}

impl TestClock {
    /// Seconds since 1970.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    /// Lets `seconds` pass.
    pub fn pass(&self, seconds: u64) {
        self.set(self.now().saturating_add(seconds));
    }

    /// Sets the clock; before 1970 is what the largest number stands for.
    pub fn set(&self, now: u64) {
        self.engine.set(now);
        self.now.store(now, Ordering::SeqCst);
    }
}

impl fmt::Debug for TestClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestClock({})", self.now())
    }
}

impl WallClock for TestClock {
    fn read(&self) -> Result<UnixTime, ClockError> {
        match self.now() {
            u64::MAX => Err(ClockError),
            now => Ok(UnixTime::from_secs(now)),
        }
    }
}

/// A host and what stands behind it.
pub struct System {
    /// The clock of all of it.
    pub clock: TestClock,
    /// What the host takes for DynamoDB and Secrets Manager.
    pub proxy: Proxy,
    /// The host itself, for what cannot be seen from outside.
    pub host: Arc<Host>,
    address: SocketAddr,
    client: Client,
    engine_address: SocketAddr,
    _engine: LocalDynamo,
    folder: PathBuf,
}

impl System {
    /// A fresh one, with a signing key of its own in Secrets Manager.
    ///
    /// # Errors
    ///
    /// If a port, the engine or the host is not to be had.
    pub async fn start() -> anyhow::Result<Self> {
        let engine = LocalDynamo::start(NOON).await?;
        let clock = TestClock {
            engine: engine.clock().clone(),
            now: Arc::new(AtomicU64::new(NOON)),
        };
        let proxy = Proxy::start(engine.address(), access_key(), clock.clone()).await?;
        proxy.keep_secret(SIGNING_SECRET, &signing_key());
        let folder = std::env::temp_dir().join(format!("portcullis-flows-{}", fresh_name()));
        std::fs::create_dir(&folder)?;
        let host = new_host(&proxy, &clock, CHEAP, &[])?;
        let address = serve(&host).await?;
        Ok(Self {
            clock,
            proxy,
            host,
            address,
            client: Client::default(),
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
        let host = new_host(&self.proxy, &self.clock, hashing, changes)?;
        let address = serve(&host).await?;
        Ok(Peer {
            host,
            address,
            client: self.client.clone(),
        })
    }

    /// This host as a peer of others.
    pub fn peer(&self) -> Peer {
        let (host, address) = (Arc::clone(&self.host), self.address);
        Peer {
            host,
            address,
            client: self.client.clone(),
        }
    }

    /// Where the engine itself listens: no signatures, no faults.
    pub const fn engine_address(&self) -> SocketAddr {
        self.engine_address
    }

    /// A folder that is gone with the system.
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

    /// Calls the engine past the proxy, as an operator with a console would.
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

/// A host as its callers see it.
#[derive(Clone)]
pub struct Peer {
    /// The host itself.
    pub host: Arc<Host>,
    address: SocketAddr,
    client: Client,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body as JSON; null if it is none.
    pub json: Value,
}

impl Reply {
    /// The problem's code, or nothing.
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl From<Response<Bytes>> for Reply {
    fn from(response: Response<Bytes>) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            json: serde_json::from_slice(response.body()).unwrap_or_default(),
        }
    }
}

impl Peer {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends `request` as it stands.
    ///
    /// # Panics
    ///
    /// If no answer comes: the host always answers.
    pub async fn send(&self, request: Request<Bytes>) -> Reply {
        let what = format!("{} {}", request.method(), request.uri());
        let response = self.client.send(self.address, request).await;
        response
            .unwrap_or_else(|error| panic!("{what}: {error:#}"))
            .into()
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Bytes::new()).expect("a request"))
            .await
    }

    /// `POST path` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_bytes(path, body.to_string()).await
    }

    /// `POST path` with a body that says to be JSON.
    pub async fn post_bytes(&self, path: &str, body: impl Into<Bytes>) -> Reply {
        let request = Request::post(path).header("content-type", "application/json");
        self.send(request.body(body.into()).expect("a request"))
            .await
    }

    /// Registers.
    pub async fn register(&self, email: &str, password: &str) -> Reply {
        self.post(
            "/v1/register",
            &json!({"email": email, "password": password}),
        )
        .await
    }

    /// Logs in.
    pub async fn login(&self, email: &str, password: &str) -> Reply {
        self.post("/v1/login", &json!({"email": email, "password": password}))
            .await
    }

    /// Logs out with `token`.
    pub async fn logout(&self, token: &str) -> Reply {
        let request = Request::builder().method(Method::POST).uri("/v1/logout");
        let request = request.header("authorization", format!("Bearer {token}"));
        self.send(request.body(Bytes::new()).expect("a request"))
            .await
    }
}

/// The access key that the proxy knows.
pub fn access_key() -> AccessKey {
    AccessKey {
        id: "AKIDFLOWS".to_owned(),
        secret: "flows+secret/access=key".to_owned(),
        session_token: Some("flows//session+token==".to_owned()),
    }
}

/// The environment of a host on `proxy`, for a configuration or a process.
pub fn environment(proxy: &Proxy) -> Vec<(String, String)> {
    let key = access_key();
    [
        ("PORTCULLIS_LISTEN", "127.0.0.1:0".to_owned()),
        ("PORTCULLIS_ISSUER", ISSUER.to_owned()),
        ("PORTCULLIS_AUDIENCE", AUDIENCE.to_owned()),
        ("PORTCULLIS_DYNAMODB_ENDPOINT", proxy.endpoint()),
        ("PORTCULLIS_SECRETS_ENDPOINT", proxy.endpoint()),
        ("PORTCULLIS_SIGNING_SECRET", SIGNING_SECRET.to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", key.id),
        ("AWS_SECRET_ACCESS_KEY", key.secret),
        ("AWS_SESSION_TOKEN", key.session_token.unwrap_or_default()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// A new private key, as a secret holds it.
pub fn signing_key() -> String {
    use portcullis_core::token::algorithm::Algorithm;
    let key = portcullis_jwt::SigningKey::generate(Algorithm::EdDsa).expect("entropy");
    key.to_jwk().expose().clone()
}

fn new_host(
    proxy: &Proxy,
    clock: &TestClock,
    hashing: HashParameters,
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
    let bench = Bench {
        clock: Arc::new(clock.clone()),
        hashing,
        timeouts: Timeouts {
            answer: Duration::from_secs(30),
            ..Timeouts::default()
        },
    };
    Ok(Arc::new(Host::new(config, bench)?))
}

async fn serve(host: &Arc<Host>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(socket::serve(
        listener,
        Reception::new(Arc::clone(host)),
        future::pending(),
    ));
    Ok(address)
}

fn fresh_name() -> String {
    use portcullis_lambda_host::chance::SystemChance;
    let seed = SystemChance.seed().expect("entropy");
    format!("{seed:016x}")
}

/// An item without DynamoDB's types: texts, numbers and what they are nested in.
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
