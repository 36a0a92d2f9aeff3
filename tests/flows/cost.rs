//! The store's units per operation, as `docs/cost.md` lists them.

use std::fmt::Write as _;

use http::{Method, Request};
use portcullis_tests::system::{CHEAP, DEVICE_COOKIE, Peer, Reply, System};
use serde_json::{Value, json};

use crate::factors::{call, code, enrol, second};
use crate::mail::Dispatcher;
use crate::refresh::{refresh, refresh_token};
use crate::{EMAIL, PASSWORD, token};

const WRONG: &str = "wrong horse battery";
const NEXT: &str = "another long password";
const PAGE: &str = include_str!("../../docs/cost.md");

/// The rows of the table that this run measured.
struct Bill {
    rows: String,
}

impl Bill {
    /// Adds the units that `operation` consumed.
    async fn add(
        &mut self,
        peer: &Peer,
        name: &str,
        operation: impl Future<Output = Reply>,
    ) -> Reply {
        let before = peer.host.client.consumed();
        let reply = operation.await;
        assert!(reply.status < 500, "{name}: {reply:?}");
        let used = peer.host.client.consumed().since(before);
        let [writes, reads] = [used.write_halves, used.read_halves].map(|halves| {
            let (whole, half) = (halves / 2, halves % 2);
            if half == 0 {
                whole.to_string()
            } else {
                format!("{whole}.5")
            }
        });
        writeln!(self.rows, "| {name} | {writes} | {reads} |").expect("memory");
        reply
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

async fn send(peer: &Peer, method: Method, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(bytes::Bytes::new());
    peer.send(request.expect("a request")).await
}

#[tokio::test]
async fn each_operation_costs_the_units_that_the_documentation_states() {
    let office = Dispatcher::open().await;
    let (peer, clock) = (&office.peer, &office.system.clock);
    let mut bill = Bill {
        rows: String::new(),
    };
    // The host reads its secrets and publishes its key once.
    let _ = peer.get("/.well-known/jwks.json").await;
    let _ = peer.login("warm@example.com", WRONG).await;
    let registered = peer.register(EMAIL, PASSWORD);
    bill.add(peer, "registration", registered).await;
    let _ = office.deliver().await;
    let link = office.last();
    let verified = office.verify(link.token());
    bill.add(peer, "first proof of an address", verified).await;
    let wrong = peer.login(EMAIL, WRONG);
    bill.add(peer, "login, wrong password", wrong).await;
    let unknown = peer.login("unknown@example.com", WRONG);
    bill.add(peer, "login, unknown address", unknown).await;
    let login = bill.add(peer, "login", peer.login(EMAIL, PASSWORD)).await;
    let device = login.cookie(DEVICE_COOKIE).expect("a cookie");
    let body = json!({"email": EMAIL, "password": PASSWORD});
    let device = format!("{DEVICE_COOKIE}={device}");
    let known = peer.post_with("/v1/login", &body, &device);
    let login = bill.add(peer, "login, known browser", known).await;
    clock.pass(60);
    let first = refresh_token(&login);
    let refreshed = refresh(peer, &first);
    let refreshed = bill.add(peer, "refresh", refreshed).await;
    let again = refresh(peer, &first);
    bill.add(peer, "refresh, repeated in the grace window", again)
        .await;
    bill.add(peer, "refresh, not our token", refresh(peer, "x.1.y.z"))
        .await;
    let access = token(&refreshed);
    bill.add(peer, "logout, access token", peer.logout(&access))
        .await;
    bill.add(peer, "logout, repeated at once", peer.logout(&access))
        .await;
    clock.pass(60);
    bill.add(peer, "logout, repeated later", peer.logout(&access))
        .await;
    let login = peer.login(EMAIL, PASSWORD).await;
    let body = json!({"refresh_token": refresh_token(&login)});
    let ended = peer.post("/v1/logout", &body);
    bill.add(peer, "logout, refresh token", ended).await;
    bill.add(peer, "logout, nothing of ours", peer.logout("x"))
        .await;
    let access = token(&peer.login(EMAIL, PASSWORD).await);
    let header = bearer(&access);
    let headers = [("authorization", header.as_str())];
    let listed = send(peer, Method::GET, "/v1/sessions", &headers);
    bill.add(peer, "list of sessions", listed).await;
    let change = json!({"current_password": PASSWORD, "new_password": NEXT});
    let changed = call(peer, Method::POST, "/v1/password/change", &access, &change);
    let changed = bill.add(peer, "password change", changed).await;
    let _ = token(&changed);
    // The notice of the change.
    let _ = office.deliver().await;
    bill.add(peer, "request of a reset mail", office.forgot(EMAIL))
        .await;
    let _ = office.deliver().await;
    let link = office.last();
    let reset = office.reset(link.token(), PASSWORD);
    bill.add(peer, "password reset", reset).await;
    let access = token(&peer.login(EMAIL, PASSWORD).await);
    let body = json!({"current_password": PASSWORD});
    let begun = call(peer, Method::POST, "/v1/factors/totp", &access, &body);
    bill.add(peer, "second factor, enrolment", begun).await;
    let (secret, _) = enrol(peer, &access, PASSWORD, clock.now()).await;
    clock.pass(30);
    let challenged = bill
        .add(
            peer,
            "login, first step of two",
            peer.login(EMAIL, PASSWORD),
        )
        .await;
    let challenge = challenged.json["challenge"].as_str().expect("a challenge");
    let second = second(peer, challenge, "code", &code(&secret, clock.now()));
    let login = bill.add(peer, "login, second step", second).await;
    let access = token(&login);
    let all = call(peer, Method::POST, "/v1/logout-all", &access, &Value::Null);
    bill.add(peer, "logout everywhere", all).await;
    assert!(
        PAGE.contains(&bill.rows),
        "the table of this run:\n{}",
        bill.rows
    );
}

/// Known and unknown addresses differ in nothing, also in cost.
#[tokio::test]
async fn enumeration_a_login_costs_the_same_for_every_address() {
    let system = System::start().await.expect("a system");
    let peer = system.another(CHEAP, &[]).await.expect("a host");
    assert_eq!(peer.register(EMAIL, PASSWORD).await.status, 201);
    let mut bill = Bill {
        rows: String::new(),
    };
    let _ = peer.login(EMAIL, WRONG).await;
    bill.add(&peer, "x", peer.login(EMAIL, WRONG)).await;
    bill.add(&peer, "x", peer.login("unknown@example.com", WRONG))
        .await;
    let rows: Vec<_> = bill.rows.lines().collect();
    assert_eq!(rows[0], rows[1]);
}
