//! The list of clients is read again after the cache time of secrets, without a restart.

use std::path::PathBuf;
use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use portcullis_tests::proxy::Fault;
use portcullis_tests::system::{CHEAP, Peer, Reply, System};
use portcullis_tests::wire::WireClient;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time;

use crate::refresh::form;
use crate::start::{address_of, says, start, variables};
use crate::with_account;

/// The default of `PORTCULLIS_SECRET_CACHE`, in seconds.
const CACHE: u64 = 300;

const SECRET: &str = "portcullis/clients";

/// The document with these clients: id and secret.
fn list(clients: &[(&str, &str)]) -> String {
    let client = |(id, secret): &(&str, &str)| {
        let hash = HEXLOWER.encode(&Sha256::digest(secret));
        json!({"client_id": id, "secret_sha256": hash, "name": id})
    };
    Value::from_iter(clients.iter().map(client)).to_string()
}

fn basic(id: &str, secret: &str) -> String {
    format!(
        "Basic {}",
        BASE64.encode(format!("{id}:{secret}").as_bytes())
    )
}

async fn introspect(peer: &Peer, id: &str, secret: &str) -> Reply {
    let basic = basic(id, secret);
    let headers = [("authorization", basic.as_str())];
    form(peer, "/oauth2/introspect", "token=x", &headers).await
}

async fn is_accepted(peer: &Peer, id: &str, secret: &str) -> bool {
    let reply = introspect(peer, id, secret).await;
    if reply.status == 200 {
        return true;
    }
    assert_eq!((reply.status, reply.code()), (401, "bad_client"));
    false
}

async fn with_file(system: &System, document: &str) -> (Peer, PathBuf) {
    let path = system.folder().join("clients.json");
    std::fs::write(&path, document).expect("written");
    let changes = [("PORTCULLIS_CLIENTS_FILE", path.to_str().expect("UTF-8"))];
    (system.another(CHEAP, &changes).await.expect("a host"), path)
}

async fn with_secret(system: &System, document: &str) -> Peer {
    system.proxy.keep_secret(SECRET, document);
    let changes = [("PORTCULLIS_CLIENTS_SECRET", SECRET)];
    system.another(CHEAP, &changes).await.expect("a host")
}

#[tokio::test]
async fn a_client_removed_from_the_file_is_refused_from_the_end_of_the_cache_time() {
    let system = with_account().await;
    let both = [("orders", "one"), ("billing", "two")];
    let (peer, path) = with_file(&system, &list(&both)).await;
    for (id, secret) in both {
        assert!(is_accepted(&peer, id, secret).await, "{id}");
    }
    std::fs::write(&path, list(&[("billing", "two"), ("stock", "three")])).expect("written");
    system.clock.pass(CACHE - 1);
    assert!(is_accepted(&peer, "orders", "one").await);
    assert!(!is_accepted(&peer, "stock", "three").await);
    system.clock.pass(1);
    assert!(!is_accepted(&peer, "orders", "one").await);
    assert!(is_accepted(&peer, "billing", "two").await);
    assert!(is_accepted(&peer, "stock", "three").await, "a new client");
    // An empty list removes the last client.
    std::fs::write(&path, "[]").expect("written");
    system.clock.pass(CACHE);
    assert!(!is_accepted(&peer, "billing", "two").await);
}

#[tokio::test]
async fn a_former_client_secret_is_refused_from_the_end_of_the_cache_time() {
    let system = with_account().await;
    let peer = with_secret(&system, &list(&[("orders", "former")])).await;
    assert!(is_accepted(&peer, "orders", "former").await);
    system
        .proxy
        .keep_secret(SECRET, &list(&[("orders", "current")]));
    system.clock.pass(CACHE - 1);
    assert!(is_accepted(&peer, "orders", "former").await);
    assert!(!is_accepted(&peer, "orders", "current").await);
    system.clock.pass(1);
    assert!(!is_accepted(&peer, "orders", "former").await);
    assert!(is_accepted(&peer, "orders", "current").await);
}

#[tokio::test]
async fn a_shorter_secret_cache_revokes_a_client_sooner() {
    let system = with_account().await;
    system
        .proxy
        .keep_secret(SECRET, &list(&[("orders", "one")]));
    let changes = [
        ("PORTCULLIS_CLIENTS_SECRET", SECRET),
        ("PORTCULLIS_SECRET_CACHE", "5"),
    ];
    let peer = system.another(CHEAP, &changes).await.expect("a host");
    assert!(is_accepted(&peer, "orders", "one").await);
    system.proxy.keep_secret(SECRET, "[]");
    system.clock.pass(4);
    assert!(is_accepted(&peer, "orders", "one").await);
    system.clock.pass(1);
    assert!(!is_accepted(&peer, "orders", "one").await);
}

