//! Register, log in, log out: the responses, and the rows in the store afterwards.

use portcullis_tests::system::{AUDIENCE, ISSUER, NOON, System};
use serde_json::Value;

use crate::{EMAIL, PASSWORD, claims, part, sessions_of, token, with_account};

fn outcomes(audit: &[Value]) -> Vec<(&str, &str)> {
    let mut lines: Vec<_> = audit
        .iter()
        .map(|line| {
            let part = |name: &str| line[name].as_str().unwrap_or_default();
            (part("action"), part("outcome"))
        })
        .collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn a_registration_is_one_transaction_of_user_domain_and_audit() {
    let system = System::start().await.expect("a system");
    let reply = system.peer().register(EMAIL, PASSWORD).await;
    assert_eq!(
        (reply.status, reply.header("cache-control")),
        (201, "no-store")
    );
    let user_id = reply.json["user_id"].as_str().expect("an id");

    let [user] = &system.rows("Portcullis", "USER#").await.expect("rows")[..] else {
        panic!("one user row");
    };
    assert_eq!(
        (&user["PK"], &user["SK"]),
        (&"USER#ann@example.com".into(), &"PROFILE".into())
    );
    assert_eq!(
        (&user["user_id"], &user["email"]),
        (&user_id.into(), &EMAIL.into())
    );
    assert_eq!(
        user["request_id"].as_str(),
        Some(reply.header("x-request-id"))
    );
    assert!(
        user["password"]
            .as_str()
            .expect("a hash")
            .starts_with("$argon2id$v=19$m=64,t=1,p=1$")
    );
    for (prefix, sort) in [
        (format!("ID#{user_id}"), "USER"),
        ("EMAIL#example.com".to_owned(), "USER#ann@example.com"),
    ] {
        let rows = system.rows("Portcullis", &prefix).await.expect("rows");
        assert_eq!(rows.len(), 1, "{prefix}");
        assert_eq!(rows[0]["SK"], sort);
    }
    let audit = system
        .rows("Portcullis", "AUDIT#2026-11-23#")
        .await
        .expect("rows");
    assert_eq!(outcomes(&audit), [("register", "success")]);
    assert_eq!(audit[0]["user_id"], user_id);
    assert!(
        !audit[0].to_string().to_lowercase().contains("ann@"),
        "audit lines hold no address"
    );
    assert_eq!(system.proxy.count("TransactWriteItems"), 1);
    assert!(
        system
            .proxy
            .calls()
            .iter()
            .all(|call| call.signature.is_ok())
    );
}

#[tokio::test]
async fn a_login_opens_the_session_that_its_token_names() {
    let system = with_account().await;
    let reply = system.peer().login("ann@EXAMPLE.com", PASSWORD).await;
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(
        (&reply.json["token_type"], &reply.json["expires_in"]),
        (&"Bearer".into(), &600.into())
    );

    let claims = claims(&token(&reply));
    let text = |name: &str| claims[name].as_str();
    let whole = |name: &str| claims[name].as_u64();
    let users = system.rows("Portcullis", "ID#").await.expect("rows");
    let user_id = users[0]["PK"]
        .as_str()
        .expect("a key")
        .trim_start_matches("ID#");
    assert_eq!((text("iss"), text("aud")), (Some(ISSUER), Some(AUDIENCE)));
    assert_eq!(
        (text("sub"), text("client_id")),
        (Some(user_id), Some("portcullis"))
    );
    assert_eq!((whole("iat"), whole("exp")), (Some(NOON), Some(NOON + 600)));
    assert_eq!((whole("auth_time"), whole("gen")), (Some(NOON), Some(0)));

    let sid = text("sid").expect("a session");
    let locators = system.rows("Portcullis", "SID#").await.expect("rows");
    assert_eq!(locators.len(), 1);
    assert_eq!(locators[0]["PK"], format!("SID#{sid}"));
    let rows = system
        .rows("Portcullis", "USER#ann@example.com")
        .await
        .expect("rows");
    let session = format!("SESSION#2026-11-23T12:00:00Z#{sid}");
    assert!(rows.iter().any(|row| row["SK"] == session), "{rows:?}");
    let audit = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    assert_eq!(
        outcomes(&audit),
        [
            ("key_publish", "success"),
            ("login", "success"),
            ("register", "success")
        ]
    );
    let login = audit
        .iter()
        .find(|line| line["action"] == "login")
        .expect("a line");
    assert_eq!(login["session_id"], sid);
    assert_eq!(
        login["request_id"].as_str(),
        Some(reply.header("x-request-id"))
    );
    assert_eq!(login["client_address"], "127.0.0.1");
}

#[tokio::test]
async fn a_logout_deletes_the_session_and_revokes_its_token_in_one_transaction() {
    let system = with_account().await;
    let peer = system.peer();
    let token = token(&peer.login(EMAIL, PASSWORD).await);
    let other = crate::token(&peer.login(EMAIL, PASSWORD).await);
    let claims = claims(&token);
    let (sid, jti) = (
        claims["sid"].as_str().expect("sid"),
        claims["jti"].as_str().expect("jti"),
    );
    let before = system.proxy.count("TransactWriteItems");

    let reply = peer.logout(&token).await;
    assert_eq!(
        (reply.status, reply.header("cache-control")),
        (204, "no-store")
    );
    assert_eq!(system.proxy.count("TransactWriteItems"), before + 1);
    for key in [format!("TOKEN#{jti}"), format!("SESSION#{sid}")] {
        let rows = system.rows("TokenBlacklist", &key).await.expect("rows");
        assert_eq!(rows.len(), 1, "{key}");
        assert!(
            rows[0]["ttl"].as_u64().expect("a ttl") > NOON + 600,
            "{key}"
        );
    }
    let feed = system
        .rows("TokenBlacklist", "FEED#2026-11-23T12:00#")
        .await
        .expect("rows");
    assert_eq!(feed.len(), 2);
    assert!(
        system
            .rows("Portcullis", &format!("SID#{sid}"))
            .await
            .expect("rows")
            .is_empty()
    );
    let audit = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    let logouts = audit.iter().filter(|line| line["action"] == "logout");
    assert_eq!(logouts.count(), 1);

    // A client that lost the response sends the request again. The revocation of the session is
    // published again, unless that was done just before.
    for (pass, rows) in [(0, 2), (3, 3)] {
        system.clock.pass(pass);
        assert_eq!(peer.logout(&token).await.status, 204);
        let feed = system.rows("TokenBlacklist", "FEED#").await.expect("rows");
        assert_eq!(feed.len(), rows, "{pass} s later");
    }
    assert_eq!(
        peer.logout(&other).await.status,
        204,
        "another session is not concerned"
    );
}

#[tokio::test]
async fn a_token_is_valid_until_the_second_it_expires() {
    let system = with_account().await;
    let peer = system.peer();
    let [first, second] = [
        peer.login(EMAIL, PASSWORD).await,
        peer.login(EMAIL, PASSWORD).await,
    ];
    system.clock.pass(599);
    assert_eq!(sessions_of(&peer, &token(&first)).await.status, 200);
    system.clock.pass(1);
    let reply = sessions_of(&peer, &token(&second)).await;
    assert_eq!((reply.status, reply.code()), (401, "expired"));
}

#[tokio::test]
async fn the_published_jwks_verifies_every_issued_token() {
    let system = with_account().await;
    let peer = system.peer();
    let reply = peer.get("/.well-known/jwks.json").await;
    assert_eq!(reply.header("content-type"), "application/jwk-set+json");
    assert_eq!(reply.header("cache-control"), "public, max-age=300");
    let kid = reply.json["keys"][0]["kid"]
        .as_str()
        .expect("a key")
        .to_owned();
    let header = part(&token(&peer.login(EMAIL, PASSWORD).await), 0);
    assert_eq!(header["kid"].as_str(), Some(kid.as_str()));
    assert_eq!(header["typ"].as_str(), Some("at+jwt"));
    assert!(
        reply.json["keys"][0].get("d").is_none(),
        "no private member is published"
    );

    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ] {
        let reply = peer.get(path).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, "application/json")
        );
        assert_eq!(reply.json["issuer"], ISSUER);
        assert_eq!(
            reply.json["jwks_uri"],
            format!("{ISSUER}/.well-known/jwks.json")
        );
        assert_eq!(
            reply.json["token_endpoint"],
            format!("{ISSUER}/oauth2/token")
        );
        assert!(reply.json.get("authorization_endpoint").is_none(), "{path}");
    }
}

#[tokio::test]
async fn health_is_reported_without_a_store_call() {
    let system = System::start().await.expect("a system");
    let reply = system.peer().get("/health").await;
    assert_eq!(
        (reply.status, &reply.json["store"]),
        (200, &"unknown".into())
    );
    assert!(system.proxy.calls().is_empty());
    assert_eq!(system.peer().register(EMAIL, PASSWORD).await.status, 201);
    assert_eq!(
        system.peer().get("/health").await.json["store"],
        "reachable"
    );
}
