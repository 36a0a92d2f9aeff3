//! Audit log flooding (CWE-779): callers without credentials cannot fill the audit trail.

use std::collections::BTreeMap;

use http::{Method, Request};
use portcullis_tests::system::{CHEAP, Peer, Reply, System};
use serde_json::json;

use crate::refresh::{form, refresh, refresh_token};
use crate::{EMAIL, PASSWORD, with_account};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Behind an edge that reports the client's address.
const EDGE: [(&str, &str); 2] = [
    ("PORTCULLIS_CLIENT_IP_SOURCE", "cloudflare"),
    ("PORTCULLIS_EDGE_SECRET", SECRET),
];

/// The number of audit entries of each action and outcome.
async fn lines(system: &System) -> BTreeMap<String, usize> {
    let rows = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    let mut lines = BTreeMap::new();
    for row in rows {
        let text = |name: &str| row[name].as_str().expect("a text").to_owned();
        let line = format!("{} {}", text("action"), text("outcome"));
        *lines.entry(line).or_default() += 1;
    }
    lines
}

fn count(lines: &BTreeMap<String, usize>, line: &str) -> usize {
    lines.get(line).copied().unwrap_or(0)
}

/// A bad refresh token from `address`, in a form or in a cookie.
async fn garbage(peer: &Peer, address: &str, token: &str, is_cookie: bool) -> Reply {
    let from = [
        ("x-portcullis-edge-secret", SECRET),
        ("cf-connecting-ip", address),
    ];
    if !is_cookie {
        let body = format!("grant_type=refresh_token&client_id=portcullis&refresh_token={token}");
        return form(peer, "/oauth2/token", &body, &from).await;
    }
    let request = Request::post("/v1/refresh")
        .header("cookie", format!("__Host-portcullis-refresh={token}"))
        .header(from[0].0, from[0].1)
        .header(from[1].0, from[1].1);
    peer.send(request.body(bytes::Bytes::new()).expect("a request"))
        .await
}

