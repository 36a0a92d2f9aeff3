//! Scopes, roles and custom claims: the operator changes them, and the next token carries them.

use portcullis_host::clock::{SystemClock, WallClock as _};
use portcullis_tests::system::{CHEAP, Peer};
use serde_json::{Value, json};

use crate::mail::Dispatcher;
use crate::operator::{run, system};
use crate::refresh::{refresh, refresh_token};
use crate::sessions::call;
use crate::{EMAIL, PASSWORD, claims, is_problem, token};

/// What the account says of itself at `path`.
async fn own(peer: &Peer, path: &str, token: &str) -> Value {
    let reply = call(peer, "GET", path, token).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_takes_effect_at_the_next_token_and_a_revoke_ends_access_tokens_but_no_session() {
    let system = system().await;
    let peer = system.peer();
    let login = peer.login(EMAIL, PASSWORD).await;
    let first = token(&login);
    let plain = claims(&first);
    assert_eq!((plain.get("scope"), plain.get("roles")), (None, None));

    let grant = [
        "users", "grant", EMAIL, "--scope", "admin", "--scope", "read", "--role", "editor",
    ];
    let granted = run(&system, &grant).await;
    assert_eq!(granted.code, Some(0), "{granted:?}");
    let me = own(&peer, "/v1/me", &first).await;
    assert_eq!(me["email"], EMAIL);
    assert_eq!(me["email_verified"], false);
    assert_eq!(me["scopes"], json!(["admin", "read"]));
    let second = refresh(&peer, &refresh_token(&login)).await;
    let with_scopes = token(&second);
    let carried = claims(&with_scopes);
    assert_eq!(carried["scope"], "admin read");
    assert_eq!(carried["roles"], json!(["editor"]));
    let again = run(
        &system,
        &["--json", "users", "grant", EMAIL, "--scope", "admin"],
    )
    .await;
    assert_eq!(again.json["outcome"], "unchanged", "{again:?}");

    let revoked = run(&system, &["users", "revoke", EMAIL, "--scope", "admin"]).await;
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    for dead in [&first, &with_scopes] {
        is_problem(&call(&peer, "GET", "/v1/me", dead).await, 401, "revoked");
    }
    let third = refresh(&peer, &refresh_token(&second)).await;
    assert_eq!(third.status, 200, "the session continues: {third:?}");
    let alive = token(&third);
    assert_eq!(claims(&alive)["scope"], "read");
    assert_eq!(
        own(&peer, "/v1/me", &alive).await["roles"],
        json!(["editor"])
    );
    for name in ["r, role superadmin", "a\nb", "a\u{1b}[31m", &"x".repeat(65)] {
        for act in ["grant", "revoke"] {
            let refused = run(&system, &["users", act, EMAIL, "--role", name]).await;
            assert_eq!(
                refused.code,
                Some(2),
                "audit log injection by {name:?}: {refused:?}"
            );
        }
    }
    // Said again after a lost answer, the revoke is announced again and ends no newer token.
    let again = run(
        &system,
        &["--json", "users", "revoke", EMAIL, "--scope", "admin"],
    )
    .await;
    assert_eq!(again.json["outcome"], "unchanged", "{again:?}");
    let info = own(&peer, "/oauth2/userinfo", &alive).await;
    assert_eq!(info["scope"], "read");
    let logged_in = claims(&token(&peer.login(EMAIL, PASSWORD).await));
    assert_eq!(logged_in["scope"], "read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_everywhere_after_a_revoke_of_scopes_ends_every_token() {
    let system = system().await;
    let peer = system.peer();
    for act in ["grant", "revoke"] {
        let said = run(&system, &["users", act, EMAIL, "--role", "editor"]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let login = peer.login(EMAIL, PASSWORD).await;
    assert_eq!(
        run(&system, &["users", "logout", EMAIL]).await.code,
        Some(0)
    );
    let ended = call(&peer, "GET", "/v1/me", &token(&login)).await;
    is_problem(&ended, 401, "revoked");
    let ended = refresh(&peer, &refresh_token(&login)).await;
    assert_eq!((ended.status, ended.code()), (400, "session_over"));
    let login = peer.login(EMAIL, PASSWORD).await;
    own(&peer, "/v1/me", &token(&login)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_claims_are_set_changed_and_removed_and_reserved_ones_are_refused() {
    let system = system().await;
    let peer = system.peer();
    let set = async |name: &str, value: &str| {
        run(&system, &["users", "claims", "set", EMAIL, name, value]).await
    };
    assert_eq!(set("plan", r#""pro""#).await.code, Some(0));
    assert_eq!(set("https://app.example/seats", "3").await.code, Some(0));
    let login = peer.login(EMAIL, PASSWORD).await;
    let first = token(&login);
    assert_eq!(claims(&first)["plan"], "pro");
    assert_eq!(claims(&first)["https://app.example/seats"], 3);
    let seats = json!({"plan": "pro", "https://app.example/seats": 3});
    assert_eq!(own(&peer, "/v1/me", &first).await["claims"], seats);
    assert_eq!(own(&peer, "/oauth2/userinfo", &first).await["plan"], "pro");
    for (name, value, reason) in [
        ("iss", r#""x""#, "reserved"),
        ("scope", r#""admin""#, "reserved"),
        ("sub", "1", "reserved"),
        ("email_verified", "true", "reserved"),
        ("a b", "1", "letters, digits"),
        ("plan", "pro", "not JSON"),
        ("plan", r#"{"a":1,"a":2}"#, "not JSON"),
        ("plan", &format!("\"{}\"", "x".repeat(1_024)), "1024"),
    ] {
        let refused = set(name, value).await;
        assert_eq!(refused.code, Some(2), "{name}: {refused:?}");
        assert!(refused.text.contains(reason), "{name}: {refused:?}");
    }
    for name in ["a b", "iss", "x\nadmin_grant"] {
        let refused = run(&system, &["users", "claims", "unset", EMAIL, name]).await;
        assert_eq!(refused.code, Some(2), "{name}: {refused:?}");
    }
    // Every number keeps its form.
    let exact = r#"[12345678901234567890,1.10,1e400,-0]"#;
    assert_eq!(
        set("exact", "[12345678901234567890,1.10,-0]").await.code,
        Some(0)
    );
    assert_eq!(
        set("exact", exact).await.code,
        Some(2),
        "a number beyond an f64"
    );
    for path in ["/v1/me", "/oauth2/userinfo"] {
        let reply = call(&peer, "GET", path, &first).await;
        let text = reply.json.to_string();
        assert!(text.contains("12345678901234567890"), "{path}: {text}");
    }
    // A changed value makes the earlier token say more than the next one will.
    assert_eq!(set("plan", r#""free""#).await.code, Some(0));
    is_problem(&call(&peer, "GET", "/v1/me", &first).await, 401, "revoked");
    let second = refresh(&peer, &refresh_token(&login)).await;
    assert_eq!(claims(&token(&second))["plan"], "free");
    let unset = run(&system, &["users", "claims", "unset", EMAIL, "plan"]).await;
    assert_eq!(unset.code, Some(0), "{unset:?}");
    let third = refresh(&peer, &refresh_token(&second)).await;
    assert_eq!(claims(&token(&third)).get("plan"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invited_owner_sets_the_password_by_the_mailed_link_and_has_the_scopes() {
    let post = Dispatcher::open().await;
    let system = &post.system;
    let now = SystemClock.read().expect("after 1970");
    system.clock.set(now.as_secs());
    let create = [
        "users",
        "create",
        "Eve@Example.com",
        "--invite",
        "--scope",
        "admin",
    ];
    let invited = run(system, &create).await;
    assert_eq!(invited.code, Some(0), "{invited:?}");
    let again = async || {
        let create = ["--json", "users", "create", "eve@example.com", "--invite"];
        let said = run(system, &create).await;
        (said.code, said.json["outcome"].clone())
    };
    assert_eq!(again().await, (Some(0), json!("invited_again")));
    let acts = run(
        system,
        &["--json", "audit", "list", "--action", "admin_invite"],
    )
    .await;
    let details = acts.json["lines"].as_array().expect("a list").iter();
    let mut details: Vec<_> = details.map(|line| line["detail"].clone()).collect();
    details.sort_by_key(Value::is_null);
    assert_eq!(details, [json!("scope admin"), Value::Null], "{acts:?}");
    // The command ran on the machine's clock.
    system.clock.pass(60);
    post.deliver().await;
    let mail = post.last();
    // A stranger who asks for a reset ends no invitation, which lives longer.
    assert_eq!(post.forgot("eve@example.com").await.status, 202);
    post.deliver().await;
    assert_ne!(post.last().token(), mail.token());
    assert!(
        mail.text.contains("Open this link to set its password"),
        "{mail:?}"
    );
    let peer = &post.peer;
    let before = peer.login("eve@example.com", PASSWORD).await;
    is_problem(&before, 401, "bad_credentials");
    let reset = post.reset(mail.token(), PASSWORD).await;
    assert_eq!(reset.status, 204, "{reset:?}");
    let login = peer.login("eve@example.com", PASSWORD).await;
    assert_eq!(claims(&token(&login))["scope"], "admin");
    let me = own(peer, "/v1/me", &token(&login)).await;
    assert_eq!(me["email_verified"], true);
    assert_eq!(again().await, (Some(1), json!("address_taken")));
    let reset_link = post.last();
    let again = post
        .reset(reset_link.token(), "another long password")
        .await;
    is_problem(&again, 400, "bad_mail_token");
    let again = post.reset(mail.token(), "another long password").await;
    is_problem(&again, 400, "bad_mail_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_accounts_have_the_configured_scopes_and_the_operator_finds_them() {
    let system = system().await;
    let settings = [
        ("PORTCULLIS_NEW_ACCOUNT_SCOPES", "read, write"),
        ("PORTCULLIS_NEW_ACCOUNT_ROLES", "member"),
    ];
    let peer = system.another(CHEAP, &settings).await.expect("a host");
    assert_eq!(
        peer.register("bob@other.example", PASSWORD).await.status,
        201
    );
    let login = peer.login("bob@other.example", PASSWORD).await;
    let carried = claims(&token(&login));
    assert_eq!(carried["scope"], "read write");
    assert_eq!(carried["roles"], json!(["member"]));
    let listed = async |more: &[&str]| {
        let said = run(&system, &[&["--json", "users", "list"], more].concat()).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let accounts = said.json["accounts"].as_array().expect("a list").clone();
        let addresses = accounts
            .iter()
            .map(|one| one["email"].as_str().expect("text").to_owned());
        addresses.collect::<Vec<_>>()
    };
    assert_eq!(listed(&[]).await, [EMAIL, "bob@other.example"]);
    for filter in [
        ["--scope", "write"],
        ["--role", "member"],
        ["--domain", "OTHER.example"],
    ] {
        assert_eq!(listed(&filter).await, ["bob@other.example"], "{filter:?}");
    }
    assert_eq!(listed(&["--role", "editor"]).await, [""; 0]);
    for (wrong, name) in [("a b", "SCOPES"), ("a,,b", "SCOPES"), ("a\"b", "ROLES")] {
        let variable = format!("PORTCULLIS_NEW_ACCOUNT_{name}");
        let refused = system.another(CHEAP, &[(&variable, wrong)]).await;
        assert!(refused.is_err(), "{wrong}");
    }
}
