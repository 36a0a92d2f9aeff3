//! The signing key: from a secret or a file, published before it signs, by many hosts at once.

use futures_util::future::join_all;
use portcullis_tests::proxy::Fault;
use portcullis_tests::system::{CHEAP, System, signing_key};
use serde_json::Value;

use crate::{EMAIL, PASSWORD, part, sessions_of, token, with_account_alone};

/// The document and its audit entry.
const PUBLICATION: &str = "TransactWriteItems";

async fn document(system: &System) -> Value {
    let rows = system.rows("TokenBlacklist", "KEYS").await.expect("rows");
    assert!(rows.len() <= 1);
    rows.into_iter().next().unwrap_or_default()
}

fn kids(text: &Value) -> Vec<String> {
    let text = text.to_string();
    text.split("kid")
        .skip(1)
        .map(|rest| rest.chars().skip(3).take(20).collect())
        .collect()
}

#[tokio::test]
async fn no_token_is_signed_before_its_kid_is_published() {
    let system = with_account_alone().await;
    let peer = system.peer();
    assert_eq!(
        document(&system).await,
        Value::Null,
        "nothing is published before its first use"
    );
    system
        .proxy
        .inject_often(PUBLICATION, &Fault::LostRequest, 3);
    let reply = peer.login(EMAIL, PASSWORD).await;
    assert_eq!((reply.status, reply.code()), (503, "store_unavailable"));
    assert_eq!(document(&system).await, Value::Null);
    assert!(
        system
            .rows("Portcullis", "SID#")
            .await
            .expect("rows")
            .is_empty()
    );

    let kid = part(&token(&peer.login(EMAIL, PASSWORD).await), 0)["kid"].clone();
    let jwks = peer.get("/.well-known/jwks.json").await.json;
    assert_eq!(jwks["keys"][0]["kid"], kid);
    let puts = system.proxy.count("PutItem");
    token(&peer.login(EMAIL, PASSWORD).await);
    assert_eq!(system.proxy.count("PutItem"), puts, "once is enough");
}

#[tokio::test]
async fn a_key_publication_with_a_lost_response_is_found_done() {
    for fault in [
        Fault::LostAnswer,
        Fault::HalfAnswer,
        Fault::Refused(500, "InternalServerError"),
    ] {
        let system = with_account_alone().await;
        system.proxy.inject(PUBLICATION, fault);
        token(&system.peer().login(EMAIL, PASSWORD).await);
        let row = document(&system).await;
        assert_eq!(row["version"], 1, "{row}");
        assert_eq!(kids(&row).len(), 1);
    }
}

#[tokio::test]
async fn concurrent_key_publications_lose_no_key() {
    let system = with_account_alone().await;
    let mut hosts = vec![];
    // Hosts with a key file each: hosts with a secret publish one key only.
    for number in 0..5 {
        let path = system.folder().join(format!("key-{number}.json"));
        let path = path.to_str().expect("UTF-8");
        let changes = [
            ("PORTCULLIS_SIGNING_SECRET", ""),
            ("PORTCULLIS_SIGNING_KEY_FILE", path),
        ];
        hosts.push(system.another(CHEAP, &changes).await.expect("a host"));
    }
    let logins = join_all(hosts.iter().map(|host| host.login(EMAIL, PASSWORD))).await;
    let tokens: Vec<_> = logins.iter().map(token).collect();
    let row = document(&system).await;
    assert_eq!(
        (row["version"].clone(), kids(&row).len()),
        (5.into(), 5),
        "{row}"
    );
    // Each host verifies the tokens of every other host.
    for (token, host) in tokens.iter().zip(hosts.iter().rev()) {
        assert_eq!(host.logout(token).await.status, 204);
    }
}

#[tokio::test]
async fn two_hosts_with_one_key_publish_it_once() {
    let system = with_account_alone().await;
    let other = system.another(CHEAP, &[]).await.expect("a host");
    let peer = system.peer();
    let (one, two) = tokio::join!(peer.login(EMAIL, PASSWORD), other.login(EMAIL, PASSWORD));
    assert_eq!(part(&token(&one), 0)["kid"], part(&token(&two), 0)["kid"]);
    assert_eq!(document(&system).await["version"], 1);
}

#[tokio::test]
async fn a_secret_without_a_key_is_distinguished_from_an_unavailable_store() {
    for (name, value) in [
        ("not-there", None),
        ("no-key", Some("hunter2")),
        (
            "shared",
            Some(
                r#"{"kty":"oct","alg":"HS256","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}"#,
            ),
        ),
    ] {
        let system = with_account_alone().await;
        if let Some(value) = value {
            system.proxy.keep_secret(name, value);
        }
        let changes = [("PORTCULLIS_SIGNING_SECRET", name)];
        let host = system.another(CHEAP, &changes).await.expect("a host");
        let reply = host.login(EMAIL, PASSWORD).await;
        assert_eq!(
            (reply.status, reply.code()),
            (503, "key_unavailable"),
            "{name}"
        );
        assert!(!reply.json.to_string().contains("hunter2"));
        assert_eq!(host.get("/health").await.status, 200, "{name}");
        // Repaired, it works without a restart; one read per second is enough.
        system.clock.pass(1);
        system.proxy.keep_secret(name, &signing_key());
        token(&host.login(EMAIL, PASSWORD).await);
    }
}