/// The response as the client sees it, without the ID of the request.
fn response(reply: &Reply) -> (u16, String, Vec<String>) {
    let id = reply.header("x-request-id").to_owned();
    let mut names: Vec<_> = reply
        .headers
        .iter()
        .filter(|(name, _)| !["x-request-id", "date", "content-length"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    names.sort_unstable();
    (reply.status, reply.json.to_string().replace(&id, ""), names)
}

#[tokio::test]
async fn garbage_refresh_tokens_beyond_the_limit_write_no_audit_entry_and_get_the_same_response() {
    let system = with_account().await;
    let host = system.another(CHEAP, &EDGE).await.expect("a host");
    let login = host.login(EMAIL, PASSWORD).await;
    // A token of the other delivery is garbage, too.
    let of_a_body = refresh_token(&login);
    let last = if of_a_body.ends_with('A') { 'B' } else { 'A' };
    let altered = format!("{}{last}", &of_a_body[..of_a_body.len() - 1]);
    let attempts = [
        ("x", false),
        (altered.as_str(), false),
        ("x", true),
        (of_a_body.as_str(), true),
    ];
    let mut first = BTreeMap::new();
    for number in 0..24 {
        let (token, is_cookie) = attempts[number % attempts.len()];
        let reply = garbage(&host, "203.0.113.7", token, is_cookie).await;
        assert_eq!(reply.code(), "bad_refresh_token", "{reply:?}");
        let response = response(&reply);
        let same = first.entry(is_cookie).or_insert_with(|| response.clone());
        assert_eq!(*same, response, "attempt {number}");
        let lines = lines(&system).await;
        let (single, limits) = (
            count(&lines, "refresh not_ours"),
            count(&lines, "limit refresh_refused"),
        );
        let expected = ((number + 1).min(10), usize::from(number >= 10));
        assert_eq!((single, limits), expected, "attempt {number}");
    }
    // The next network has a count of its own.
    let _ = garbage(&host, "203.0.113.8", "x", false).await;
    assert_eq!(count(&lines(&system).await, "refresh not_ours"), 11);
    // The token itself is unharmed.
    assert_eq!(refresh(&host, &of_a_body).await.status, 200);
    // The next window has its own entries.
    system.clock.pass(600);
    let _ = garbage(&host, "203.0.113.7", "x", true).await;
    assert_eq!(count(&lines(&system).await, "refresh not_ours"), 12);
}

#[tokio::test]
async fn refused_tokens_of_this_host_are_not_counted_as_garbage() {
    let system = with_account().await;
    let quotas = ("PORTCULLIS_LIMITS", "refresh_refused=1/600");
    let host = system.another(CHEAP, &[quotas]).await.expect("a host");
    let ended = host.login(EMAIL, PASSWORD).await;
    assert!(host.logout(&crate::token(&ended)).await.status < 300);
    for _attempt in 0..3 {
        let reply = refresh(&host, &refresh_token(&ended)).await;
        assert_eq!(reply.status, 400, "{reply:?}");
    }
    let lines = lines(&system).await;
    assert_eq!(count(&lines, "refresh no_session"), 3);
    assert_eq!(count(&lines, "limit refresh_refused"), 0);
}

/// Garbage for one operation of the API: content type and body.
fn body(operation: &str, number: usize) -> (&'static str, String) {
    const FORM: &str = "application/x-www-form-urlencoded";
    let email = format!("user{number}@example.com");
    let link = json!({"token": "x"});
    let json = match operation {
        "post /v1/login" => json!({"email": email, "password": "wrong horse battery"}),
        "post /v1/register" => json!({"email": email, "password": PASSWORD}),
        "post /v1/password/forgot" | "post /v1/email/resend" => json!({ "email": email }),
        "post /v1/email/verify" | "post /v1/login/unlock" => link,
        "post /v1/password/reset" => json!({"token": "x", "new_password": PASSWORD}),
        "post /v1/login/factor" => json!({"challenge": "x", "code": "000000"}),
        "post /v1/logout" => json!({"refresh_token": "x"}),
        "post /oauth2/token" => {
            let form = "grant_type=refresh_token&client_id=portcullis&refresh_token=x";
            return (FORM, form.to_owned());
        }
        "post /oauth2/revoke" => return (FORM, "token=x&client_id=portcullis".to_owned()),
        "post /oauth2/introspect" => return (FORM, "token=x&client_id=o".to_owned()),
        _ => json!({}),
    };
    ("application/json", json.to_string())
}

/// The operations with a quota of 10 or 15 minutes.
const SHORT_WINDOWS: [&str; 5] = [
    "post /oauth2/introspect",
    "post /oauth2/revoke",
    "post /oauth2/token",
    "post /v1/login/factor",
    "post /v1/logout",
];

/// Sends garbage, with a garbage token and a garbage cookie.
async fn send_garbage(peer: &Peer, operation: &str, number: usize) -> Reply {
    let (method, path) = operation.split_once(' ').expect("a method and a path");
    let (content_type, body) = body(operation, number);
    let method: Method = method.to_uppercase().parse().expect("a method");
    let mut request = Request::builder()
        .method(&method)
        .uri(path.replace("{id}", "x"))
        .header("x-portcullis-edge-secret", SECRET)
        .header("cf-connecting-ip", "203.0.113.7")
        .header("cookie", "__Host-portcullis-refresh=x")
        .header("content-type", content_type);
    if !path.starts_with("/oauth2/") {
        request = request.header("authorization", "Bearer x");
    }
    let is_empty = method == Method::GET || path == "/v1/refresh";
    let body = if is_empty { String::new() } else { body };
    peer.send(request.body(body.into()).expect("a request"))
        .await
}

/// The audit entries that one network without credentials causes within an hour, as in the table of
/// docs/audit.md. The quotas of calls without own entries are small here: each such limit writes one
/// entry in its window, whatever its quota.
#[tokio::test]
async fn garbage_from_one_network_to_every_endpoint_writes_the_documented_number_of_audit_entries()
{
    let system = System::start().await.expect("a system");
    let small = "refresh_address=20/600,account_address=20/600";
    let settings = [EDGE[0], EDGE[1], ("PORTCULLIS_LIMITS", small)];
    let host = system.another(CHEAP, &settings).await.expect("a host");
    let document = host.get("/openapi.json").await.json;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let methods = item.as_object().expect("operations").keys();
        operations.extend(methods.map(|method| format!("{method} {path}")));
    }
    // Invalid challenges also count as `account_address`, so they come first: the worst case.
    operations.sort_by_key(|operation| operation != "post /v1/login/factor");
    let _ = host.get("/.well-known/jwks.json").await;
    let before = lines(&system).await;
    for round in 0..12 {
        for operation in &operations {
            // The first round uses up the quotas of an hour, each further one those of 10 or 15
            // minutes.
            let each = match round {
                0 => 110,
                _ if SHORT_WINDOWS.contains(&operation.as_str()) => 32,
                _ => 1,
            };
            for number in 0..each {
                let reply = send_garbage(&host, operation, number).await;
                assert!(reply.status < 500, "{operation}: {reply:?}");
            }
        }
        system.clock.pass(300);
    }
    let mut lines = lines(&system).await;
    lines.retain(|line, number| {
        *number -= count(&before, line);
        *number > 0
    });
    let total: usize = lines.values().sum();
    let documented = include_str!("../../docs/audit.md");
    let row = format!("| all of them | | {total} |");
    assert!(documented.contains(&row), "{row}: {lines:#?}");
}
