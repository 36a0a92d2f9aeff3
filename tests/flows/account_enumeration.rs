//! Account enumeration: a response must not reveal whether an account exists.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use portcullis_tests::system::{LIMITS, Reply, System};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::{EMAIL, PASSWORD, token, with_account};

/// A reply without its request ID.
fn anonymous(reply: &Reply) -> (u16, Vec<(String, String)>, Value) {
    let mut json = reply.json.clone();
    if let Some(members) = json.as_object_mut() {
        members.remove("request_id");
    }
    let headers = reply
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id" && *name != "date");
    let headers = headers.map(|(name, value)| (name.to_string(), format!("{value:?}")));
    (reply.status, headers.collect(), json)
}

async fn disable(system: &System) {
    let body = json!({
        "TableName": "Portcullis",
        "Key": {"PK": {"S": "USER#ann@example.com"}, "SK": {"S": "PROFILE"}},
        "UpdateExpression": "SET #s = :s",
        "ExpressionAttributeNames": {"#s": "status"},
        "ExpressionAttributeValues": {":s": {"S": "disabled"}},
    });
    system
        .engine_call("UpdateItem", &body)
        .await
        .expect("updated");
}

#[tokio::test]
async fn enumeration_a_refused_login_reveals_no_reason_and_costs_one_hash() {
    let system = with_account().await;
    let peer = system.peer();
    let wrong = |system: &System| system.host.hasher.runs();

    let mut replies = vec![];
    for (email, password) in [
        (EMAIL, "wrong horse battery"),
        ("nobody@example.com", PASSWORD),
        (EMAIL, "short"),
    ] {
        let before = wrong(&system);
        replies.push(peer.login(email, password).await);
        assert_eq!(wrong(&system), before + 1, "{email} costs one run");
    }
    disable(&system).await;
    let before = wrong(&system);
    replies.push(peer.login(EMAIL, PASSWORD).await);
    assert_eq!(wrong(&system), before + 1);

    assert_eq!(
        (replies[0].status, replies[0].code()),
        (401, "bad_credentials")
    );
    for reply in &replies {
        assert_eq!(anonymous(reply), anonymous(&replies[0]));
    }
    let audit = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    let mut known: Vec<_> = audit
        .iter()
        .filter(|line| line["action"] == "login")
        .map(|line| line["outcome"].as_str().expect("an outcome"))
        .collect();
    known.sort_unstable();
    assert_eq!(
        known,
        [
            "disabled",
            "unknown_address",
            "wrong_password",
            "wrong_password"
        ]
    );
    assert!(
        system
            .rows("Portcullis", "SID#")
            .await
            .expect("rows")
            .is_empty()
    );
}

#[tokio::test]
async fn enumeration_an_unknown_address_and_a_wrong_password_cause_the_same_store_calls() {
    let system = with_account().await;
    let peer = system.peer();
    assert_eq!(
        peer.login(EMAIL, "wrong horse battery").await.status,
        401,
        "the key is published"
    );
    let mut journeys = vec![];
    for email in [EMAIL, "nobody@example.com"] {
        let before = system.proxy.calls().len();
        assert_eq!(peer.login(email, "wrong horse battery").await.status, 401);
        let calls = system.proxy.calls();
        let calls: Vec<_> = calls
            .iter()
            .skip(before)
            .map(|call| call.operation.clone())
            .collect();
        journeys.push(calls);
    }
    assert_eq!(journeys[0], journeys[1]);
}

#[tokio::test]
async fn enumeration_registering_an_existing_address_looks_like_a_new_registration() {
    let system = with_account().await;
    let peer = system.peer();
    let fresh = peer.register("bob@example.com", PASSWORD).await;
    let runs = system.host.hasher.runs();
    let taken = peer
        .register("ANN@example.com", "another long password")
        .await;
    assert_eq!(
        system.host.hasher.runs(),
        runs + 1,
        "an existing address costs one hash, too"
    );
    assert_eq!((fresh.status, taken.status), (201, 201));
    let ids = [&fresh, &taken].map(|reply| reply.json["user_id"].as_str().expect("an id").len());
    assert_eq!(ids[0], ids[1]);

    // The account still belongs to the first owner.
    token(&peer.login(EMAIL, PASSWORD).await);
    assert_eq!(peer.login(EMAIL, "another long password").await.status, 401);
    let users = system.rows("Portcullis", "USER#ann@").await.expect("rows");
    assert_eq!(users.iter().filter(|row| row["SK"] == "PROFILE").count(), 1);
    let audit = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    let vain = audit
        .iter()
        .filter(|line| line["outcome"] == "address_taken");
    assert_eq!(vain.count(), 1);
}

#[tokio::test]
async fn concurrent_registrations_of_one_address_create_one_account() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    let passwords: Vec<String> = (0..8)
        .map(|number| format!("{PASSWORD} {number}"))
        .collect();
    let races = passwords
        .iter()
        .map(|password| peer.register(EMAIL, password));
    for reply in futures_util::future::join_all(races).await {
        assert_eq!(reply.status, 201);
    }
    let mut good = 0;
    for password in &passwords {
        good += usize::from(peer.login(EMAIL, password).await.status == 200);
    }
    assert_eq!(good, 1);
    assert_eq!(
        system.rows("Portcullis", "ID#").await.expect("rows").len(),
        1
    );
}

/// The only hashing thread stays busy until the test releases it, so that no timing of another hash
/// decides.
#[test]
fn a_full_hash_queue_rejects_a_request_and_recovers() {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build();
    runtime.expect("a runtime").block_on(async {
        let system = System::start().await.expect("a system");
        let peer = system.peer();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let occupied = tokio::task::spawn_blocking(move || released.recv());

        // One more than the queue holds: the last one to arrive is rejected.
        let places = 0..=LIMITS.at_once + LIMITS.waiting;
        let emails: Vec<_> = places.map(|place| format!("{place}@example.com")).collect();
        let mut replies: FuturesUnordered<_> = emails
            .iter()
            .map(|email| peer.register(email, PASSWORD))
            .collect();
        let reply = replies.next().await.expect("one is rejected");
        assert_eq!((reply.code(), reply.header("retry-after")), ("busy", "1"));
        release.send(()).expect("still pending");
        occupied.await.expect("no panic").expect("released");
        while let Some(reply) = replies.next().await {
            assert_eq!(reply.status, 201, "{reply:?}");
        }
        assert_eq!(peer.register(EMAIL, PASSWORD).await.status, 201);
    });
}
