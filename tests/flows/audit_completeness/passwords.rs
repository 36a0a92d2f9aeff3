//! Registering, logging in and changing the password.

use std::collections::BTreeSet;

use http::Method;
use portcullis_host::hasher::HashParameters;
use portcullis_tests::system::System;
use serde_json::json;

use super::{EntryKind, Trail};
use crate::factors::call;
use crate::{EMAIL, PASSWORD, token};

const WRONG: &str = "wrong horse battery";
const NEXT: &str = "gravel otter lampshade";

/// Hashes that cost more than those of the host.
const RAISED: HashParameters = HashParameters {
    memory_kib: 128,
    passes: 2,
    lanes: 1,
};

/// Disables or enables the account of `email`, as only the table's owner can.
pub(super) async fn set_status(system: &System, email: &str, status: &str) {
    let change = json!({
        "TableName": "Portcullis",
        "Key": {"PK": {"S": format!("USER#{email}")}, "SK": {"S": "PROFILE"}},
        "UpdateExpression": "SET #status = :status",
        "ExpressionAttributeNames": {"#status": "status"},
        "ExpressionAttributeValues": {":status": {"S": status}},
    });
    let _ = system
        .engine_call("UpdateItem", &change)
        .await
        .expect("changed");
}

pub(super) async fn drive() -> BTreeSet<EntryKind> {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    let mut trail = Trail::of(&system).await;
    let reply = peer.register(EMAIL, PASSWORD).await;
    trail.left(&reply, &["register success"]).await;
    let reply = peer.register(EMAIL, PASSWORD).await;
    trail.left(&reply, &["register address_taken"]).await;
    let reply = peer.register("bob@example.com", "short").await;
    trail.left(&reply, &[]).await;
    let reply = peer.login(EMAIL, WRONG).await;
    trail.left(&reply, &["login wrong_password"]).await;
    let reply = peer.login("nobody@example.com", WRONG).await;
    trail.left(&reply, &["login unknown_address"]).await;
    set_status(&system, "ann@example.com", "disabled").await;
    let reply = peer.login(EMAIL, PASSWORD).await;
    trail.left(&reply, &["login disabled"]).await;
    set_status(&system, "ann@example.com", "active").await;
    let login = peer.login(EMAIL, PASSWORD).await;
    trail.left(&login, &["login success"]).await;
    let bearer = token(&login);
    let path = "/v1/password/change";
    for (current, next, outcome) in [
        (WRONG, NEXT, "password_change wrong_password"),
        (
            PASSWORD,
            "ann@example.com and me",
            "password_change unfit_password",
        ),
        (PASSWORD, NEXT, "password_change success"),
    ] {
        let body = json!({"current_password": current, "new_password": next});
        let reply = call(&peer, Method::POST, path, &bearer, &body).await;
        trail.left(&reply, &[outcome]).await;
    }
    let raised = system.another(RAISED, &[]).await.expect("a host");
    let reply = raised.login(EMAIL, NEXT).await;
    trail
        .left(&reply, &["login success", "password_rehash success"])
        .await;
    trail.secrets.extend([WRONG, NEXT].map(str::to_owned));
    trail.end().await
}
