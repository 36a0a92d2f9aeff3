//! Second factors: started, confirmed, required at login, used once, removed.

use std::future::Future;

use bytes::Bytes;
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Method, Request};
use portcullis_tests::system::{CHEAP, NOON, Peer, Reply, System};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::refresh::{refresh, refresh_token};
use crate::{EMAIL, PASSWORD, is_problem, token, with_account};

const NEXT: &str = "another long password";

/// The TOTP code at `now`, computed by RFC 4226 §5.3 and RFC 6238 §4.2 directly.
pub(crate) fn code(secret: &str, now: u64) -> String {
    let secret = BASE32_NOPAD.decode(secret.as_bytes()).expect("base32");
    let mut mac = Hmac::<Sha1>::new_from_slice(&secret).expect("any length");
    mac.update(&(now / 30).to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let offset = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes(hash[offset..offset + 4].try_into().expect("four"));
    format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
}

pub(crate) async fn call(
    peer: &Peer,
    method: Method,
    path: &str,
    token: &str,
    body: &Value,
) -> Reply {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    let body = Bytes::from(body.to_string());
    peer.send(request.body(body).expect("a request")).await
}

const TOTP: &str = "/v1/factors/totp";

/// A system with an account that has an active factor: its secret, recovery codes and a token.
pub(crate) async fn with_factor() -> (System, String, Vec<String>, String) {
    let system = with_account().await;
    let peer = system.peer();
    let token = token(&peer.login(EMAIL, PASSWORD).await);
    let (secret, codes) = enrol(&peer, &token, PASSWORD, NOON).await;
    (system, secret, codes, token)
}

/// Activates a new factor: its secret and recovery codes.
pub(crate) async fn enrol(
    peer: &Peer,
    token: &str,
    password: &str,
    now: u64,
) -> (String, Vec<String>) {
    let body = json!({"current_password": password});
    let begun = call(peer, Method::POST, TOTP, token, &body).await;
    assert_eq!(begun.status, 200, "{begun:?}");
    let secret = begun.json["secret"].as_str().expect("a secret").to_owned();
    let body = json!({"code": code(&secret, now)});
    let path = "/v1/factors/totp/confirm";
    let confirmed = call(peer, Method::POST, path, token, &body).await;
    assert_eq!(confirmed.status, 200, "{confirmed:?}");
    let codes = confirmed.json["recovery_codes"].as_array().expect("codes");
    let codes = codes
        .iter()
        .map(|code| code.as_str().expect("a text").to_owned());
    let codes: Vec<String> = codes.collect();
    assert_eq!(codes.len(), 10);
    (secret, codes)
}

/// The challenge of a login with the correct password.
pub(crate) async fn challenge(peer: &Peer) -> String {
    let reply = peer.login(EMAIL, PASSWORD).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json["second_factor_required"], true);
    assert_eq!(reply.json["methods"], json!(["totp", "recovery_code"]));
    assert_eq!(reply.json["expires_in"], 300);
    assert!(reply.json.get("access_token").is_none());
    reply.json["challenge"].as_str().expect("a text").to_owned()
}

pub(crate) fn second<'a>(
    peer: &'a Peer,
    challenge: &str,
    name: &str,
    code: &str,
) -> impl Future<Output = Reply> + use<'a> {
    let body = json!({"challenge": challenge, name: code});
    async move { peer.post("/v1/login/factor", &body).await }
}

