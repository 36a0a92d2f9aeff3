//! The audit trail: stored entries are listed, and every later alteration is detected.

use portcullis_core::id::Id;
use portcullis_core::time::UnixTime;
use portcullis_host::tasks;
use portcullis_service::audit_trail::{self, AuditFilter, Finding, SealOutcome, VerifyReport};
use portcullis_service::ports::RequestMeta;
use portcullis_tests::system::{NOON, System};
use serde_json::{Value, json};

use crate::{EMAIL, PASSWORD, token, with_account};

/// A day with some events, seen on the next one.
async fn yesterday() -> System {
    let system = with_account().await;
    let peer = system.peer();
    for _ in 0..6 {
        assert_eq!(
            peer.login(EMAIL, "not the password at all").await.status,
            401
        );
    }
    assert_eq!(
        peer.logout(&token(&peer.login(EMAIL, PASSWORD).await))
            .await
            .status,
        204
    );
    system.clock.pass(24 * 60 * 60);
    system
}

async fn review(system: &System) -> VerifyReport {
    let (host, now) = (&system.host, UnixTime::from_secs(system.clock.now()));
    let (store, mut review) = (host.store(now), VerifyReport::default());
    let root_keys = host
        .root_keys
        .open(&host.client, now)
        .await
        .expect("a vault");
    let day = UnixTime::from_secs(NOON);
    let day = UnixTime::of_day(&day.day()).expect("a day");
    let end = audit_trail::review(day, &store, root_keys, now, &mut review).await;
    end.expect("the store answers");
    review
}

async fn findings(system: &System) -> Vec<Finding> {
    let found = review(system).await.found.into_iter();
    found.map(|found| found.finding).collect()
}

async fn seal(system: &System) -> tasks::TaskReport {
    tasks::run_due(&system.host)
        .await
        .expect("the store answers")
}

fn key(row: &Value) -> Value {
    json!({"PK": {"S": row["PK"]}, "SK": {"S": row["SK"]}})
}

async fn write(system: &System, row: &Value, expression: &str, value: &str) {
    let update = json!({
        "TableName": "Portcullis", "Key": key(row),
        "UpdateExpression": format!("SET {expression} = :value"),
        "ExpressionAttributeValues": {":value": {"S": value}},
    });
    system
        .engine_call("UpdateItem", &update)
        .await
        .expect("written");
}

async fn delete(system: &System, row: &Value) {
    let delete = json!({"TableName": "Portcullis", "Key": key(row)});
    system
        .engine_call("DeleteItem", &delete)
        .await
        .expect("gone");
}

#[tokio::test]
async fn a_closed_day_is_sealed_and_verifies_unaltered() {
    let system = yesterday().await;
    assert_eq!(findings(&system).await, vec![Finding::Unsealed; 4]);
    assert!(seal(&system).await.shards_sealed >= 4);
    assert_eq!(seal(&system).await.shards_sealed, 0, "once is enough");
    let seen = review(&system).await;
    assert_eq!((seen.found, seen.sealed, seen.open), (vec![], 4, 0));
    // Registration, six refusals, login, logout.
    assert!(seen.lines >= 9, "{}", seen.lines);
}

#[tokio::test]
async fn an_open_day_is_not_sealed() {
    let system = with_account().await;
    let (host, now) = (&system.host, UnixTime::from_secs(NOON));
    let root_keys = host
        .root_keys
        .open(&host.client, now)
        .await
        .expect("a vault");
    let call = RequestMeta {
        now,
        request_id: Id::parse("r1").expect("an id"),
        client_address: String::new(),
    };
    let sealing = audit_trail::seal(now, &host.store(now), root_keys, &call).await;
    assert_eq!(sealing.expect("the store answers"), SealOutcome::Open);
    let seen = review(&system).await;
    assert_eq!((seen.found, seen.sealed, seen.open), (vec![], 0, 4));
}

