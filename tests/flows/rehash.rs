//! Hashes are replaced at login once the parameters rise.

use portcullis_host::hasher::HashParameters;
use portcullis_tests::proxy::Fault;
use portcullis_tests::system::{CHEAP, System};

use crate::{EMAIL, PASSWORD, token, with_account};

const RAISED: HashParameters = HashParameters {
    memory_kib: 128,
    passes: 2,
    lanes: 1,
};

async fn hash(system: &System) -> String {
    let rows = system
        .rows("Portcullis", "USER#ann@example.com")
        .await
        .expect("rows");
    let user = rows
        .iter()
        .find(|row| row["SK"] == "PROFILE")
        .expect("a user");
    user["password"].as_str().expect("a hash").to_owned()
}

#[tokio::test]
async fn a_successful_login_replaces_an_outdated_hash_once() {
    let system = with_account().await;
    let raised = system.another(RAISED, &[]).await.expect("a host");
    assert_eq!(raised.login(EMAIL, "wrong horse battery").await.status, 401);
    assert!(
        hash(&system).await.contains("$m=64,t=1,"),
        "a wrong password renews nothing"
    );

    token(&raised.login(EMAIL, PASSWORD).await);
    let renewed = hash(&system).await;
    assert!(renewed.contains("$m=128,t=2,"));
    let runs = raised.host.hasher.runs();
    token(&raised.login(EMAIL, PASSWORD).await);
    assert_eq!(
        raised.host.hasher.runs(),
        runs + 1,
        "nothing is left to renew"
    );
    assert_eq!(hash(&system).await, renewed);

    let audit = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    let renewals = audit
        .iter()
        .filter(|line| line["action"] == "password_rehash");
    assert_eq!(renewals.count(), 1);
}

#[tokio::test]
async fn a_host_with_lower_parameters_keeps_a_stronger_hash() {
    let system = with_account().await;
    let raised = system.another(RAISED, &[]).await.expect("a host");
    token(&raised.login(EMAIL, PASSWORD).await);
    let renewed = hash(&system).await;
    let low = system.another(CHEAP, &[]).await.expect("a host");
    token(&low.login(EMAIL, PASSWORD).await);
    assert_eq!(hash(&system).await, renewed);
}

#[tokio::test]
async fn concurrent_logins_replace_the_hash_without_harm() {
    let system = with_account().await;
    let raised = system.another(RAISED, &[]).await.expect("a host");
    let races = (0..6).map(|_| raised.login(EMAIL, PASSWORD));
    for reply in futures_util::future::join_all(races).await {
        token(&reply);
    }
    assert!(hash(&system).await.contains("$m=128,t=2,"));
    token(&raised.login(EMAIL, PASSWORD).await);
}

#[tokio::test]
async fn a_login_succeeds_although_its_rehash_fails() {
    let system = with_account().await;
    let raised = system.another(RAISED, &[]).await.expect("a host");
    let before = hash(&system).await;
    // The session is open; the next write never arrives.
    let passes = Fault::after(|| std::future::ready(()));
    system.proxy.inject("TransactWriteItems", passes);
    system
        .proxy
        .inject_often("TransactWriteItems", &Fault::LostRequest, 3);
    token(&raised.login(EMAIL, PASSWORD).await);
    assert_eq!(system.proxy.heal(), 0, "the renewal was tried");
    assert_eq!(hash(&system).await, before);
    token(&raised.login(EMAIL, PASSWORD).await);
    assert!(hash(&system).await.contains("$m=128,t=2,"));
}
