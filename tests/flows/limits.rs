//! Rate limits from outside: no client exceeds a quota, an attacker locks no owner out, and a store
//! that cannot count fails closed.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request};
use portcullis_tests::proxy::Fault;
use portcullis_tests::system::{CHEAP, Peer, Reply, System};
use serde_json::{Value, json};

use crate::refresh::form;
use crate::{EMAIL, PASSWORD, is_problem, token, with_account};

const DEVICE: &str = "__Host-portcullis-device";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const WRONG: &str = "wrong horse battery";

/// Behind an edge that reports the client's address, so that clients can come from anywhere.
const EDGE: [(&str, &str); 2] = [
    ("PORTCULLIS_CLIENT_IP_SOURCE", "cloudflare"),
    ("PORTCULLIS_EDGE_SECRET", SECRET),
];

/// A login from `address`, as the edge reports it, with `cookie`.
async fn login_from(
    peer: &Peer,
    address: &str,
    cookie: Option<&str>,
    (email, password): (&str, &str),
) -> Reply {
    let mut request = Request::post("/v1/login")
        .header("content-type", "application/json")
        .header("x-portcullis-edge-secret", SECRET)
        .header("cf-connecting-ip", address);
    if let Some(cookie) = cookie {
        request = request.header("cookie", format!("{DEVICE}={cookie}"));
    }
    let body = json!({"email": email, "password": password}).to_string();
    peer.send(request.body(Bytes::from(body)).expect("a request"))
        .await
}

/// The device cookie that a login has set.
pub(crate) fn device(reply: &Reply) -> String {
    let lines = reply.headers.get_all("set-cookie").iter();
    let line = lines
        .filter_map(|line| line.to_str().ok())
        .find(|line| line.starts_with(DEVICE))
        .expect("a device cookie");
    assert!(
        line.ends_with("; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=31536000"),
        "{line}"
    );
    let value = line.split([';', '=']).nth(1);
    value.expect("a value").to_owned()
}

fn is_limited(reply: &Reply, seconds: u64) {
    is_problem(reply, 429, "rate_limited");
    assert_eq!(reply.header("retry-after"), seconds.to_string());
    assert_eq!(reply.json["retry_after"], seconds);
}

async fn limit_rows(system: &System) -> Vec<Value> {
    system.rows("Portcullis", "LIMIT#").await.expect("rows")
}

#[tokio::test]
async fn sixty_four_attackers_on_three_hosts_try_ten_passwords_an_hour() {
    let system = with_account().await;
    let mut hosts = Vec::new();
    for _host in 0..3 {
        hosts.push(system.another(CHEAP, &EDGE).await.expect("a host"));
    }
    for hour in 0..2_u64 {
        let attackers = (0..64_usize).map(|attacker| {
            let host = &hosts[attacker % 3];
            let address = format!("198.51.100.{attacker}");
            async move { login_from(host, &address, None, (EMAIL, WRONG)).await }
        });
        let mut ends = BTreeMap::<u16, usize>::new();
        for reply in join_all(attackers).await {
            if reply.status == 429 {
                is_limited(&reply, 3_600);
            }
            *ends.entry(reply.status).or_default() += 1;
        }
        // A host that hashes one password at a time may be busy: that counts as an attempt.
        let tried = ends.get(&401).copied().unwrap_or(0) + ends.get(&503).copied().unwrap_or(0);
        assert_eq!(
            (tried, ends.get(&429)),
            (10, Some(&54)),
            "hour {hour}: {ends:?}"
        );
        system.clock.pass(3_599);
        let early = login_from(&hosts[0], "198.51.100.200", None, (EMAIL, WRONG)).await;
        is_limited(&early, 1);
        system.clock.pass(1);
    }
    // All those refusals write one audit entry per hour; and no row holds an address.
    let audit = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    let reported = audit.iter().filter(|line| line["action"] == "limit");
    assert_eq!(reported.clone().count(), 2);
    assert!(
        reported
            .into_iter()
            .all(|line| line["outcome"] == "login_email")
    );
    let rows = Value::from(limit_rows(&system).await).to_string();
    assert!(!rows.contains("example.com") && !rows.contains("198.51"));
}