#[tokio::test]
async fn a_factor_is_required_only_after_its_confirmation() {
    let system = with_account().await;
    let peer = system.peer();
    let bearer = token(&peer.login(EMAIL, PASSWORD).await);
    let begin = json!({"current_password": PASSWORD});
    let path = "/v1/factors/totp";
    let begun = call(&peer, Method::POST, path, &bearer, &begin).await;
    let first = begun.json["secret"].as_str().expect("a secret").to_owned();
    let uri = begun.json["uri"].as_str().expect("a URI");
    assert_eq!(
        uri,
        format!(
            "otpauth://totp/login.example:Ann%40Example.com?secret={first}&issuer=login.example\
             &algorithm=SHA1&digits=6&period=30"
        )
    );
    token(&peer.login(EMAIL, PASSWORD).await);
    // After a restart, the first secret is invalid.
    let begun = call(&peer, Method::POST, path, &bearer, &begin).await;
    let secret = begun.json["secret"].as_str().expect("a secret").to_owned();
    assert_ne!(first, secret);
    let confirm = "/v1/factors/totp/confirm";
    let old = json!({"code": code(&first, NOON)});
    is_problem(
        &call(&peer, Method::POST, confirm, &bearer, &old).await,
        403,
        "wrong_code",
    );
    let good = json!({"code": code(&secret, NOON)});
    let confirmed = call(&peer, Method::POST, confirm, &bearer, &good).await;
    assert_eq!(confirmed.status, 200);
    is_problem(
        &call(&peer, Method::POST, confirm, &bearer, &good).await,
        409,
        "factor_active",
    );
    is_problem(
        &call(&peer, Method::POST, path, &bearer, &begin).await,
        409,
        "factor_active",
    );
    challenge(&peer).await;

    let rows = system.rows("Portcullis", "USER#").await.expect("rows");
    let factor = rows
        .iter()
        .find(|row| row["SK"] == "FACTOR#TOTP")
        .expect("a row");
    assert!(!factor.to_string().contains(&secret), "sealed at rest");
    let codes = confirmed.json["recovery_codes"]
        .to_string()
        .replace('-', "");
    let kept = rows
        .iter()
        .find(|row| row["SK"] == "FACTOR#RECOVERY")
        .expect("a row");
    for kept in kept["codes"].as_str().expect("a text").split(',') {
        assert!(!codes.contains(kept), "only their MACs are stored");
    }
    assert!(rows.iter().all(|row| row.to_string().len() < 1_024));
}

#[tokio::test]
async fn a_replayed_totp_code_is_rejected() {
    let (system, secret, _, _) = with_factor().await;
    let peer = system.peer();
    let challenge = challenge(&peer).await;
    // The confirming code is the first used one.
    let spent = second(&peer, &challenge, "code", &code(&secret, NOON)).await;
    is_problem(&spent, 403, "wrong_code");
    system.clock.pass(30);
    let fresh = code(&secret, NOON + 30);
    token(&second(&peer, &challenge, "code", &fresh).await);
    is_problem(
        &second(&peer, &challenge, "code", &fresh).await,
        403,
        "wrong_code",
    );
    // No earlier code is accepted, although its time step would be allowed.
    is_problem(
        &second(&peer, &challenge, "code", &code(&secret, NOON)).await,
        403,
        "wrong_code",
    );
    let audit = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    let outcomes = |outcome: &str| {
        let line = |line: &&Value| line["action"] == "login" && line["outcome"] == outcome;
        audit.iter().filter(line).count()
    };
    assert_eq!(outcomes("second_factor_asked"), 1);
    assert_eq!(outcomes("wrong_code"), 3);
    assert_eq!(outcomes("success"), 2, "the first was before the factor");
}

#[tokio::test]
async fn a_totp_code_of_a_neighbouring_time_step_is_accepted() {
    let (system, secret, _, _) = with_factor().await;
    let peer = system.peer();
    system.clock.pass(300);
    let now = NOON + 300;
    let challenge = challenge(&peer).await;
    for late in [now - 60, now + 60] {
        let reply = second(&peer, &challenge, "code", &code(&secret, late)).await;
        is_problem(&reply, 403, "wrong_code");
    }
    token(&second(&peer, &challenge, "code", &code(&secret, now - 30)).await);
    token(&second(&peer, &challenge, "code", &code(&secret, now + 30)).await);
}

