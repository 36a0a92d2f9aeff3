//! An emergency revocation of a key by the CLI.

use std::process::Stdio;

use portcullis_core::id::Id;
use portcullis_host::clock::{SystemClock, WallClock as _};
use portcullis_host::rotation::RotationContext;
use portcullis_service::ports::RequestMeta;
use portcullis_service::rotate::revoke::KeyRevocation;
use portcullis_tests::program::operator_program;
use portcullis_tests::proxy::Fault;
use portcullis_tests::system::{CHEAP, System, environment};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{document, kid, log_in, now, published, takes};
use crate::with_account;

/// A system on the machine's clock, which the CLI uses.
async fn system() -> System {
    let system = with_account().await;
    // The build takes time, which the system's clock does not count.
    operator_program();
    let now = SystemClock.read().expect("after 1970");
    system.clock.set(now.as_secs());
    system
}

async fn operator(system: &System, arguments: &[&str]) -> (Option<i32>, Value) {
    let mut command = Command::new(operator_program());
    command
        .env_clear()
        .envs(environment(&system.proxy))
        .args(["--actor", "grace", "--json", "keys"])
        .args(arguments)
        .stdin(Stdio::null());
    let output = command.output().await.expect("it runs");
    let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), json)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_rotates_and_reports_the_next_possible_time() {
    let system = system().await;
    let peer = system.peer();
    let old = kid(&log_in(&peer).await);
    let (code, said) = operator(&system, &["rotate"]).await;
    assert_eq!(
        (code, &said["outcome"]),
        (Some(0), &"done".into()),
        "{said}"
    );
    assert_eq!(said["key"]["state"], "published");
    let next = said["key"]["kid"].as_str().expect("a name");
    // The old key signs until the new one does, although it has an end already.
    let signing = &said["signing"][0];
    assert_eq!(
        (&signing["kid"], &signing["state"]),
        (&json!(old), &json!("signing"))
    );
    assert_eq!(signing["signs_until"], said["key"]["sign_from"]);
    assert!(signing["ends_at"].as_u64() > signing["signs_until"].as_u64());
    let (_, shown) = operator(&system, &["show"]).await;
    let states = shown["keys"].as_array().expect("keys").iter();
    let states: Vec<_> = states
        .map(|key| key["state"].as_str().expect("a state"))
        .collect();
    assert_eq!(states, ["signing", "published"]);
    assert_eq!(published(&peer).await.len(), 1, "read a moment ago");
    system.clock.pass(10);
    assert_eq!(published(&peer).await, [old.as_str(), next]);
    assert_eq!(kid(&log_in(&peer).await), old);
    let (code, said) = operator(&system, &["rotate"]).await;
    assert_eq!((code, &said["outcome"]), (Some(1), &"too_early".into()));
    let key = &document(&system).await["keys"][0];
    assert_eq!(said["until"], key["ends_at"], "{said} {key}");
    // Each change names its operator.
    let rows = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    let acts = rows.iter().filter(|row| row["action"] == "key_rotate");
    let actors: Vec<_> = acts.map(|row| &row["client_address"]).collect();
    assert_eq!(actors, [crate::operator::GRACE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_kid_is_rejected_and_the_next_key_signs_at_once() {
    let system = system().await;
    let peer = system.peer();
    let stolen = log_in(&peer).await;
    let (code, said) = operator(&system, &["rotate"]).await;
    assert_eq!(code, Some(0), "{said}");
    let next = said["key"]["kid"].as_str().expect("a name").to_owned();
    let (code, said) = operator(&system, &["revoke", &kid(&stolen)]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(document(&system).await["withdrawn"][0], kid(&stolen));
    let rows = system.rows("TokenBlacklist", "KID#").await.expect("rows");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["PK"], format!("KID#{}", kid(&stolen)));
    assert_eq!(rows[0]["request_id"], said["request_id"]);
    let feed = system.rows("TokenBlacklist", "FEED#").await.expect("rows");
    let feed: Vec<_> = feed
        .iter()
        .filter(|row| row["target_id"] == kid(&stolen))
        .collect();
    assert_eq!(feed.len(), 1, "{feed:?}");
    assert!(!takes(&peer, &stolen).await);
    system.clock.pass(10);
    assert_eq!(published(&peer).await, [next.as_str()]);
    let fresh = log_in(&peer).await;
    assert_eq!(kid(&fresh), next);
    assert!(takes(&peer, &fresh).await);

    // A repeated revocation is published again; an unknown key is distinguished.
    let (code, _) = operator(&system, &["revoke", &kid(&stolen)]).await;
    assert_eq!(code, Some(0));
    let (code, said) = operator(&system, &["revoke", "unknown"]).await;
    assert_eq!((code, &said["outcome"]), (Some(1), &"unknown_key".into()));
}

#[tokio::test]
async fn a_revoked_key_in_a_file_is_replaced_by_the_files_new_key() {
    let system = with_account().await;
    let path = system.folder().join("signing-key.json");
    let changes = [
        ("PORTCULLIS_SIGNING_SECRET", ""),
        ("PORTCULLIS_SIGNING_KEY_FILE", path.to_str().expect("UTF-8")),
    ];
    let peer = system.another(CHEAP, &changes).await.expect("a host");
    let old = kid(&log_in(&peer).await);
    let now = now(&peer.host);
    let call = RequestMeta {
        now,
        request_id: Id::from_random([7; 16]),
        client_address: "operator:test".to_owned(),
    };
    let rotation = RotationContext::open(&peer.host, &call).await;
    let end = rotation.expect("root keys").revoke(&old).await;
    assert_eq!(end.expect("done"), KeyRevocation::Done);
    std::fs::remove_file(&path).expect("it was there");
    system.clock.pass(10);
    let token = log_in(&peer).await;
    assert_ne!(kid(&token), old);
    assert!(takes(&peer, &token).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_revocation_changes_document_feed_and_audit_trail_together_or_not_at_all() {
    for (fault, lost) in [
        (Fault::LostRequest, true),
        (Fault::LostAnswer, false),
        (Fault::Refused(500, "InternalServerError"), true),
    ] {
        let system = system().await;
        let peer = system.peer();
        let stolen = kid(&log_in(&peer).await);
        let often = if lost { 3 } else { 1 };
        let write = "TransactWriteItems";
        system.proxy.inject_often(write, &fault, often);
        let (code, said) = operator(&system, &["revoke", &stolen]).await;
        let count = async |table, prefix| system.rows(table, prefix).await.expect("rows").len();
        let trail = system.rows("Portcullis", "AUDIT#").await.expect("rows");
        let trail = trail.iter().filter(|row| row["action"] == "key_revoke");
        let found = (
            count("TokenBlacklist", "KID#").await,
            document(&system).await["keys"].as_array().map(Vec::len),
            trail.count(),
        );
        let (expected, exit) = if lost {
            ((0, Some(1), 0), Some(3))
        } else {
            ((1, Some(0), 1), Some(0))
        };
        assert_eq!((found, code), (expected, exit), "{said}");
    }
}