#[tokio::test]
async fn the_owner_of_a_locked_account_logs_in_from_a_known_browser() {
    let system = with_account().await;
    let host = system.another(CHEAP, &EDGE).await.expect("a host");
    let known = device(&login_from(&host, "203.0.113.7", None, (EMAIL, PASSWORD)).await);
    for attempt in 0..10 {
        let address = format!("198.51.100.{attempt}");
        let refused = login_from(&host, &address, None, (EMAIL, WRONG)).await;
        is_problem(&refused, 401, "bad_credentials");
    }
    let victim = (EMAIL, PASSWORD);
    is_limited(&login_from(&host, "203.0.113.7", None, victim).await, 3_600);
    let let_in = login_from(&host, "203.0.113.7", Some(&known), victim).await;
    token(&let_in);
    // The browser keeps its cookie: a new one would be a new bucket for guesses.
    assert!(!let_in.headers.contains_key("set-cookie"), "{let_in:?}");
    // An incomplete cookie, or one of another address, is invalid.
    let cut = &known[..known.len() - 1];
    is_limited(
        &login_from(&host, "203.0.113.7", Some(cut), victim).await,
        3_600,
    );
    let other = ("bob@example.com", PASSWORD);
    assert_eq!(host.register(other.0, other.1).await.status, 201);
    let others = device(&login_from(&host, "203.0.113.8", None, other).await);
    is_limited(
        &login_from(&host, "203.0.113.7", Some(&others), victim).await,
        3_600,
    );
    // After a year the browser is unknown.
    system.clock.pass(365 * 86_400);
    for _attempt in 0..10 {
        let refused = login_from(&host, "203.0.113.7", Some(&known), (EMAIL, WRONG)).await;
        is_problem(&refused, 401, "bad_credentials");
    }
    is_limited(&login_from(&host, "203.0.113.9", None, victim).await, 3_600);
}

#[tokio::test]
async fn a_known_browser_that_guesses_fills_its_own_bucket_only() {
    let system = with_account().await;
    let host = system.peer();
    let known = device(&host.login(EMAIL, PASSWORD).await);
    for _attempt in 0..10 {
        let refused = login_from(&host, "", Some(&known), (EMAIL, WRONG)).await;
        is_problem(&refused, 401, "bad_credentials");
    }
    is_limited(
        &login_from(&host, "", Some(&known), (EMAIL, PASSWORD)).await,
        3_600,
    );
    token(&host.login(EMAIL, PASSWORD).await);
}

#[tokio::test]
async fn right_passwords_are_refunded_and_wrong_ones_fill_the_bucket_of_the_network() {
    let system = with_account().await;
    let host = system.another(CHEAP, &EDGE).await.expect("a host");
    let user = (EMAIL, PASSWORD);
    // A login page that posts from its server: more right logins than the quota.
    for _login in 0..130 {
        token(&login_from(&host, "2001:db8:1:2::7", None, user).await);
    }
    // Right logins use at most half of the quota, and guesses get the rest.
    let guesses = (0..60).map(|number| format!("user{number}@example.com"));
    let mut tried = 0;
    for email in guesses {
        let reply = login_from(&host, "2001:db8:1:2::9", None, (&email, WRONG)).await;
        tried += usize::from(reply.status == 401);
    }
    assert_eq!(tried, 50);
    // The next address of the same /64 waits; noon starts an hour, so the next one, too.
    is_limited(
        &login_from(&host, "2001:db8:1:2:ffff::1", None, user).await,
        7_200,
    );
    token(&login_from(&host, "2001:db8:1:3::7", None, user).await);
    token(&login_from(&host, "203.0.113.7", None, user).await);
}

#[tokio::test]
async fn many_device_cookies_of_one_address_share_one_limit_of_guesses() {
    let system = with_account().await;
    let host = system.another(CHEAP, &EDGE).await.expect("a host");
    let mut cookies = Vec::new();
    for number in 0..8 {
        let address = format!("198.51.100.{number}");
        let reply = login_from(&host, &address, None, (EMAIL, PASSWORD)).await;
        cookies.push((address, device(&reply)));
    }
    let mut tried = 0;
    for (address, cookie) in &cookies {
        for _guess in 0..10 {
            let guess = login_from(&host, address, Some(cookie), (EMAIL, WRONG)).await;
            tried += usize::from(guess.status == 401);
        }
    }
    assert_eq!(tried, 30, "of 80 guesses in one hour");
    // The limit of unknown browsers is another one, and the next hour has its own.
    token(&login_from(&host, "203.0.113.7", None, (EMAIL, PASSWORD)).await);
    system.clock.pass(3_600);
    let (address, cookie) = &cookies[0];
    token(&login_from(&host, address, Some(cookie), (EMAIL, PASSWORD)).await);
}