#[tokio::test]
async fn an_altered_attribute_of_an_audit_entry_is_detected() {
    let system = yesterday().await;
    seal(&system).await;
    let row = &system.rows("Portcullis", "AUDIT#").await.expect("rows")[0];
    for attribute in [
        "action",
        "outcome",
        "client_address",
        "request_id",
        "root",
        "user_id",
        "session_id",
    ] {
        let before = row[attribute].as_str();
        // `action` and similar names are reserved words of DynamoDB.
        let expression = format!("#{attribute}");
        let set = |value: &str| {
            json!({
                "TableName": "Portcullis", "Key": key(row),
                "UpdateExpression": format!("SET {expression} = :value"),
                "ExpressionAttributeNames": {expression.as_str(): attribute},
                "ExpressionAttributeValues": {":value": {"S": value}},
            })
        };
        system
            .engine_call("UpdateItem", &set("altered"))
            .await
            .expect("written");
        let found = findings(&system).await;
        assert!(
            matches!(found[..], [Finding::Altered(_)]),
            "{attribute}: {found:?}"
        );
        let back = match before {
            Some(before) => set(before),
            None => json!({
                "TableName": "Portcullis", "Key": key(row),
                "UpdateExpression": format!("REMOVE {expression}"),
                "ExpressionAttributeNames": {expression.as_str(): attribute},
            }),
        };
        system
            .engine_call("UpdateItem", &back)
            .await
            .expect("written");
        assert_eq!(findings(&system).await, [], "{attribute}");
    }
}

#[tokio::test]
async fn a_removed_added_or_moved_audit_entry_is_detected() {
    let system = yesterday().await;
    seal(&system).await;
    let row = &system.rows("Portcullis", "AUDIT#").await.expect("rows")[0];
    let get = json!({"TableName": "Portcullis", "Key": key(row)});
    let item = system.engine_call("GetItem", &get).await.expect("there")["Item"].clone();
    delete(&system, row).await;
    assert_eq!(findings(&system).await, [Finding::Removed(1)]);

    let mut moved = item.clone();
    moved["SK"]["S"] = json!("2026-11-23T12:00:00Z#another");
    let put = |item: &Value| json!({"TableName": "Portcullis", "Item": item});
    system
        .engine_call("PutItem", &put(&item))
        .await
        .expect("put back");
    assert_eq!(findings(&system).await, []);
    system
        .engine_call("PutItem", &put(&moved))
        .await
        .expect("put");
    let found = findings(&system).await;
    assert_eq!(
        found.len(),
        2,
        "not where it belongs, and one too many: {found:?}"
    );
    assert!(found.contains(&Finding::Added(1)), "{found:?}");
}

#[tokio::test]
async fn an_altered_or_removed_audit_seal_is_detected() {
    let system = yesterday().await;
    seal(&system).await;
    let rows = system
        .rows("Portcullis", "DIGEST#2026-11-23")
        .await
        .expect("rows");
    assert_eq!(rows.len(), 4);
    write(&system, &rows[0], "root", "2").await;
    delete(&system, &rows[1]).await;
    assert_eq!(
        findings(&system).await,
        [Finding::FalseSeal, Finding::Unsealed]
    );
}

#[tokio::test]
async fn audit_entries_are_found_by_every_filter() {
    let system = yesterday().await;
    let (host, day) = (&system.host, UnixTime::from_secs(NOON));
    let store = host.store(UnixTime::from_secs(system.clock.now()));
    let count = async |filter: AuditFilter| {
        let lines = audit_trail::read(day, &filter, &store).await;
        lines.expect("the store answers").len()
    };
    let action = Some("login".to_owned());
    let refused = Some("wrong_password".to_owned());
    let filter = AuditFilter {
        action: action.clone(),
        ..AuditFilter::default()
    };
    assert_eq!(count(filter).await, 7);
    let filter = AuditFilter {
        action,
        outcome: refused,
        ..AuditFilter::default()
    };
    assert_eq!(count(filter).await, 6);
    let nowhere = Some("203.0.113.1".to_owned());
    let filter = AuditFilter {
        client_address: nowhere,
        ..AuditFilter::default()
    };
    assert_eq!(count(filter).await, 0);
}