#[tokio::test]
async fn an_invalid_or_missing_client_list_keeps_the_last_valid_one() {
    let system = with_account().await;
    let good = list(&[("orders", "one")]);
    let (peer, path) = with_file(&system, &good).await;
    assert!(is_accepted(&peer, "orders", "one").await);
    let huge = format!("{}{good}", " ".repeat(1_100_000));
    let twice = list(&[("orders", "one"), ("orders", "two")]);
    for invalid in ["", "{}", "[{", r#"[{"client_id":"orders"}]"#, &twice, &huge] {
        std::fs::write(&path, invalid).expect("written");
        system.clock.pass(CACHE);
        assert!(is_accepted(&peer, "orders", "one").await);
        assert!(!is_accepted(&peer, "orders", "two").await);
    }
    std::fs::remove_file(&path).expect("removed");
    system.clock.pass(CACHE);
    assert!(is_accepted(&peer, "orders", "one").await);
    // The repair takes effect at the next retry.
    std::fs::write(&path, list(&[("orders", "three")])).expect("written");
    system.clock.pass(9);
    assert!(is_accepted(&peer, "orders", "one").await);
    system.clock.pass(1);
    assert!(!is_accepted(&peer, "orders", "one").await);
    assert!(is_accepted(&peer, "orders", "three").await);
}

#[tokio::test]
async fn an_unreachable_secrets_manager_keeps_the_last_valid_client_list() {
    let system = with_account().await;
    let peer = with_secret(&system, &list(&[("orders", "one")])).await;
    assert!(is_accepted(&peer, "orders", "one").await);
    system.proxy.keep_secret(SECRET, "[]");
    let refused = Fault::Refused(400, "ResourceNotFoundException");
    for fault in [Fault::Refused(500, "InternalServiceError"), refused] {
        system.clock.pass(CACHE);
        system.proxy.inject_often("GetSecretValue", &fault, 3);
        assert!(is_accepted(&peer, "orders", "one").await);
        assert!(is_accepted(&peer, "orders", "one").await, "no read in 10 s");
        system.proxy.heal();
    }
    system.clock.pass(10);
    assert!(!is_accepted(&peer, "orders", "one").await);
}

#[tokio::test]
async fn without_a_first_valid_client_list_every_client_is_refused() {
    let system = with_account().await;
    let (peer, path) = with_file(&system, "not a list").await;
    for _ in 0..2 {
        let reply = introspect(&peer, "orders", "one").await;
        assert_eq!((reply.status, reply.code()), (503, "key_unavailable"));
    }
    // The next call retries.
    std::fs::write(&path, list(&[("orders", "one")])).expect("written");
    assert!(is_accepted(&peer, "orders", "one").await);
}

#[tokio::test]
async fn concurrent_introspections_read_a_due_client_list_once() {
    let system = with_account().await;
    let peer = with_secret(&system, &list(&[("orders", "one")])).await;
    assert!(is_accepted(&peer, "orders", "one").await);
    system.clock.pass(CACHE);
    let before = system.proxy.count("GetSecretValue");
    let calls = (0..8).map(|_| is_accepted(&peer, "orders", "one"));
    assert_eq!(futures_util::future::join_all(calls).await, [true; 8]);
    assert_eq!(system.proxy.count("GetSecretValue") - before, 1);
    assert!(is_accepted(&peer, "orders", "one").await);
    assert_eq!(system.proxy.count("GetSecretValue") - before, 1, "cached");
}

#[tokio::test]
async fn an_invalid_client_list_is_logged_without_its_content() {
    let system = System::start().await.expect("a system");
    let path = system.folder().join("clients.json");
    std::fs::write(&path, list(&[("orders", "one")])).expect("written");
    let database = format!("http://{}", system.engine_address());
    let mut variables = variables(&database, system.folder());
    variables.extend([
        ("PORTCULLIS_SECRET_CACHE", "1".to_owned()),
        (
            "PORTCULLIS_CLIENTS_FILE",
            path.to_str().expect("UTF-8").to_owned(),
        ),
    ]);
    let mut host = start(variables);
    let address = address_of(&mut host).await;
    let client = WireClient::default();
    let ask = async || {
        let request = http::Request::post("/oauth2/introspect")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", basic("orders", "one"));
        let request = request.body("token=x".into()).expect("a request");
        let response = client.send(address, request).await.expect("a response");
        response.status().as_u16()
    };
    assert_eq!(ask().await, 200);

    let hash = "0123456789abcdef".repeat(4);
    let content = format!(r#"[{{"client_id":"leaked-id","secret_sha256":"{hash}"}}]"#);
    std::fs::write(&path, content).expect("written");
    let asking = async {
        loop {
            assert_eq!(ask().await, 200, "the last valid list stays in use");
            time::sleep(Duration::from_millis(100)).await;
        }
    };
    let complaint = tokio::select! {
        line = host.line(|line| says(line, "the clients cannot be read again")) => line,
        () = asking => unreachable!("it asks without end"),
    };
    let complaint = complaint.expect("a line");
    assert_eq!(complaint["level"], "ERROR");
    let text = complaint.to_string();
    assert!(text.contains("clients are a JSON array"), "{text}");
    assert!(
        !text.contains("leaked-id") && !text.contains(&hash),
        "{text}"
    );
}
