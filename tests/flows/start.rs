//! The shipped program: its messages when it cannot start, and its stop.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use portcullis_tests::program::{Program, Signal, host_program};
use portcullis_tests::system::System;
use portcullis_tests::wire::WireClient;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time;

use crate::{EMAIL, PASSWORD};

const NAMES: [&str; 8] = [
    "PORTCULLIS_LISTEN",
    "PORTCULLIS_ISSUER",
    "PORTCULLIS_AUDIENCE",
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "PORTCULLIS_SIGNING_KEY_FILE",
    "PORTCULLIS_HOST_SECRET_FILE",
];

/// A complete environment for a host on `database`, with its keys in files of `folder`.
pub(crate) fn variables(database: &str, folder: &Path) -> Vec<(&'static str, String)> {
    let file = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let (key, secret) = (file("key.json"), file("secret.json"));
    let values = [
        "127.0.0.1:0",
        "http://127.0.0.1:1",
        "https://api.example",
        "eu-central-1",
        "AKIDSTART",
        "hunter2-secret",
        &key,
        &secret,
    ];
    let usual = NAMES.into_iter().zip(values);
    usual
        .chain([("PORTCULLIS_DYNAMODB_ENDPOINT", database)])
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}

pub(crate) fn start(variables: Vec<(&'static str, String)>) -> Program {
    Program::start(host_program(false), variables).expect("a process")
}

pub(crate) fn says(line: &Value, text: &str) -> bool {
    line["message"]
        .as_str()
        .is_some_and(|message| message.contains(text))
}

/// The address on which a started host listens.
pub(crate) async fn address_of(host: &mut Program) -> SocketAddr {
    let listening = host.line(|line| says(line, "listening")).await;
    let listening = listening.expect("a line");
    let address = listening["address"].as_str().expect("an address");
    address.parse().expect("one")
}

#[tokio::test]
async fn each_missing_variable_is_named_and_the_process_ends() {
    for missing in NAMES {
        let mut variables = variables("http://127.0.0.1:1", Path::new("/nonexistent"));
        variables.retain(|(name, _)| *name != missing);
        let (lines, code) = start(variables).end().await.expect("ended");
        assert_eq!(code, Some(2), "{missing}");
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["level"], "ERROR");
        assert!(says(&lines[0], missing), "{missing}: {lines:?}");
        assert!(!lines[0].to_string().contains("hunter2"));
    }
    let (lines, code) = start(vec![]).end().await.expect("ended");
    assert_eq!(
        (lines.len(), code),
        (NAMES.len(), Some(2)),
        "all are named at once: {lines:?}"
    );
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let mut variables = variables("http://127.0.0.1:1", Path::new("/nonexistent"));
    variables[0].1.clone_from(&address);
    let (lines, code) = start(variables).end().await.expect("ended");
    assert_eq!(code, Some(1));
    let last = lines.last().expect("a line");
    assert!(
        says(last, "PORTCULLIS_LISTEN") && says(last, &address),
        "{lines:?}"
    );
}