#[tokio::test]
async fn a_totp_code_replayed_at_two_hosts_opens_one_session() {
    let (system, secret, recovery, _) = with_factor().await;
    // More at once than the limit of codes allows.
    let off = [(
        "PORTCULLIS_LIMITS",
        "factor_account=off,recovery_account=off",
    )];
    let hosts = [
        system.another(CHEAP, &off).await.expect("a host"),
        system.another(CHEAP, &off).await.expect("a host"),
    ];
    let challenge = challenge(&hosts[0]).await;
    system.clock.pass(30);
    let totp = code(&secret, NOON + 30);
    for (name, code) in [("code", &totp), ("recovery_code", &recovery[3])] {
        let races = (0..8).map(|at| second(&hosts[at % 2], &challenge, name, code));
        let replies = futures_util::future::join_all(races).await;
        let let_in = replies.iter().filter(|reply| reply.status == 200).count();
        assert_eq!(let_in, 1, "{name}");
        for reply in replies.iter().filter(|reply| reply.status != 200) {
            is_problem(reply, 403, "wrong_code");
        }
    }
}

#[tokio::test]
async fn each_recovery_code_is_valid_once_even_in_a_race() {
    let (system, _, recovery, bearer) = with_factor().await;
    let peer = system.peer();
    let challenge = challenge(&peer).await;
    let typed = recovery[0].to_uppercase().replace('-', " ");
    token(&second(&peer, &challenge, "recovery_code", &typed).await);
    let again = second(&peer, &challenge, "recovery_code", &recovery[0]).await;
    is_problem(&again, 403, "wrong_code");
    // Two different codes at once: neither removes the other.
    let (one, other) = tokio::join!(
        second(&peer, &challenge, "recovery_code", &recovery[1]),
        second(&peer, &challenge, "recovery_code", &recovery[2]),
    );
    assert_eq!((one.status, other.status), (200, 200));
    let list = call(&peer, Method::GET, "/v1/factors", &bearer, &Value::Null).await;
    assert_eq!(list.json["recovery_codes_left"], 7, "{list:?}");
    assert_eq!(
        list.json["factors"],
        json!([{"type": "totp", "confirmed_at": NOON}])
    );
}

#[tokio::test]
async fn a_login_challenge_is_bound_to_one_device_five_minutes_and_one_password() {
    let (system, secret, recovery, bearer) = with_factor().await;
    let peer = system.peer();
    let sealed = challenge(&peer).await;
    let body = json!({"challenge": sealed, "recovery_code": recovery[0]}).to_string();
    let elsewhere = Request::post("/v1/login/factor")
        .header("content-type", "application/json")
        .header("user-agent", "another");
    let elsewhere = elsewhere.body(Bytes::from(body)).expect("a request");
    is_problem(&peer.send(elsewhere).await, 401, "bad_challenge");
    for forged in ["", "x", &sealed[1..], &format!("{sealed}AA")] {
        let reply = second(&peer, forged, "recovery_code", &recovery[0]).await;
        is_problem(&reply, 401, "bad_challenge");
    }
    system.clock.pass(299);
    token(&second(&peer, &sealed, "recovery_code", &recovery[0]).await);
    system.clock.pass(1);
    let late = second(&peer, &sealed, "code", &code(&secret, NOON + 300)).await;
    is_problem(&late, 401, "bad_challenge");

    // A password change invalidates the challenges of the old one.
    let sealed = challenge(&peer).await;
    let change = json!({"current_password": PASSWORD, "new_password": "an otter"});
    let changed = call(&peer, Method::POST, "/v1/password/change", &bearer, &change).await;
    assert_eq!(
        changed.status, 200,
        "eight characters are enough beside a factor: {changed:?}"
    );
    let reply = second(&peer, &sealed, "recovery_code", &recovery[1]).await;
    is_problem(&reply, 401, "bad_challenge");
}