#[tokio::test]
async fn a_key_file_is_created_on_first_use_and_kept() {
    let system = with_account_alone().await;
    let path = system.folder().join("signing-key.json");
    let path = path.to_str().expect("UTF-8");
    let secret = system.folder().join("host-secret.json");
    let changes = [
        ("PORTCULLIS_SIGNING_SECRET", ""),
        ("PORTCULLIS_SIGNING_KEY_FILE", path),
        ("PORTCULLIS_HOST_SECRET", ""),
        (
            "PORTCULLIS_HOST_SECRET_FILE",
            secret.to_str().expect("UTF-8"),
        ),
    ];
    let asked = system.proxy.count("GetSecretValue");
    let mut kids = vec![];
    for _ in 0..2 {
        let host = system.another(CHEAP, &changes).await.expect("a host");
        kids.push(part(&token(&host.login(EMAIL, PASSWORD).await), 0)["kid"].clone());
    }
    assert_eq!(kids[0], kids[1]);
    assert_eq!(document(&system).await["version"], 1);
    assert_eq!(system.proxy.count("GetSecretValue"), asked);
}

#[tokio::test]
async fn an_unparsable_key_document_signs_nothing_and_is_left_unchanged() {
    let system = with_account_alone().await;
    let broken = serde_json::json!({
        "TableName": "TokenBlacklist",
        "Item": {"PK": {"S": "KEYS"}, "SK": {"S": "JWKS"}, "document": {"S": "{"}, "version": {"N": "1"}},
    });
    system
        .engine_call("PutItem", &broken)
        .await
        .expect("written");
    let peer = system.peer();
    assert_eq!(
        peer.login(EMAIL, PASSWORD).await.code(),
        "store_unavailable"
    );
    assert_eq!(peer.get("/.well-known/jwks.json").await.status, 503);
    assert_eq!(document(&system).await["document"], "{");
    assert_eq!(system.proxy.count("PutItem"), 0);
    assert!(system.proxy.count("GetSecretValue") > 0);
}

#[tokio::test]
async fn the_cached_jwks_is_served_while_the_store_is_unavailable() {
    let system = with_account_alone().await;
    let peer = system.peer();
    let good = peer.get("/.well-known/jwks.json").await;
    system.clock.pass(60);
    // One read for the signing key, one for the set.
    system.proxy.inject_often("GetItem", &Fault::LostRequest, 6);
    let bridged = peer.get("/.well-known/jwks.json").await;
    assert_eq!((bridged.status, bridged.json), (200, good.json));
    system.clock.pass(300);
    system.proxy.inject_often("GetItem", &Fault::LostRequest, 6);
    let reply = peer.get("/.well-known/jwks.json").await;
    assert_eq!((reply.status, reply.code()), (503, "store_unavailable"));
}

#[tokio::test]
async fn a_token_of_a_revoked_kid_cannot_revoke_sessions() {
    let system = with_account_alone().await;
    let peer = system.peer();
    let token = token(&peer.login(EMAIL, PASSWORD).await);
    let kid = part(&token, 0)["kid"].as_str().expect("a kid").to_owned();
    let row = serde_json::json!({
        "TableName": "TokenBlacklist",
        "Item": {
            "PK": {"S": format!("KID#{kid}")}, "SK": {"S": "REVOKED"},
            "kind": {"S": "key"}, "target_id": {"S": kid},
            "ttl": {"N": "9999999999"}, "request_id": {"S": "operator"},
        },
    });
    system.engine_call("PutItem", &row).await.expect("written");
    let reply = sessions_of(&peer, &token).await;
    assert_eq!((reply.status, reply.code()), (401, "revoked"));
    assert_eq!(peer.logout(&token).await.status, 204);
    // Nor can an expired token of that key.
    system.clock.pass(3_600);
    assert_eq!(peer.logout(&token).await.status, 204);
    let sessions = system.rows("Portcullis", "SID#").await.expect("rows");
    assert_eq!(sessions.len(), 1);
}

#[tokio::test]
async fn a_host_without_a_key_reads_it_at_most_once_per_cooldown_for_jwks_requests() {
    let system = with_account_alone().await;
    let changes = [("PORTCULLIS_SIGNING_SECRET", "gone")];
    let host = system.another(CHEAP, &changes).await.expect("a host");
    let asked = system.proxy.count("GetSecretValue");
    for _ in 0..20 {
        assert_eq!(host.get("/.well-known/jwks.json").await.status, 200);
    }
    assert_eq!(system.proxy.count("GetSecretValue"), asked + 1);
}
