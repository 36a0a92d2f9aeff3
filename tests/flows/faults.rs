//! Network and store faults: no change is lost, none happens twice, and the response says so.

use std::future::ready;
use std::sync::Arc;

use portcullis_tests::proxy::Fault;
use portcullis_tests::system::{CHEAP, System, TestClock};
use serde_json::json;

use crate::{EMAIL, PASSWORD, claims, token, with_account};

const TRANSACT: &str = "TransactWriteItems";

/// The faults of an executed write, and of one that was not executed.
fn every_fault() -> Vec<(&'static str, Fault)> {
    vec![
        ("lost answer", Fault::LostAnswer),
        ("half an answer", Fault::HalfAnswer),
        ("garbage", Fault::Garbage),
        ("lost request", Fault::LostRequest),
        ("server error", Fault::Refused(500, "InternalServerError")),
        ("throttled", Fault::Refused(400, "ThrottlingException")),
        (
            "over the quota",
            Fault::Refused(400, "ProvisionedThroughputExceededException"),
        ),
    ]
}

/// Three seconds pass before the call is executed: more than the feed's write bound.
fn slow(clock: &TestClock) -> Fault {
    let clock = clock.clone();
    Fault::after(move || {
        clock.pass(3);
        ready(())
    })
}

async fn count(system: &System, table: &str, prefix: &str) -> usize {
    system.rows(table, prefix).await.expect("rows").len()
}

#[tokio::test]
async fn a_registration_survives_each_fault_and_happens_once() {
    for (name, fault) in every_fault() {
        let system = System::start().await.expect("a system");
        system.proxy.inject(TRANSACT, fault);
        let reply = system.peer().register(EMAIL, PASSWORD).await;
        assert_eq!(reply.status, 201, "{name}");
        assert_eq!(system.proxy.count(TRANSACT), 2, "{name}");
        let ids = system.rows("Portcullis", "ID#").await.expect("rows");
        let reported = format!("ID#{}", reply.json["user_id"].as_str().expect("an id"));
        assert_eq!(
            (ids.len(), ids[0]["PK"].as_str()),
            (1, Some(reported.as_str())),
            "{name}"
        );
        let audit = system.rows("Portcullis", "AUDIT#").await.expect("rows");
        assert_eq!(audit.len(), 1, "{name}: one line, and it says");
        assert_eq!(audit[0]["outcome"], "success", "{name}");
        token(&system.peer().login(EMAIL, PASSWORD).await);
    }
}

#[tokio::test]
async fn a_login_survives_each_fault_and_opens_one_session() {
    for (name, fault) in every_fault() {
        let system = with_account().await;
        system.proxy.inject(TRANSACT, fault.clone());
        system.proxy.inject("GetItem", fault);
        let token = token(&system.peer().login(EMAIL, PASSWORD).await);
        assert_eq!(system.proxy.heal(), 0, "{name} has happened");
        assert_eq!(count(&system, "Portcullis", "SID#").await, 1, "{name}");
        // The entries of the account, of the host's key, and of the login.
        assert_eq!(count(&system, "Portcullis", "AUDIT#").await, 3, "{name}");
        assert_eq!(system.peer().logout(&token).await.status, 204, "{name}");
    }
}

#[tokio::test]
async fn a_logout_survives_each_fault_and_is_published_once() {
    for (name, fault) in every_fault() {
        let system = with_account().await;
        let token = token(&system.peer().login(EMAIL, PASSWORD).await);
        system.proxy.inject(TRANSACT, fault);
        assert_eq!(system.peer().logout(&token).await.status, 204, "{name}");
        assert_eq!(system.proxy.heal(), 0, "{name} has happened");
        assert_eq!(
            count(&system, "TokenBlacklist", "TOKEN#").await,
            1,
            "{name}"
        );
        assert_eq!(
            count(&system, "TokenBlacklist", "SESSION#").await,
            1,
            "{name}"
        );
        assert_eq!(count(&system, "TokenBlacklist", "FEED#").await, 2, "{name}");
        assert_eq!(count(&system, "Portcullis", "AUDIT#").await, 4, "{name}");
        assert_eq!(
            system.peer().logout(&token).await.status,
            204,
            "{name}, asked again"
        );
    }
}

#[tokio::test]
async fn an_unavailable_store_is_503_and_a_retry_finds_the_earlier_write() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    system.proxy.inject_often(TRANSACT, &Fault::LostAnswer, 3);
    let reply = peer.register(EMAIL, PASSWORD).await;
    assert_eq!((reply.status, reply.code()), (503, "store_unavailable"));
    assert_eq!(reply.header("retry-after"), "1");
    assert_eq!(peer.get("/health").await.json["store"], "unreachable");
    assert_eq!(peer.get("/health").await.status, 200);
    // The write was executed without a response: its owner can still use the address.
    assert_eq!(peer.register(EMAIL, PASSWORD).await.status, 201);
    assert_eq!(count(&system, "Portcullis", "ID#").await, 1);

    system.proxy.inject_often(TRANSACT, &Fault::LostRequest, 3);
    let reply = peer.login(EMAIL, PASSWORD).await;
    assert_eq!((reply.status, reply.code()), (503, "store_unavailable"));
    assert_eq!(count(&system, "Portcullis", "SID#").await, 0);
    let token = token(&peer.login(EMAIL, PASSWORD).await);

    system.proxy.inject_often(TRANSACT, &Fault::LostAnswer, 3);
    assert_eq!(peer.logout(&token).await.code(), "store_unavailable");
    assert_eq!(
        count(&system, "TokenBlacklist", "TOKEN#").await,
        1,
        "it was executed all the same"
    );
    assert_eq!(peer.logout(&token).await.status, 204);
    assert_eq!(peer.get("/health").await.json["store"], "reachable");
}