#[tokio::test]
async fn removing_a_factor_requires_password_and_code() {
    let (system, secret, recovery, bearer) = with_factor().await;
    let peer = system.peer();
    let path = "/v1/factors/totp";
    let remove = async |body: Value| call(&peer, Method::DELETE, path, &bearer, &body).await;
    system.clock.pass(30);
    let totp = code(&secret, NOON + 30);
    let wrong = remove(json!({"current_password": "another horse", "code": totp})).await;
    is_problem(&wrong, 403, "wrong_password");
    let wrong = remove(json!({"current_password": PASSWORD, "code": "000000"})).await;
    is_problem(&wrong, 403, "wrong_code");
    is_problem(
        &remove(json!({"current_password": PASSWORD})).await,
        400,
        "missing_member",
    );

    let path = "/v1/factors/recovery-codes";
    let body = json!({"current_password": PASSWORD, "recovery_code": recovery[0]});
    let renewed = call(&peer, Method::POST, path, &bearer, &body).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    let old = remove(json!({"current_password": PASSWORD, "recovery_code": recovery[1]})).await;
    is_problem(&old, 403, "wrong_code");
    let new = renewed.json["recovery_codes"][1].clone();
    let removed = remove(json!({"current_password": PASSWORD, "recovery_code": new})).await;
    assert_eq!(removed.status, 204, "{removed:?}");
    token(&peer.login(EMAIL, PASSWORD).await);
    let rows = system.rows("Portcullis", "USER#").await.expect("rows");
    let left = |row: &&Value| {
        row["SK"]
            .as_str()
            .is_some_and(|key| key.starts_with("FACTOR#"))
    };
    assert_eq!(rows.iter().filter(left).count(), 0);
    let gone = remove(json!({"current_password": PASSWORD, "code": totp})).await;
    is_problem(&gone, 409, "no_factor");
}

#[tokio::test]
async fn a_pending_factor_expires_after_15_minutes() {
    let system = with_account().await;
    let peer = system.peer();
    let path = "/v1/factors/totp";
    let body = json!({"current_password": PASSWORD});
    let bearer = token(&peer.login(EMAIL, PASSWORD).await);
    let begun = call(&peer, Method::POST, path, &bearer, &body).await;
    let secret = begun.json["secret"].as_str().expect("a secret").to_owned();
    system.clock.pass(900);
    let bearer = token(&peer.login(EMAIL, PASSWORD).await);
    let path = "/v1/factors/totp/confirm";
    let body = json!({"code": code(&secret, NOON + 900)});
    is_problem(
        &call(&peer, Method::POST, path, &bearer, &body).await,
        409,
        "no_factor",
    );
}

#[tokio::test]
async fn a_login_with_a_factor_costs_less_than_twelve_write_units() {
    let (system, secret, _, _) = with_factor().await;
    let peer = system.peer();
    let written = || system.host.client.consumed();
    let before = written();
    let sealed = challenge(&peer).await;
    // One audit row, and the attempt: by network, by address, and refunded.
    assert_eq!(written().since(before).write_halves, 2 * (1 + 3));
    system.clock.pass(30);
    let before = written();
    token(&second(&peer, &sealed, "code", &code(&secret, NOON + 30)).await);
    // The time step is one write; session, locator, check and audit row two each; the code is
    // counted and refunded.
    assert_eq!(written().since(before).write_halves, 2 * (1 + 8 + 2));
}

