//! Enumeration by mail: an address with an account and one without cause the same response and the
//! same work.

use portcullis_tests::system::Reply;
use serde_json::{Value, json};

use super::Dispatcher;
use crate::{EMAIL, PASSWORD};

/// The cost of a request: the response without its ID, the store calls with the kinds of their
/// actions, the write units in halves, and the hashes.
#[derive(Debug, Eq, PartialEq)]
struct Cost {
    status: u16,
    body: Value,
    calls: Vec<(String, Vec<String>)>,
    write_halves: u64,
    read_halves: u64,
    hashes: u64,
}

async fn cost(office: &Dispatcher, request: impl Future<Output = Reply>) -> Cost {
    let (host, proxy) = (&office.peer.host, &office.system.proxy);
    let (calls, units) = (proxy.calls().len(), host.client.consumed());
    let hashes = host.hasher.runs();
    let reply = request.await;
    let spent = host.client.consumed().since(units);
    let mut body = reply.json.clone();
    if let Some(members) = body.as_object_mut() {
        members.remove("request_id");
        if let Some(id) = members.get_mut("user_id") {
            *id = id.as_str().expect("an id").len().into();
        }
    }
    let calls = proxy.calls().split_off(calls);
    Cost {
        status: reply.status,
        body,
        calls: calls
            .iter()
            .map(|call| (call.operation.clone(), actions(&call.body)))
            .collect(),
        write_halves: spent.write_halves,
        read_halves: spent.read_halves,
        hashes: host.hasher.runs() - hashes,
    }
}

/// The kinds of a transaction's actions, and whether each has a condition.
fn actions(body: &Value) -> Vec<String> {
    let actions = body["TransactItems"].as_array().into_iter().flatten();
    let actions = actions.filter_map(|action| action.as_object()?.iter().next());
    actions
        .map(|(kind, action)| format!("{kind} {}", action.get("ConditionExpression").is_some()))
        .collect()
}

#[tokio::test]
async fn enumeration_a_registration_costs_the_same_for_a_free_and_an_existing_address() {
    let office = Dispatcher::open().await;
    let _ = office.peer.register("eve@example.com", PASSWORD).await;
    let free = cost(&office, office.peer.register(EMAIL, PASSWORD)).await;
    let again = || office.peer.register(EMAIL, "another long password");
    let unverified = cost(&office, again()).await;
    assert_eq!(free, unverified);
    assert_eq!((free.status, free.hashes), (201, 1));
    assert_eq!(
        free.calls.len(),
        4,
        "two limits, one read, one transaction: {:?}",
        free.calls
    );
    assert!(free.write_halves <= 12 * 2);

    // An unverified address gets a new link, a verified one a notice.
    office.system.clock.pass(1);
    let _ = office.deliver().await;
    let letters = office.letters();
    assert!(letters.iter().all(|letter| letter.text.contains('#')));
    let mut anns = letters
        .iter()
        .filter(|letter| letter.to != "eve@example.com");
    let link = anns.next_back().expect("a letter").token();
    assert_eq!(office.verify(link).await.status, 204);
    let taken = cost(&office, again()).await;
    assert_eq!(free, taken);
    let _ = office.deliver().await;
    let letters = office.letters();
    let taken = letters
        .iter()
        .find(|letter| letter.subject.contains("already"));
    // Mail goes to the address as its owner typed it.
    assert_eq!(taken.expect("a letter").to, "Ann@example.com");
    assert!(!taken.expect("a letter").text.contains('#'));
    let users = office.system.rows("Portcullis", "ID#").await.expect("rows");
    assert_eq!(users.len(), 2);
    let vain = office
        .system
        .rows("Portcullis", "VAIN#")
        .await
        .expect("rows");
    assert_eq!(vain.len(), 6);
    let reported = Value::from(vain).to_string();
    assert!(
        !reported.contains("example") && !reported.contains("argon2"),
        "{reported}"
    );
}

#[tokio::test]
async fn enumeration_a_mail_request_is_one_transaction_for_every_address() {
    let office = Dispatcher::open().await;
    let _ = office.peer.register(EMAIL, PASSWORD).await;
    let _ = office.deliver().await;
    let verified = office.last().token().to_owned();
    office.system.clock.pass(1);
    for path in ["/v1/password/forgot", "/v1/email/resend"] {
        let ask = |email: &str| office.post(path, json!({"email": email}));
        let known = cost(&office, ask(EMAIL)).await;
        let unknown = cost(&office, ask("nobody@example.com")).await;
        assert_eq!(known, unknown);
        assert_eq!((known.status, known.hashes, known.read_halves), (202, 0, 0));
        let expected = ["Put false", "Put false"].map(str::to_owned).to_vec();
        let limit = ("UpdateItem".to_owned(), vec![]);
        let transaction = ("TransactWriteItems".to_owned(), expected);
        assert_eq!(known.calls, [limit.clone(), limit, transaction]);
    }
    // Only an existing account gets mail.
    let before = office.letters().len();
    let _ = office.deliver().await;
    let letters = office.letters().split_off(before);
    assert!(letters.iter().all(|letter| letter.to == "Ann@example.com"));
    assert_eq!((letters.len(), office.waiting().await), (2, 0));
    assert_eq!(
        office.verify(&verified).await.status,
        400,
        "a newer mail replaced it"
    );
}

#[tokio::test]
async fn enumeration_a_login_before_verification_equals_a_wrong_password() {
    let office = Dispatcher::open().await;
    let _ = office.peer.register(EMAIL, PASSWORD).await;
    let _ = office.peer.login(EMAIL, PASSWORD).await;
    let unverified = cost(&office, office.peer.login(EMAIL, PASSWORD)).await;
    let wrong = cost(&office, office.peer.login(EMAIL, "another long password")).await;
    let unknown = cost(&office, office.peer.login("nobody@example.com", PASSWORD)).await;
    assert_eq!((&unverified, &unverified), (&wrong, &unknown));
    assert_eq!(unverified.status, 401);
}

#[tokio::test]
async fn a_verified_address_gets_no_further_verification_mail() {
    let office = Dispatcher::open().await;
    let _ = office.peer.register(EMAIL, PASSWORD).await;
    let _ = office.deliver().await;
    assert_eq!(office.verify(office.last().token()).await.status, 204);
    let _ = office
        .post("/v1/email/resend", json!({"email": EMAIL}))
        .await;
    assert_eq!(office.deliver().await.mails_sent, 0);
    assert_eq!((office.letters().len(), office.waiting().await), (1, 0));
}
