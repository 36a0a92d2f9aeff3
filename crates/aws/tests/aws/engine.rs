//! A fresh in-memory engine on a free port for each test, and its test accounts.

use core::net::SocketAddr;

use dynoxide::Database;
use portcullis_aws::client::{ApiCall, Client, Config};
use portcullis_aws::credentials::Credentials;
use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_aws::endpoint::{Endpoint, Region};
use portcullis_aws::operation::Operation;
use portcullis_core::account_claims::AccountClaims;
use portcullis_core::audit::{AuditEvent, AuditKind};
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::json::Json;
use portcullis_core::mail::MailKind;
use portcullis_core::password::PasswordHash;
use portcullis_core::refresh::{Delivery, RefreshToken};
use portcullis_core::root_keys::{Purpose, RootKeys};
use portcullis_core::secret::Secret;
use portcullis_core::session::{Device, Methods, Session};
use portcullis_core::time::UnixTime;
use portcullis_service::store::{Account, AccountChange, AccountStatus, OutboxMail};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::wire::Wire;

/// 2026-11-23T12:00:00Z.
pub(crate) const NOON: UnixTime = UnixTime::from_secs(1_795_435_200);

/// The engine of one test. It stops with the test's runtime.
pub(crate) struct Engine {
    address: SocketAddr,
}

impl Engine {
    pub(crate) async fn start() -> Self {
        let database = Database::memory().unwrap();
        for name in ["Portcullis", "TokenBlacklist"] {
            let table = json!({
                "TableName": name,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": "PK", "AttributeType": "S"},
                    {"AttributeName": "SK", "AttributeType": "S"},
                ],
                "KeySchema": [
                    {"AttributeName": "PK", "KeyType": "HASH"},
                    {"AttributeName": "SK", "KeyType": "RANGE"},
                ],
            });
            database
                .create_table(serde_json::from_value(table).unwrap())
                .unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(dynoxide::server::serve_on(listener, database));
        Self { address }
    }

    /// A separate client, as of another host.
    pub(crate) fn client(&self) -> Client<Wire> {
        client_of(self.address)
    }
}

pub(crate) fn client_of(address: SocketAddr) -> Client<Wire> {
    let key = Credentials::new("AKIDEXAMPLE", Secret::new("swordfish".to_owned()));
    let mut config = Config::of(Region::parse("eu-central-1").unwrap()).unwrap();
    config.dynamodb = Endpoint::parse(&format!("http://{address}")).unwrap();
    Client::new(Wire::default(), key, config, 7)
}

pub(crate) fn store(client: &Client<Wire>) -> DynamoStore<'_, Wire> {
    DynamoStore::at(client, NOON)
}

/// Converts a literal to our JSON type.
pub(crate) fn wire(value: &Value) -> Json {
    Json::parse(value.to_string().as_bytes()).unwrap()
}

/// Converts our JSON type back.
fn plain(json: &Json) -> Value {
    serde_json::from_str(&json.to_string()).unwrap()
}

/// The row stored in the engine; `Value::Null` if it does not exist.
pub(crate) async fn row(client: &Client<Wire>, table: &str, pk: &str, sk: &str) -> Value {
    let call = ApiCall::new(Operation::GetItem)
        .with("TableName", table)
        .with("Key", wire(&json!({"PK": {"S": pk}, "SK": {"S": sk}})));
    let mut answer = client.call(&call, NOON).await.unwrap();
    answer
        .remove("Item")
        .map(|row| plain(&row))
        .unwrap_or_default()
}

/// The rows under `pk`, in their order.
pub(crate) async fn rows(client: &Client<Wire>, table: &str, pk: &str) -> Vec<Value> {
    let call = ApiCall::new(Operation::Query)
        .with("TableName", table)
        .with("KeyConditionExpression", "PK = :pk")
        .with(
            "ExpressionAttributeValues",
            wire(&json!({":pk": {"S": pk}})),
        );
    let mut answer = client.call(&call, NOON).await.unwrap();
    serde_json::from_value(plain(&answer.remove("Items").unwrap())).unwrap()
}

/// Every entry of NOON's day in the audit trail, as pairs of action and outcome.
pub(crate) async fn audit_trail(client: &Client<Wire>) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for shard in 0..4 {
        for line in rows(client, "Portcullis", &format!("AUDIT#2026-11-23#{shard}")).await {
            let text = |name: &str| line[name]["S"].as_str().unwrap().to_owned();
            lines.push((text("action"), text("outcome")));
        }
    }
    lines
}

pub(crate) fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

pub(crate) fn ada() -> Account {
    Account {
        user_id: id("u-ada"),
        email: EmailAddress::parse("Ada@Example.com").unwrap(),
        password: PasswordHash::parse("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA").unwrap(),
        short_password: false,
        status: AccountStatus::Active,
        created_at: NOON,
        verified_at: None,
        generation: 0,
        token_generation: 0,
        claims: AccountClaims::default(),
        version: 1,
    }
}

/// The longest possible address: 254 bytes.
pub(crate) fn longest_email() -> EmailAddress {
    let label = "d".repeat(61);
    let text = format!("{}@{label}.{label}.{label}.com", "a".repeat(64));
    assert_eq!(text.len(), 254);
    EmailAddress::parse(&text).unwrap()
}

/// The change of an account after a password rehash.
pub(crate) fn rehashed(hash: &PasswordHash) -> AccountChange<'_> {
    AccountChange {
        password: Some(hash),
        ..AccountChange::default()
    }
}

pub(crate) fn session(name: &str) -> Session {
    Session {
        id: id(name),
        user_id: id("u-ada"),
        email: ada().email,
        opened_at: NOON,
        ends_at: UnixTime::from_secs(NOON.as_secs() + 2_592_000),
        methods: Methods::Password,
        generation: 0,
        device: Device::new("curl/8.0"),
        client_address: "192.0.2.1".to_owned(),
        head: first(name).head(NOON, UnixTime::from_secs(NOON.as_secs() + 1_209_600)),
    }
}

/// The first refresh token of the session `name`.
pub(crate) fn first(name: &str) -> RefreshToken {
    RefreshToken::first(id(name), Delivery::Body, Secret::new([1; 32]))
}

/// An entry of the audit trail, caused by the request `request_id`.
pub(crate) fn event(kind: AuditKind, request_id: &str) -> AuditEvent {
    AuditEvent {
        id: id(&format!("line-{request_id}")),
        at: NOON,
        kind,
        user_id: Some(id("u-ada")),
        session_id: None,
        client_address: "192.0.2.1".to_owned(),
        request_id: id(request_id),
        detail: None,
        sealer: root_keys().sealer(Purpose::Audit),
    }
}

/// The mail about a new account.
pub(crate) fn welcome(account: &Account) -> OutboxMail {
    OutboxMail {
        id: id(&format!("mail-{}", account.user_id)),
        kind: MailKind::Verify,
        email: account.email.clone(),
        user_id: Some(account.user_id.clone()),
        asked_at: NOON,
    }
}

/// Root keys for tests.
pub(crate) fn root_keys() -> RootKeys {
    RootKeys::parse(br#"{"id":"1","key":"0123456789abcdef0123456789abcdef"}"#).unwrap()
}