#[tokio::test]
async fn device_cookies_of_an_earlier_generation_do_not_lock_the_owner_out() {
    let system = with_account().await;
    let host = system.another(CHEAP, &EDGE).await.expect("a host");
    let mut stolen = Vec::new();
    for _login in 0..3 {
        let reply = login_from(&host, "198.51.100.1", None, (EMAIL, PASSWORD)).await;
        stolen.push(device(&reply));
    }
    // A password change starts a new generation, and the owner's browser becomes known in it.
    let owner = login_from(&host, "203.0.113.7", None, (EMAIL, PASSWORD)).await;
    let (bearer, cookie) = (token(&owner), device(&owner));
    let body = json!({"current_password": PASSWORD, "new_password": "another long password"});
    let request = Request::post("/v1/password/change")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {bearer}"))
        .header("cookie", format!("{DEVICE}={cookie}"));
    let request = request.body(Bytes::from(body.to_string()));
    let changed = host.send(request.expect("a request")).await;
    assert!((200..300).contains(&changed.status), "{changed:?}");
    let known = device(&changed);
    for cookie in &stolen {
        for _guess in 0..12 {
            let guess = login_from(&host, "198.51.100.1", Some(cookie), (EMAIL, WRONG)).await;
            assert!([401, 429].contains(&guess.status), "{guess:?}");
        }
    }
    let new = (EMAIL, "another long password");
    token(&login_from(&host, "203.0.113.7", Some(&known), new).await);
}

#[tokio::test]
async fn a_device_cookie_is_renewed_in_the_second_half_of_its_year_with_the_same_bucket() {
    let system = with_account().await;
    let host = system.peer();
    let first = device(&host.login(EMAIL, PASSWORD).await);
    system.clock.pass(200 * 86_400);
    let reply = login_from(&host, "", Some(&first), (EMAIL, PASSWORD)).await;
    let renewed = device(&reply);
    assert_ne!(renewed, first);
    assert_eq!(renewed.split('.').nth(1), first.split('.').nth(1));
    for (cookie, passes) in [(&first, 5), (&renewed, 5)] {
        for _guess in 0..passes {
            let guess = login_from(&host, "", Some(cookie), (EMAIL, WRONG)).await;
            is_problem(&guess, 401, "bad_credentials");
        }
    }
    let eleventh = login_from(&host, "", Some(&renewed), (EMAIL, WRONG)).await;
    is_problem(&eleventh, 429, "rate_limited");
}

#[tokio::test]
async fn a_hundred_failures_in_a_row_lock_unknown_browsers_out_with_or_without_an_account() {
    let system = with_account().await;
    let host = system.another(CHEAP, &EDGE).await.expect("a host");
    let known = device(&login_from(&host, "203.0.113.7", None, (EMAIL, PASSWORD)).await);
    for (network, email) in [(1, EMAIL), (2, "nobody@example.com")] {
        for attempt in 0..100_u64 {
            let address = format!("198.51.{network}.{}", attempt % 50);
            let refused = login_from(&host, &address, None, (email, WRONG)).await;
            is_problem(&refused, 401, "bad_credentials");
            system.clock.pass(360);
        }
        system.clock.pass(7 * 86_400);
        let locked = login_from(&host, "203.0.113.7", None, (email, PASSWORD)).await;
        is_problem(&locked, 403, "login_locked");
    }
    token(&login_from(&host, "203.0.113.7", Some(&known), (EMAIL, PASSWORD)).await);
    let locked = login_from(&host, "203.0.113.7", None, (EMAIL, PASSWORD)).await;
    is_problem(&locked, 403, "login_locked");
}

#[tokio::test]
async fn only_an_edge_with_the_secret_reports_the_client_address() {
    let system = with_account().await;
    let quota = ("PORTCULLIS_LIMITS", "login_address=3/3600,login_email=off");
    let [source, secret] = EDGE;
    let behind = system
        .another(CHEAP, &[source, secret, quota])
        .await
        .expect("a host");
    for spoofed in 0..5_u8 {
        let request = Request::post("/v1/login")
            .header("content-type", "application/json")
            .header("cf-connecting-ip", format!("203.0.113.{spoofed}"))
            .header("x-forwarded-for", format!("203.0.113.{spoofed}"))
            .header(
                "x-portcullis-edge-secret",
                "0123456789abcdef0123456789abcdeX",
            );
        let body = json!({"email": EMAIL, "password": WRONG}).to_string();
        let reply = behind
            .send(request.body(Bytes::from(body)).expect("a request"))
            .await;
        // All of them come from one connection.
        assert_eq!(reply.status, if spoofed < 3 { 401 } else { 429 });
    }
    let real = login_from(&behind, "203.0.113.1", None, (EMAIL, PASSWORD)).await;
    token(&real);
    let audit = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    let by_edge = audit
        .iter()
        .filter(|line| line["client_address"] == "203.0.113.1");
    assert_eq!(by_edge.count(), 1);
}