#[tokio::test]
async fn factor_endpoints_reject_a_request_without_a_valid_token() {
    let system = with_account().await;
    let peer = system.peer();
    for (method, path) in [
        (Method::GET, "/v1/factors"),
        (Method::POST, "/v1/factors/totp"),
        (Method::DELETE, "/v1/factors/totp"),
        (Method::POST, "/v1/factors/totp/confirm"),
        (Method::POST, "/v1/factors/recovery-codes"),
        (Method::POST, "/v1/password/change"),
    ] {
        let body = json!({"current_password": PASSWORD});
        let reply = call(&peer, method.clone(), path, "a.b.c", &body).await;
        assert_eq!(reply.status, 401, "{method} {path}: {reply:?}");
        let bearer = token(&peer.login(EMAIL, PASSWORD).await);
        assert_eq!(peer.logout(&bearer).await.status, 204);
        let reply = call(&peer, method, path, &bearer, &body).await;
        is_problem(&reply, 401, "revoked");
    }
}

#[tokio::test]
async fn totp_guesses_are_limited_to_five_per_quarter_hour_and_a_hundred_in_a_row() {
    let (system, secret, recovery, _token) = with_factor().await;
    let peer = system.peer();
    let sealed = challenge(&peer).await;
    system.clock.pass(30);
    let mut session = second(&peer, &sealed, "code", &code(&secret, NOON + 30)).await;
    let mut wrong = 0;
    while wrong < 100 {
        let challenge = challenge(&peer).await;
        for _guess in 0..5 {
            let refused = second(&peer, &challenge, "code", "000000").await;
            is_problem(&refused, 403, "wrong_code");
            wrong += 1;
        }
        if wrong == 5 {
            let now = system.clock.now();
            let limited = second(&peer, &challenge, "code", &code(&secret, now)).await;
            is_problem(&limited, 429, "rate_limited");
            assert_eq!(limited.header("retry-after"), "900");
        }
        system.clock.pass(900);
    }
    let open = challenge(&peer).await;
    let locked = second(&peer, &open, "code", &code(&secret, system.clock.now())).await;
    is_problem(&locked, 403, "factor_locked");
    // Neither days nor a new password unlock the factor.
    for _half in 0..2 {
        system.clock.pass(12 * 86_400);
        session = refresh(&peer, &refresh_token(&session)).await;
    }
    let body = json!({"current_password": PASSWORD, "new_password": NEXT});
    let path = "/v1/password/change";
    let changed = call(&peer, Method::POST, path, &token(&session), &body).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let reply = peer.login(EMAIL, NEXT).await;
    let open = reply.json["challenge"].as_str().expect("a challenge");
    let locked = second(&peer, open, "code", &code(&secret, system.clock.now())).await;
    is_problem(&locked, 403, "factor_locked");
    // A recovery code opens a session, which replaces the factor. The new factor is not locked.
    let bearer = token(&second(&peer, open, "recovery_code", &recovery[0]).await);
    let proof = json!({"current_password": NEXT, "recovery_code": recovery[1]});
    let removed = call(&peer, Method::DELETE, TOTP, &bearer, &proof).await;
    assert_eq!(removed.status, 204, "{removed:?}");
    let (secret, _) = enrol(&peer, &bearer, NEXT, system.clock.now()).await;
    let stale = second(&peer, open, "recovery_code", &recovery[2]).await;
    is_problem(&stale, 401, "bad_challenge");
    system.clock.pass(30);
    let reply = peer.login(EMAIL, NEXT).await;
    let open = reply.json["challenge"].as_str().expect("a challenge");
    token(&second(&peer, open, "code", &code(&secret, system.clock.now())).await);
}

#[tokio::test]
async fn a_password_change_gives_no_new_totp_guesses() {
    let (system, secret, _, mut bearer) = with_factor().await;
    let peer = system.peer();
    let passwords = [PASSWORD, NEXT, "gates fall at nightfall"];
    let mut left = 5_u32;
    for (password, next) in passwords.into_iter().zip(passwords.into_iter().skip(1)) {
        let reply = peer.login(EMAIL, password).await;
        let open = reply.json["challenge"].as_str().expect("a challenge");
        for _guess in 0..3 {
            let guess = second(&peer, open, "code", "000000").await;
            let (status, code) = if left > 0 {
                (403, "wrong_code")
            } else {
                (429, "rate_limited")
            };
            is_problem(&guess, status, code);
            left = left.saturating_sub(1);
        }
        let body = json!({"current_password": password, "new_password": next});
        let changed = call(&peer, Method::POST, "/v1/password/change", &bearer, &body).await;
        bearer = token(&changed);
    }
    system.clock.pass(900);
    let reply = peer.login(EMAIL, passwords[2]).await;
    let open = reply.json["challenge"].as_str().expect("a challenge");
    token(&second(&peer, open, "code", &code(&secret, system.clock.now())).await);
}