#[tokio::test]
async fn a_permanent_refusal_is_not_retried() {
    let system = with_account().await;
    for code in [
        "AccessDeniedException",
        "ResourceNotFoundException",
        "ValidationException",
    ] {
        let before = system.proxy.count("GetItem");
        system.proxy.inject("GetItem", Fault::Refused(400, code));
        let reply = system.peer().login(EMAIL, PASSWORD).await;
        assert_eq!(
            (reply.status, reply.code()),
            (503, "store_unavailable"),
            "{code}"
        );
        assert_eq!(system.proxy.count("GetItem"), before + 1, "{code}");
    }
}

#[tokio::test]
async fn wrong_store_credentials_fail_without_a_retry() {
    let system = with_account().await;
    let secret = system.folder().join("host-secret.json");
    let changes = [
        ("AWS_SECRET_ACCESS_KEY", "guess"),
        ("PORTCULLIS_HOST_SECRET", ""),
        (
            "PORTCULLIS_HOST_SECRET_FILE",
            secret.to_str().expect("UTF-8"),
        ),
    ];
    let other = system.another(CHEAP, &changes);
    let other = other.await.expect("a host");
    assert_eq!(
        other.register("bob@example.com", PASSWORD).await.code(),
        "store_unavailable"
    );
    assert!(
        system
            .proxy
            .calls()
            .iter()
            .any(|call| call.signature.is_err())
    );
    assert_eq!(count(&system, "Portcullis", "ID#").await, 1);
}

#[tokio::test]
async fn a_revocation_written_late_is_published_again_before_the_acknowledgement() {
    let system = with_account().await;
    let token = token(&system.peer().login(EMAIL, PASSWORD).await);
    system.proxy.inject(TRANSACT, slow(&system.clock));
    assert_eq!(system.peer().logout(&token).await.status, 204);
    let feed = system.rows("TokenBlacklist", "FEED#").await.expect("rows");
    let stamps = |text: &str| {
        let rows = feed
            .iter()
            .filter(|row| row["SK"].as_str().is_some_and(|key| key.starts_with(text)));
        rows.count()
    };
    // The first rows were later than edges read back; the fresh ones were not.
    assert_eq!(
        (
            stamps("2026-11-23T12:00:00Z#"),
            stamps("2026-11-23T12:00:03Z#")
        ),
        (2, 2)
    );
}

#[tokio::test]
async fn a_revocation_in_a_slow_feed_is_never_acknowledged() {
    let system = with_account().await;
    let token = token(&system.peer().login(EMAIL, PASSWORD).await);
    for operation in [TRANSACT, "BatchWriteItem", "PutItem"] {
        system
            .proxy
            .inject_often(operation, &slow(&system.clock), 16);
    }
    let reply = system.peer().logout(&token).await;
    assert_eq!((reply.status, reply.code()), (503, "revocation_pending"));
    system.proxy.heal();
    let announced = count(&system, "TokenBlacklist", "FEED#").await;
    assert_eq!(system.peer().logout(&token).await.status, 204);
    let again = count(&system, "TokenBlacklist", "FEED#").await;
    assert_eq!(again, announced + 1, "a retry publishes the session again");
    let sid = claims(&token)["sid"].as_str().expect("sid").to_owned();
    assert_eq!(
        count(&system, "TokenBlacklist", &format!("SESSION#{sid}")).await,
        1
    );
}

#[tokio::test]
async fn a_login_fails_if_all_sessions_are_revoked_during_its_hash() {
    for change in ["generation = :one", "#status = :closed"] {
        let system = Arc::new(with_account().await);
        let operator = Arc::clone(&system);
        let body = match change {
            "generation = :one" => json!({
                "TableName": "Portcullis",
                "Key": {"PK": {"S": "USER#ann@example.com"}, "SK": {"S": "PROFILE"}},
                "UpdateExpression": "SET generation = :one",
                "ExpressionAttributeValues": {":one": {"N": "1"}},
            }),
            _ => json!({
                "TableName": "Portcullis",
                "Key": {"PK": {"S": "USER#ann@example.com"}, "SK": {"S": "PROFILE"}},
                "UpdateExpression": "SET #status = :closed",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": {":closed": {"S": "disabled"}},
            }),
        };
        let fault = Fault::after(move || {
            let (operator, body) = (Arc::clone(&operator), body.clone());
            async move {
                drop(
                    operator
                        .engine_call("UpdateItem", &body)
                        .await
                        .expect("changed"),
                )
            }
        });
        system.proxy.inject(TRANSACT, fault);
        let reply = system.peer().login(EMAIL, PASSWORD).await;
        assert_eq!(
            (reply.status, reply.code()),
            (401, "bad_credentials"),
            "{change}"
        );
        assert_eq!(count(&system, "Portcullis", "SID#").await, 0, "{change}");
        let audit = system.rows("Portcullis", "AUDIT#").await.expect("rows");
        assert!(
            audit
                .iter()
                .any(|line| line["outcome"] == "disabled" && line["session_id"].is_null()),
            "{change}"
        );
    }
}
