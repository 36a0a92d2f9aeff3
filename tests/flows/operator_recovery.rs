//! The operator helps an owner who cannot log in: limits, locks and lost factors.

use http::Method;
use portcullis_tests::system::{DEVICE_COOKIE, Peer, Reply, System};
use serde_json::json;

use crate::factors::{call, challenge, enrol, second};
use crate::limits::device;
use crate::operator::{run, system};
use crate::refresh::{refresh, refresh_token};
use crate::{EMAIL, PASSWORD, claims, is_problem, token};

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
    assert_eq!((&used["used"], &used["attempts"]), (&json!(10), &json!(10)));
    assert!(used["unused_in"].as_u64().expect("a time") > 3_000);
    let text = run(&system, &["limits", "show", EMAIL]).await.text;
    assert!(
        text.contains("10 of 10 used in 3600 s, used up, next attempt in 3"),
        "{text}"
    );
    assert!(text.contains("unused again in 3"), "{text}");
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

/// A login of the browser with the device cookie `cookie`.
async fn login_as(peer: &Peer, cookie: &str, password: &str) -> Reply {
    let cookie = format!("{DEVICE_COOKIE}={cookie}");
    let body = json!({"email": EMAIL, "password": password});
    peer.post_with("/v1/login", &body, &cookie).await
}

/// The counts of known browsers that the operator sees: used, retry time and name.
async fn browsers(system: &System) -> Vec<(u64, bool, String)> {
    let shown = run(system, &["--json", "limits", "show", EMAIL]).await;
    let limits = shown.json["limits"].as_array().expect("a list").iter();
    let own = limits.filter(|limit| limit["limit"] == "login_device");
    let mut counts: Vec<_> = own
        .map(|limit| {
            let name = limit["known_browser"].as_str().expect("a name").to_owned();
            let used = limit["used"].as_u64().expect("a number");
            (used, limit["retry_after"].is_u64(), name)
        })
        .collect();
    counts.sort();
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counts_of_known_browsers_are_shown_and_cleared() {
    let system = system().await;
    let peer = system.peer();
    let first = device(&peer.login(EMAIL, PASSWORD).await);
    let second = device(&peer.login(EMAIL, PASSWORD).await);
    assert_eq!(
        browsers(&system).await,
        [],
        "no login with a device cookie yet"
    );
    for _guess in 0..10 {
        is_problem(
            &login_as(&peer, &first, WRONG).await,
            401,
            "bad_credentials",
        );
    }
    is_problem(
        &login_as(&peer, &first, PASSWORD).await,
        429,
        "rate_limited",
    );
    is_problem(
        &login_as(&peer, &second, WRONG).await,
        401,
        "bad_credentials",
    );
    let counts = browsers(&system).await;
    let states: Vec<_> = counts
        .iter()
        .map(|(used, waits, _)| (*used, *waits))
        .collect();
    assert_eq!(states, [(1, false), (10, true)]);
    assert_ne!(counts[0].2, counts[1].2);
    let text = run(&system, &["limits", "show", EMAIL]).await.text;
    for cookie in [&first, &second] {
        let nonce = cookie.split('.').nth(1).expect("a nonce");
        assert!(
            !text.contains(nonce),
            "the output has the cookie's identifier"
        );
    }
    let shown = run(&system, &["--json", "users", "show", EMAIL]).await;
    assert_eq!(shown.json["known_browsers"], 2, "{shown:?}");

    let clear = ["limits", "clear", EMAIL, "--limit", "login_device"];
    let cleared = run(&system, &clear).await;
    assert_eq!(
        (cleared.code, cleared.text.contains("cleared 2 limits")),
        (Some(0), true)
    );
    assert_eq!(browsers(&system).await, []);
    token(&login_as(&peer, &first, PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_show_tells_second_factor_sessions_and_browsers_without_a_secret() {
    let system = system().await;
    let peer = system.peer();
    let facts = async || {
        let shown = run(&system, &["--json", "users", "show", EMAIL]).await;
        let names = ["totp", "recovery_codes", "sessions", "known_browsers"];
        (names.map(|name| shown.json[name].clone()), shown.text)
    };
    let (before, _) = facts().await;
    assert_eq!(before, [json!("none"), json!(0), json!(0), json!(0)]);
    let login = peer.login(EMAIL, PASSWORD).await;
    let bearer = token(&login);
    let (secret, recovery) = enrol(&peer, &bearer, PASSWORD, system.clock.now()).await;
    let (after, text) = facts().await;
    assert_eq!(
        after,
        [json!("active"), json!(recovery.len()), json!(1), json!(0)]
    );
    for secret in recovery.iter().chain([&secret]) {
        assert!(!text.contains(&**secret), "{text}");
    }
    let open = challenge(&peer).await;
    let done = second(&peer, &open, "recovery_code", &recovery[0]).await;
    assert_eq!(done.status, 200, "{done:?}");
    let _ = login_as(&peer, &device(&login), PASSWORD).await;
    let (used, _) = facts().await;
    assert_eq!(
        used,
        [
            json!("active"),
            json!(recovery.len() - 1),
            json!(2),
            json!(1)
        ]
    );
    let text = run(&system, &["users", "show", EMAIL]).await.text;
    for line in [
        "totp        active",
        "sessions    2 open",
        "browsers    1 known",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_count_of_an_open_session_is_shown_with_its_refreshes() {
    let system = system().await;
    let peer = system.peer();
    let login = peer.login(EMAIL, PASSWORD).await;
    let bearer = token(&refresh(&peer, &refresh_token(&login)).await);
    let shown = run(&system, &["--json", "limits", "show", EMAIL]).await;
    let limits = shown.json["limits"].as_array().expect("a list");
    let own = limits
        .iter()
        .find(|limit| limit["limit"] == "refresh_session");
    let own = own.expect("counted");
    assert_eq!((&own["used"], &own["attempts"]), (&json!(1), &json!(30)));
    assert_eq!(own["session"], claims(&bearer)["sid"]);
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