#[tokio::test]
async fn an_unreachable_database_is_named_and_retried() {
    let system = System::start().await.expect("a system");
    // A port without a listener.
    let reserved = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let database = reserved.local_addr().expect("bound");
    drop(reserved);
    let endpoint = format!("http://{database}");
    let mut host = start(variables(&endpoint, system.folder()));
    let address = address_of(&mut host).await;
    let complaint = host
        .line(|line| says(line, "signing key is not ready"))
        .await
        .expect("a line");
    let setting = &complaint["setting"];
    assert_eq!(setting, "PORTCULLIS_DYNAMODB_ENDPOINT", "{complaint}");
    let is_open = |line: &Value| {
        line["_aws"].is_object() && line["Dependency"] == "dynamodb" && line["BreakerState"] == 2
    };
    host.line(is_open).await.expect("a line for CloudWatch");

    let client = WireClient::default();
    let login = || {
        let body = serde_json::json!({"email": EMAIL, "password": PASSWORD}).to_string();
        let request = http::Request::post("/v1/login").header("content-type", "application/json");
        client.send(address, request.body(body.into()).expect("a request"))
    };
    let reply = login().await.expect("an answer");
    assert_eq!(
        (
            reply.status().as_u16(),
            reply.headers()["retry-after"].as_bytes()
        ),
        (503, &b"1"[..])
    );
    let health = http::Request::get("/health")
        .body(bytes::Bytes::new())
        .expect("a request");
    assert_eq!(
        client
            .send(address, health)
            .await
            .expect("an answer")
            .status()
            .as_u16(),
        200
    );

    // The database starts: the listener passes everything to the engine.
    let listener = TcpListener::bind(database).await.expect("the same port");
    let engine = system.engine_address();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut behind = tokio::net::TcpStream::connect(engine).await?;
                tokio::io::copy_bidirectional(&mut stream, &mut behind).await
            });
        }
    });
    let up = async {
        // An unknown address is a 401 as soon as the store responds.
        while login().await.expect("an answer").status().as_u16() != 401 {
            time::sleep(Duration::from_millis(50)).await;
        }
    };
    time::timeout(Duration::from_secs(60), up)
        .await
        .expect("it recovers by itself");
}

#[tokio::test]
async fn sigterm_and_sigint_stop_it_gracefully() {
    let system = System::start().await.expect("a system");
    let endpoint = format!("http://{}", system.engine_address());
    for signal in [Signal::TERM, Signal::INT] {
        let folder = system.folder().join(format!("{signal:?}"));
        std::fs::create_dir(&folder).expect("made");
        let mut host = start(variables(&endpoint, &folder));
        host.line(|line| says(line, "published the signing key"))
            .await
            .expect("a line");
        host.signal(signal).expect("sent");
        let (_, code) = host.end().await.expect("ended");
        assert_eq!(code, Some(0), "{signal:?}");
    }
}

#[tokio::test]
async fn no_log_line_holds_a_secret() {
    let system = System::start().await.expect("a system");
    let endpoint = format!("http://{}", system.engine_address());
    let mut variables = variables(&endpoint, system.folder());
    variables.push(("PORTCULLIS_LOG", "trace".to_owned()));
    variables.push(("PORTCULLIS_REQUIRE_VERIFIED", "off".to_owned()));
    let mut host = start(variables);
    let address = address_of(&mut host).await;
    host.line(|line| says(line, "published the signing key"))
        .await
        .expect("a line");

    let client = WireClient::default();
    let post = |path: &str, body: &str, bearer: &str| {
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {bearer}"));
        client.send(
            address,
            request.body(body.to_owned().into()).expect("a request"),
        )
    };
    let body = serde_json::json!({"email": EMAIL, "password": PASSWORD}).to_string();
    for path in ["/v1/register", "/v1/login", "/v1/login?password=hunter2"] {
        assert!(
            post(path, &body, "x")
                .await
                .expect("an answer")
                .status()
                .is_success()
        );
    }
    let login = post("/v1/login", &body, "x").await.expect("an answer");
    let login: Value = serde_json::from_slice(login.body()).expect("JSON");
    let token = login["access_token"].as_str().expect("a token");
    assert_eq!(
        post("/v1/logout", "", token)
            .await
            .expect("an answer")
            .status()
            .as_u16(),
        204
    );

    host.signal(Signal::TERM).expect("sent");
    let (lines, _) = host.end().await.expect("ended");
    let answered = lines.iter().filter(|line| says(line, "answered")).count();
    assert_eq!(answered, 5);
    let log = Value::from(lines).to_string();
    let read = |name| {
        let text = std::fs::read_to_string(system.folder().join(name)).expect("a secret");
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    let (key, secret) = (read("key.json"), read("secret.json"));
    let private = key["d"].as_str().expect("a private half");
    let signature = token.rsplit('.').next().expect("a signature");
    for secret in [
        "hunter2",
        PASSWORD,
        "nn@",
        "example.com",
        private,
        secret["key"].as_str().expect("a root key"),
        signature,
        "$argon2",
    ] {
        assert!(
            !log.to_lowercase().contains(&secret.to_lowercase()),
            "{secret:.4}.."
        );
    }
}
