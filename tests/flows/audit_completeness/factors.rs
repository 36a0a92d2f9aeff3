//! Second factors.

use std::collections::BTreeSet;

use http::Method;
use portcullis_tests::system::NOON;
use serde_json::json;

use super::{EntryKind, Trail};
use crate::factors::{call, challenge, code, second};
use crate::{EMAIL, PASSWORD, token, with_account};

const WRONG: &str = "another horse battery";
const TOTP: &str = "/v1/factors/totp";
const SHORT: &str = "an otter";

pub(super) async fn drive() -> BTreeSet<EntryKind> {
    let system = with_account().await;
    let peer = system.peer();
    let bearer = token(&peer.login(EMAIL, PASSWORD).await);
    let mut trail = Trail::of(&system).await;
    let ask = async |method, path: &str, body| call(&peer, method, path, &bearer, &body).await;

    let wrong = json!({"current_password": WRONG});
    let right = json!({"current_password": PASSWORD});
    let reply = ask(Method::POST, TOTP, wrong).await;
    trail.left(&reply, &["factor wrong_password"]).await;
    let begun = ask(Method::POST, TOTP, right.clone()).await;
    trail.left(&begun, &["factor_begin success"]).await;
    let secret = begun.json["secret"].as_str().expect("a secret");
    let confirm = "/v1/factors/totp/confirm";
    let reply = ask(Method::POST, confirm, json!({"code": "000000"})).await;
    trail.left(&reply, &["factor wrong_code"]).await;
    let confirmed = ask(Method::POST, confirm, json!({"code": code(secret, NOON)})).await;
    trail.left(&confirmed, &["factor_confirm success"]).await;
    let reply = ask(Method::POST, TOTP, right).await;
    trail.left(&reply, &["factor already_active"]).await;

    let sealed = challenge(&peer).await;
    trail.left_behind(&["login second_factor_asked"]).await;
    let reply = second(&peer, "x", "code", "000000").await;
    trail.left(&reply, &["login bad_challenge"]).await;
    let recovery = confirmed.json["recovery_codes"].as_array().expect("codes");
    let recovery: Vec<_> = recovery.iter().filter_map(|code| code.as_str()).collect();
    let reply = second(&peer, &sealed, "recovery_code", recovery[0]).await;
    trail.left(&reply, &["login success"]).await;
    for _guess in 0..5 {
        let reply = second(&peer, &sealed, "code", "000000").await;
        trail.left(&reply, &["login wrong_code"]).await;
    }
    for lines in [&["limit factor_account"][..], &[]] {
        let reply = second(&peer, &sealed, "code", "000000").await;
        trail.left(&reply, lines).await;
    }

    let wrong = "0000-0000-0000-0000";
    for _guess in 0..4 {
        let reply = second(&peer, &sealed, "recovery_code", wrong).await;
        trail.left(&reply, &["login wrong_code"]).await;
    }
    for lines in [&["login wrong_code"][..], &["limit recovery_account"], &[]] {
        let reply = second(&peer, &sealed, "recovery_code", wrong).await;
        trail.left(&reply, lines).await;
    }

    system.clock.pass(300);
    let bearer = {
        system.clock.pass(900);
        let sealed = challenge(&peer).await;
        trail.left_behind(&["login second_factor_asked"]).await;
        let reply = second(&peer, &sealed, "recovery_code", recovery[1]).await;
        trail.left(&reply, &["login success"]).await;
        token(&reply)
    };
    let ask = async |method, path: &str, body| call(&peer, method, path, &bearer, &body).await;
    let body = json!({"current_password": PASSWORD, "recovery_code": recovery[2]});
    let renewed = ask(Method::POST, "/v1/factors/recovery-codes", body).await;
    trail
        .left(&renewed, &["recovery_codes_renew success"])
        .await;
    let fresh = renewed.json["recovery_codes"][0].clone();
    let body = json!({"current_password": PASSWORD, "new_password": SHORT});
    let changed = ask(Method::POST, "/v1/password/change", body).await;
    trail.left(&changed, &["password_change success"]).await;
    let bearer = token(&changed);
    let ask = async |method, path: &str, body| call(&peer, method, path, &bearer, &body).await;
    let body = json!({"current_password": SHORT, "recovery_code": fresh});
    let removed = ask(Method::DELETE, TOTP, body.clone()).await;
    trail.left(&removed, &["factor_remove success"]).await;
    let reply = ask(Method::DELETE, TOTP, body).await;
    trail.left(&reply, &["factor no_factor"]).await;
    let reply = peer.login(EMAIL, SHORT).await;
    trail.left(&reply, &["login short_password"]).await;
    trail.end().await
}
