//! An unavailable store: after some failures no request waits for it, and after its return it is
//! used within one probe interval.

use portcullis_aws::dependency::Dependency;
use portcullis_core::breaker::BreakerState;
use portcullis_tests::proxy::Fault;

use crate::{EMAIL, PASSWORD, is_problem, token, with_account};

#[tokio::test]
async fn the_breaker_opens_for_an_unavailable_store_and_closes_after_a_probe() {
    let system = with_account().await;
    let (peer, proxy) = (system.peer(), &system.proxy);
    let standing = || system.host.client.state(Dependency::DynamoDb).0;
    let calls = || proxy.calls().len();
    for operation in ["GetItem", "UpdateItem", "PutItem", "TransactWriteItems"] {
        proxy.inject_often(operation, &Fault::LostRequest, 100);
    }
    let before = calls();
    while standing() == BreakerState::Closed {
        is_problem(&peer.login(EMAIL, PASSWORD).await, 503, "store_unavailable");
    }
    assert_eq!(calls() - before, 5, "five failures in a row open it");

    // No call is sent now.
    for _ in 0..5 {
        let reply = peer.login(EMAIL, PASSWORD).await;
        is_problem(&reply, 503, "store_unavailable");
        assert_eq!(reply.header("retry-after"), "1");
    }
    assert_eq!(calls() - before, 5);

    // One probe per interval; while it fails, no other call is sent.
    system.clock.pass(2);
    for _ in 0..5 {
        is_problem(&peer.login(EMAIL, PASSWORD).await, 503, "store_unavailable");
    }
    assert_eq!(calls() - before, 6);
    assert_eq!(standing(), BreakerState::Open);

    assert!(proxy.heal() > 0);
    system.clock.pass(2);
    token(&peer.login(EMAIL, PASSWORD).await);
    assert_eq!(standing(), BreakerState::Closed);
}

#[tokio::test]
async fn a_failed_condition_does_not_open_the_breaker() {
    let system = with_account().await;
    let (peer, proxy) = (system.peer(), &system.proxy);
    let refused = || proxy.refusals("ConditionalCheckFailedException");
    for _ in 0..10 {
        let reply = peer.login(EMAIL, "wrong horse battery").await;
        is_problem(&reply, 401, "bad_credentials");
    }
    // From now on the condition of each attempt's first write fails.
    let before = refused();
    for attempt in 1..=12 {
        let reply = peer.login(EMAIL, PASSWORD).await;
        is_problem(&reply, 429, "rate_limited");
        assert!(refused() - before >= attempt, "no call was refused");
    }
    let (standing, tally) = system.host.client.state(Dependency::DynamoDb);
    assert_eq!(standing, BreakerState::Closed);
    assert_eq!((tally.failed, tally.refused), (0, 0));
}