#[tokio::test]
async fn limits_fail_closed_unless_the_operator_sets_open() {
    let system = with_account().await;
    let kind = [("PORTCULLIS_RATE_LIMIT_FAIL_MODE", "open")];
    let lenient = system.another(CHEAP, &kind).await.expect("a host");
    // Each count is tried three times; one login counts twice and is refunded once.
    let down = Fault::Refused(400, "ProvisionedThroughputExceededException");
    system.proxy.inject_often("UpdateItem", &down, 3);
    let refused = system.peer().login(EMAIL, PASSWORD).await;
    is_problem(&refused, 503, "store_unavailable");
    assert_eq!(system.proxy.heal(), 0);
    system.proxy.inject_often("UpdateItem", &down, 6);
    token(&lenient.login(EMAIL, PASSWORD).await);
    assert_eq!(system.proxy.heal(), 0);
    assert_eq!(
        limit_rows(&system)
            .await
            .iter()
            .filter(|row| { row["PK"].as_str().is_some_and(|key| key.contains("login")) })
            .count(),
        0
    );
}

#[tokio::test]
async fn a_login_succeeds_although_its_refund_fails() {
    let system = with_account().await;
    let passes = Fault::after(|| std::future::ready(()));
    system.proxy.inject_often("UpdateItem", &passes, 2);
    system
        .proxy
        .inject_often("UpdateItem", &Fault::LostRequest, 3);
    token(&system.peer().login(EMAIL, PASSWORD).await);
    assert_eq!(system.proxy.heal(), 0);
}

#[tokio::test]
async fn limits_cost_three_units_per_login_five_from_a_known_browser_and_two_per_registration() {
    let system = System::start().await.expect("a system");
    let host = system.peer();
    let updates = || system.proxy.count("UpdateItem");
    // The host's key is published before, once.
    assert_eq!(host.get("/.well-known/jwks.json").await.status, 200);
    assert_eq!(host.register(EMAIL, PASSWORD).await.status, 201);
    assert_eq!(updates(), 2);
    let before = host.host.client.consumed();
    let first = host.login(EMAIL, PASSWORD).await;
    assert_eq!(updates(), 5, "network, address, and the address refunded");
    let spent = host.host.client.consumed().since(before);
    assert!(spent.write_halves <= 2 * 12, "{spent:?}");
    let known = device(&first);
    token(&login_from(&host, "", Some(&known), (EMAIL, PASSWORD)).await);
    assert_eq!(
        updates(),
        10,
        "the browser, all known browsers, their network; the first two refunded"
    );
    // A refusal over the limit: its write, once the note of it, once the audit entry.
    for _attempt in 0..10 {
        let _refused = host.login(EMAIL, WRONG).await;
    }
    // A failed condition costs a unit as well, though no response reports it: calls are counted.
    let writes = || (updates(), system.proxy.count("PutItem"));
    let before = writes();
    is_limited(&host.login(EMAIL, WRONG).await, 3_600);
    assert_eq!(writes(), (before.0 + 3, before.1 + 1));
    is_limited(&host.login(EMAIL, WRONG).await, 3_600);
    assert_eq!(writes(), (before.0 + 5, before.1 + 1));
}

#[tokio::test]
async fn registrations_are_limited_by_address_and_by_network() {
    let system = System::start().await.expect("a system");
    let changes = [(
        "PORTCULLIS_LIMITS",
        "register_email=2/60,register_address=4/60",
    )];
    let host = system.another(CHEAP, &changes).await.expect("a host");
    assert_eq!(host.register(EMAIL, PASSWORD).await.status, 201);
    assert_eq!(host.register(EMAIL, PASSWORD).await.status, 201);
    is_limited(&host.register(EMAIL, PASSWORD).await, 60);
    assert_eq!(host.register("bob@example.com", PASSWORD).await.status, 201);
    is_limited(&host.register("eve@example.com", PASSWORD).await, 60);
    system.clock.pass(60);
    assert_eq!(host.register("eve@example.com", PASSWORD).await.status, 201);
}