#[tokio::test]
async fn recovery_code_guesses_are_limited_apart_from_totp_guesses() {
    let (system, secret, recovery, _) = with_factor().await;
    let peer = system.peer();
    let open = challenge(&peer).await;
    for _guess in 0..5 {
        let guess = second(&peer, &open, "recovery_code", "0000-0000-0000-0000").await;
        is_problem(&guess, 403, "wrong_code");
    }
    let limited = second(&peer, &open, "recovery_code", &recovery[0]).await;
    is_problem(&limited, 429, "rate_limited");
    system.clock.pass(30);
    token(&second(&peer, &open, "code", &code(&secret, NOON + 30)).await);
}

#[tokio::test]
async fn codes_of_a_bearer_count_with_those_of_the_login() {
    let (system, secret, recovery, bearer) = with_factor().await;
    let peer = system.peer();
    let codes = "/v1/factors/recovery-codes";
    let ask = async |method: Method, path: &str, name: &str, code: &str| {
        let body = json!({"current_password": PASSWORD, name: code});
        call(&peer, method, path, &bearer, &body).await
    };
    let open = challenge(&peer).await;
    for guess in 0..5 {
        let reply = match guess % 2 {
            0 => ask(Method::DELETE, TOTP, "code", "000000").await,
            _ => second(&peer, &open, "code", "000000").await,
        };
        is_problem(&reply, 403, "wrong_code");
    }
    system.clock.pass(30);
    let right = code(&secret, NOON + 30);
    for reply in [
        ask(Method::DELETE, TOTP, "code", &right).await,
        ask(Method::POST, codes, "code", &right).await,
        second(&peer, &open, "code", &right).await,
    ] {
        is_problem(&reply, 429, "rate_limited");
    }
    // Recovery codes have a count of their own. A right one is refunded.
    for used in &recovery[..6] {
        let renewed = ask(Method::POST, codes, "recovery_code", used).await;
        let (status, _) = (renewed.status, &renewed.json);
        assert!([200, 403].contains(&status), "{renewed:?}");
    }
}

#[tokio::test]
async fn a_locked_factor_accepts_no_totp_code_of_a_bearer() {
    let (system, secret, recovery, bearer) = with_factor().await;
    let quotas = [(
        "PORTCULLIS_LIMITS",
        "factor_account=32/1,password_account=off,login_email=off,login_address=off",
    )];
    let peer = system.another(CHEAP, &quotas).await.expect("a host");
    let open = challenge(&peer).await;
    for guess in 0..100 {
        let wrong = second(&peer, &open, "code", "000000").await;
        is_problem(&wrong, 403, "wrong_code");
        if guess % 25 == 24 {
            system.clock.pass(1);
        }
    }
    let now = system.clock.now();
    for (method, path) in [
        (Method::DELETE, TOTP),
        (Method::POST, "/v1/factors/recovery-codes"),
    ] {
        let body = json!({"current_password": PASSWORD, "code": code(&secret, now)});
        let reply = call(&peer, method, path, &bearer, &body).await;
        is_problem(&reply, 403, "factor_locked");
    }
    let body = json!({"current_password": PASSWORD, "recovery_code": recovery[0]});
    let removed = call(&peer, Method::DELETE, TOTP, &bearer, &body).await;
    assert_eq!(removed.status, 204, "{removed:?}");
}
