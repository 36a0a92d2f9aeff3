//! The operator helps an owner who cannot log in: limits, locks and lost factors.

use http::Method;
use serde_json::json;

use crate::factors::{call, challenge, enrol, second};
use crate::operator::{run, system};
use crate::{EMAIL, PASSWORD, is_problem, token};

const WRONG: &str = "wrong horse battery";

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_shown_and_cleared_for_an_account_and_for_a_network() {
    let system = system().await;
    let peer = system.peer();
    let empty = run(&system, &["--json", "limits", "show", "no@example.com"]).await;
    assert_eq!(
        (empty.code, empty.json["limits"].clone()),
        (Some(0), json!([]))
    );
    for _guess in 0..10 {
        is_problem(&peer.login(EMAIL, WRONG).await, 401, "bad_credentials");
    }
    is_problem(&peer.login(EMAIL, PASSWORD).await, 429, "rate_limited");
    let shown = run(&system, &["--json", "limits", "show", EMAIL]).await;
    let limits = shown.json["limits"].as_array().expect("a list");
    let used = limits.iter().find(|limit| limit["limit"] == "login_email");
    let used = used.expect("counted");
    assert_eq!(used["quota"], "10/3600");
    assert_eq!(
        (&used["locked"], &used["failures"]),
        (&json!(false), &json!(10))
    );
    assert!(used["retry_after"].as_u64().expect("a wait") > 3_000);
    // An address without an account has counts, too.
    let other = "unknown@example.com";
    let _ = peer.login(other, WRONG).await;
    let shown = run(&system, &["--json", "limits", "show", other]).await;
    assert_eq!(shown.json["limits"][0]["limit"], "login_email");
    let network = run(&system, &["--json", "limits", "show", "127.0.0.1"]).await;
    let names = network.json["limits"].as_array().expect("a list");
    assert!(names.iter().any(|limit| limit["limit"] == "login_address"));
    assert!(names.iter().all(|limit| {
        limit["limit"]
            .as_str()
            .is_some_and(|name| name.ends_with("_address"))
    }));

    // Another limit leaves this one as it is.
    let arguments = ["limits", "clear", EMAIL, "--limit", "reset_email"];
    assert_eq!(run(&system, &arguments).await.code, Some(0));
    is_problem(&peer.login(EMAIL, PASSWORD).await, 429, "rate_limited");
    let cleared = run(&system, &["limits", "clear", EMAIL]).await;
    assert_eq!(cleared.code, Some(0), "{cleared:?}");
    let _ = token(&peer.login(EMAIL, PASSWORD).await);
    let cleared = run(&system, &["limits", "clear", "127.0.0.1"]).await;
    assert_eq!(cleared.code, Some(0), "{cleared:?}");
    let network = run(&system, &["--json", "limits", "show", "127.0.0.1"]).await;
    assert_eq!(network.json["limits"], json!([]));
    let unknown = ["limits", "clear", EMAIL, "--limit", "logins"];
    assert_eq!(run(&system, &unknown).await.code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_login_is_unlocked_by_the_operator() {
    let system = system().await;
    let peer = system.peer();
    // The program uses the machine's clock, so the ten hours are the last ones.
    system.clock.set(system.clock.now() - 36_000);
    for _hour in 0..10 {
        for _guess in 0..10 {
            is_problem(&peer.login(EMAIL, WRONG).await, 401, "bad_credentials");
        }
        system.clock.pass(3_600);
    }
    is_problem(&peer.login(EMAIL, PASSWORD).await, 403, "login_locked");
    let shown = run(&system, &["limits", "show", EMAIL]).await;
    assert!(
        shown.text.contains("locked, 100 failures in a row"),
        "{shown:?}"
    );
    let cleared = run(
        &system,
        &["limits", "clear", EMAIL, "--limit", "login_email"],
    )
    .await;
    assert_eq!(cleared.code, Some(0), "{cleared:?}");
    let _ = token(&peer.login(EMAIL, PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_removes_a_lost_second_factor() {
    let system = system().await;
    let peer = system.peer();
    let none = run(&system, &["--json", "users", "remove-factor", EMAIL]).await;
    assert_eq!(
        (none.code, &none.json["outcome"]),
        (Some(0), &json!("unchanged"))
    );
    let bearer = token(&peer.login(EMAIL, PASSWORD).await);
    let (_, recovery) = enrol(&peer, &bearer, PASSWORD, system.clock.now()).await;
    let open = challenge(&peer).await;
    let removed = run(&system, &["--json", "users", "remove-factor", EMAIL]).await;
    assert_eq!(
        (removed.code, &removed.json["outcome"]),
        (Some(0), &json!("done"))
    );
    let stale = second(&peer, &open, "recovery_code", &recovery[0]).await;
    is_problem(&stale, 401, "bad_challenge");
    let _ = token(&peer.login(EMAIL, PASSWORD).await);
    let body = json!({"current_password": PASSWORD, "recovery_code": recovery[0]});
    let path = "/v1/factors/totp";
    let gone = call(&peer, Method::DELETE, path, &bearer, &body).await;
    is_problem(&gone, 409, "no_factor");
    let unknown = run(&system, &["users", "remove-factor", "unknown@example.com"]).await;
    assert_eq!(unknown.code, Some(1));
}