#[tokio::test]
async fn mail_requests_are_limited_by_kind_and_by_network() {
    let system = System::start().await.expect("a system");
    let changes = [(
        "PORTCULLIS_LIMITS",
        "reset_email=1/60,verify_email=1/60,mail_address=4/60,link_address=2/60",
    )];
    let host = system.another(CHEAP, &changes).await.expect("a host");
    let ask = async |path: &str, email: &str| host.post(path, &json!({"email": email})).await;
    assert_eq!(ask("/v1/password/forgot", EMAIL).await.status, 202);
    assert_eq!(ask("/v1/email/resend", EMAIL).await.status, 202);
    is_limited(&ask("/v1/password/forgot", EMAIL).await, 60);
    is_limited(&ask("/v1/email/resend", EMAIL).await, 60);
    is_limited(&ask("/v1/email/resend", "bob@example.com").await, 60);
    let links = [
        ("/v1/email/verify", json!({"token": "a.b"})),
        (
            "/v1/password/reset",
            json!({"token": "a.b", "new_password": PASSWORD}),
        ),
    ];
    for (path, body) in &links {
        is_problem(&host.post(path, body).await, 400, "bad_mail_token");
    }
    for (path, body) in &links {
        is_limited(&host.post(path, body).await, 60);
    }
}

/// A call with a token and without a body.
async fn with_token(host: &Peer, method: Method, path: &str, token: &str) -> Reply {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("authorization", format!("Bearer {token}"));
    host.send(request.body(Bytes::new()).expect("a request"))
        .await
}

#[tokio::test]
async fn every_request_of_a_bearer_is_limited() {
    let system = with_account().await;
    let quotas = (
        "PORTCULLIS_LIMITS",
        "account_address=1/60,password_account=1/60",
    );
    let host = system.another(CHEAP, &[quotas]).await.expect("a host");
    let token = token(&host.login(EMAIL, PASSWORD).await);
    let listed = with_token(&host, Method::GET, "/v1/sessions", &token).await;
    assert_eq!(listed.status, 200);
    for (method, path) in [
        (Method::GET, "/v1/sessions"),
        (Method::DELETE, "/v1/sessions/s1"),
        (Method::GET, "/v1/factors"),
        (Method::POST, "/v1/logout"),
        (Method::POST, "/v1/logout-all"),
    ] {
        is_limited(&with_token(&host, method, path, &token).await, 60);
    }
    let guess = json!({"current_password": WRONG, "new_password": "a wholly other phrase"});
    for (end, code) in [(403, "wrong_password"), (429, "rate_limited")] {
        let request = Request::post("/v1/password/change")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"));
        let body = Bytes::from(guess.to_string());
        is_problem(
            &host.send(request.body(body).expect("a request")).await,
            end,
            code,
        );
    }
}

#[tokio::test]
async fn refreshes_are_limited_by_session_and_network_and_clients_by_failures() {
    let system = with_account().await;
    let quotas =
        "refresh_session=1/60,refresh_address=3/60,client_address=1/60,account_address=1/60";
    let host = system
        .another(CHEAP, &[("PORTCULLIS_LIMITS", quotas)])
        .await
        .expect("a host");
    let refresh = async |reply: &Reply| {
        let token = reply.json["refresh_token"].as_str().expect("a token");
        let body = format!("grant_type=refresh_token&client_id=portcullis&refresh_token={token}");
        form(&host, "/oauth2/token", &body, &[]).await
    };
    let is_limited = |reply: &Reply| {
        assert_eq!(
            (reply.status, reply.code()),
            (429, "rate_limited"),
            "{reply:?}"
        );
        assert_eq!(reply.json["error"], "temporarily_unavailable");
        assert_eq!(reply.header("retry-after"), "60");
    };
    let first = host.login(EMAIL, PASSWORD).await;
    let next = refresh(&first).await;
    assert_eq!(next.status, 200, "{next:?}");
    is_limited(&refresh(&next).await);
    // Another session has its own limit; their network has one, too.
    let other = host.login(EMAIL, PASSWORD).await;
    assert_eq!(refresh(&other).await.status, 200);
    is_limited(&refresh(&host.login(EMAIL, PASSWORD).await).await);
    let ask = "token=x&client_id=orders&client_secret=guess";
    assert_eq!(
        form(&host, "/oauth2/introspect", ask, &[]).await.status,
        401
    );
    is_limited(&form(&host, "/oauth2/introspect", ask, &[]).await);
    let revoke = "token=x&client_id=portcullis";
    assert_eq!(form(&host, "/oauth2/revoke", revoke, &[]).await.status, 200);
    is_limited(&form(&host, "/oauth2/revoke", revoke, &[]).await);
}
