//! Replay under one `x-request-id`: the ID of the client is a remark and never makes two requests one.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use portcullis_tests::system::{CHEAP, NOON, Peer, Reply, System};
use serde_json::{Value, json};

use crate::factors::{challenge, code, with_factor};
use crate::mail::Dispatcher;
use crate::{EMAIL, PASSWORD, token, with_account};

/// The number of requests with the same ID.
const REPLAYS: usize = 3;

/// Posts `bodies` at the same time, each with the same request ID.
async fn replay(peer: &Peer, path: &str, bodies: Vec<Value>) -> Vec<Reply> {
    let calls = bodies.into_iter().map(|body| {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("x-request-id", "one-id-for-all-of-them");
        let request = request.body(Bytes::from(body.to_string()));
        peer.send(request.expect("a request"))
    });
    let replies = join_all(calls).await;
    let ids: BTreeSet<_> = replies
        .iter()
        .map(|reply| reply.header("x-request-id"))
        .collect();
    assert_eq!(ids.len(), replies.len(), "each request has its own ID");
    replies
}

/// A host that accepts more codes at once than the default limit.
async fn unlimited(system: &System) -> Peer {
    let off = [(
        "PORTCULLIS_LIMITS",
        "factor_account=off,recovery_account=off",
    )];
    system.another(CHEAP, &off).await.expect("a host")
}

fn count(replies: &[Reply], status: u16) -> usize {
    let replies = replies.iter();
    replies.filter(|reply| reply.status == status).count()
}

async fn sessions(system: &System) -> usize {
    let rows = system.rows("Portcullis", "USER#").await.expect("rows");
    let keys = rows.iter().filter_map(|row| row["SK"].as_str());
    keys.filter(|key| key.starts_with("SESSION#")).count()
}

#[tokio::test]
async fn replay_of_a_totp_code_under_one_request_id_opens_one_session() {
    let (system, secret, _, _) = with_factor().await;
    let peer = unlimited(&system).await;
    system.clock.pass(30);
    let challenge = challenge(&peer).await;
    let before = sessions(&system).await;
    let body = json!({"challenge": challenge, "code": code(&secret, NOON + 30)});
    let replies = replay(&peer, "/v1/login/factor", vec![body; 8]).await;
    assert_eq!(count(&replies, 200), 1, "{replies:?}");
    assert_eq!(sessions(&system).await, before + 1);
}

#[tokio::test]
async fn replay_of_a_recovery_code_under_one_request_id_opens_one_session() {
    let (system, _, recovery, _) = with_factor().await;
    let peer = unlimited(&system).await;
    let challenge = challenge(&peer).await;
    let before = sessions(&system).await;
    let body = json!({"challenge": challenge, "recovery_code": recovery[0]});
    let replies = replay(&peer, "/v1/login/factor", vec![body; 8]).await;
    assert_eq!(count(&replies, 200), 1, "{replies:?}");
    assert_eq!(sessions(&system).await, before + 1);
}

#[tokio::test]
async fn replay_of_a_reset_link_under_one_request_id_sets_one_password() {
    let office = Dispatcher::open().await;
    assert_eq!(office.peer.register(EMAIL, PASSWORD).await.status, 201);
    assert_eq!(office.forgot(EMAIL).await.status, 202);
    office.deliver().await;
    let letters = office.letters();
    let reset = letters
        .iter()
        .find(|letter| letter.link().contains("reset"));
    let link = reset.expect("a reset mail").token();
    let passwords: Vec<_> = (0..REPLAYS)
        .map(|number| format!("another long password {number}"))
        .collect();
    let bodies = passwords.iter();
    let bodies = bodies.map(|password| json!({"token": link, "new_password": password}));
    let replies = replay(&office.peer, "/v1/password/reset", bodies.collect()).await;
    assert_eq!(count(&replies, 204), 1, "{replies:?}");
    let mut accepted = 0;
    for (password, reply) in passwords.iter().zip(&replies) {
        let login = office.peer.login(EMAIL, password).await;
        assert_eq!(login.status == 200, reply.status == 204, "{login:?}");
        accepted += usize::from(login.status == 200);
    }
    assert_eq!(accepted, 1);
}

#[tokio::test]
async fn replay_of_a_registration_under_one_request_id_creates_one_account() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    let passwords: Vec<_> = (0..REPLAYS)
        .map(|number| format!("gates fall at nightfall {number}"))
        .collect();
    let bodies = passwords.iter();
    let bodies = bodies.map(|password| json!({"email": EMAIL, "password": password}));
    let replies = replay(&peer, "/v1/register", bodies.collect()).await;
    assert_eq!(count(&replies, 201), REPLAYS, "{replies:?}");
    let audit = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    let outcomes = audit.iter().filter(|line| line["action"] == "register");
    let outcomes: Vec<_> = outcomes.map(|line| line["outcome"].clone()).collect();
    assert_eq!(outcomes.len(), REPLAYS);
    let created = outcomes.iter().filter(|outcome| *outcome == "success");
    assert_eq!(created.count(), 1, "{outcomes:?}");
    let mut accepted = 0;
    for password in &passwords {
        accepted += usize::from(peer.login(EMAIL, password).await.status == 200);
    }
    assert_eq!(accepted, 1);
}

#[tokio::test]
async fn a_login_under_one_request_id_opens_a_session_for_each_request() {
    let system = with_account().await;
    let body = json!({"email": EMAIL, "password": PASSWORD});
    let replies = replay(&system.peer(), "/v1/login", vec![body; 3]).await;
    let tokens: BTreeSet<_> = replies.iter().map(token).collect();
    assert_eq!((tokens.len(), sessions(&system).await), (3, 3));
}

#[tokio::test]
async fn an_audit_entry_has_the_id_of_the_response_and_not_that_of_the_client() {
    let system = with_account().await;
    let body = json!({"email": EMAIL, "password": "wrong password here"});
    let replies = replay(&system.peer(), "/v1/login", vec![body; 2]).await;
    let audit = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    for reply in &replies {
        let id = reply.header("x-request-id");
        assert_eq!(
            audit.iter().filter(|line| line["request_id"] == id).count(),
            1
        );
    }
    let forged = audit
        .iter()
        .filter(|line| line["request_id"] == "one-id-for-all-of-them");
    assert_eq!(forged.count(), 0);
}
