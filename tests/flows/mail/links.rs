//! The links: valid once, for their purpose, for a limited time.

use serde_json::json;

use super::Dispatcher;
use crate::{EMAIL, PASSWORD, is_problem, token};

const NEXT: &str = "another long password";

#[tokio::test]
async fn an_address_is_verified_by_its_mail_and_then_logs_in() {
    let office = Dispatcher::open().await;
    let registered = office.peer.register(EMAIL, PASSWORD).await;
    assert_eq!(registered.status, 201);
    assert_eq!(office.deliver().await.mails_sent, 1);
    let letter = office.last();
    assert_eq!(letter.to, "Ann@example.com");
    assert!(
        letter
            .link()
            .starts_with("https://login.example/v1/email/verify#")
    );
    assert!(letter.html.contains(letter.link()));

    let before = office.peer.login(EMAIL, PASSWORD).await;
    is_problem(&before, 401, "bad_credentials");
    // A mail scanner follows links, but presses no button.
    let page = office.peer.get("/v1/email/verify").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(office.peer.login(EMAIL, PASSWORD).await.status, 401);

    assert_eq!(office.verify(letter.token()).await.status, 204);
    token(&office.peer.login(EMAIL, PASSWORD).await);
    is_problem(&office.verify(letter.token()).await, 400, "bad_mail_token");
    assert_eq!(
        office.outcomes("email_verify").await,
        ["spent_token", "success"]
    );
    assert_eq!(office.outcomes("email_verify_token").await, ["success"]);
    assert_eq!(
        office.outcomes("login").await,
        ["success", "unverified", "unverified"]
    );
    assert_eq!(office.waiting().await, 0);
}

#[tokio::test]
async fn a_reset_sets_the_password_verifies_the_address_and_ends_every_session() {
    let office = Dispatcher::open().await;
    let _ = office.peer.register(EMAIL, PASSWORD).await;
    let _ = office.deliver().await;
    assert_eq!(office.forgot("ANN@example.com").await.status, 202);
    let _ = office.deliver().await;
    let letter = office.last();
    assert!(
        letter
            .link()
            .starts_with("https://login.example/v1/password/reset#")
    );

    let client = &office.peer.host.client;
    let before = client.consumed();
    let reply = office.reset(letter.token(), NEXT).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    assert!(client.consumed().since(before).write_halves <= 12 * 2);

    assert_eq!(office.peer.login(EMAIL, PASSWORD).await.status, 401);
    token(&office.peer.login(EMAIL, NEXT).await);
    is_problem(
        &office.reset(letter.token(), PASSWORD).await,
        400,
        "bad_mail_token",
    );
    let called_back = office.system.rows("TokenBlacklist", "SUBJECT#").await;
    assert_eq!(called_back.expect("rows").len(), 1);
    let feed = office.system.rows("TokenBlacklist", "FEED#").await;
    assert_eq!(feed.expect("rows").len(), 1);
    let _ = office.deliver().await;
    let notice = office.last();
    assert!(notice.subject.contains("was changed") && !notice.text.contains('#'));
    assert_eq!(
        office.outcomes("password_reset").await,
        ["spent_token", "success"]
    );
    assert_eq!(office.outcomes("password_forgot").await, ["success"]);
}

#[tokio::test]
async fn a_rejected_password_leaves_the_link_valid() {
    let office = Dispatcher::open().await;
    let _ = office.peer.register(EMAIL, PASSWORD).await;
    let _ = office.forgot(EMAIL).await;
    let _ = office.deliver().await;
    let letters = office.letters();
    let reset = letters
        .iter()
        .find(|letter| letter.link().contains("reset"));
    let token = reset.expect("a letter").token();
    let runs = office.peer.host.hasher.runs();
    for (password, code) in [
        ("short", "password_too_short"),
        ("ann@example.com and me", "password_contains_address"),
    ] {
        let reply = office.reset(token, password).await;
        assert_eq!((reply.status, reply.code()), (400, code));
    }
    // A guessed token causes no hash.
    for guess in ["", "x", "u1.AAAA", &token.replace('.', ".A")] {
        is_problem(&office.reset(guess, NEXT).await, 400, "bad_mail_token");
    }
    assert_eq!(office.peer.host.hasher.runs(), runs);
    assert_eq!(office.reset(token, NEXT).await.status, 204);
}

#[tokio::test]
async fn a_link_is_valid_for_one_purpose_until_it_expires_or_is_replaced() {
    let office = Dispatcher::open().await;
    let _ = office.peer.register(EMAIL, PASSWORD).await;
    let _ = office.deliver().await;
    let verify = office.last();
    let _ = office.forgot(EMAIL).await;
    let _ = office.deliver().await;
    let first = office
        .letters()
        .into_iter()
        .find(|letter| letter.link().contains("reset"));
    let first = first.expect("a letter");
    is_problem(&office.verify(first.token()).await, 400, "bad_mail_token");
    is_problem(
        &office.reset(verify.token(), NEXT).await,
        400,
        "bad_mail_token",
    );

    office.system.clock.pass(1);
    let _ = office.forgot(EMAIL).await;
    let _ = office.deliver().await;
    let second = office.last();
    assert_ne!(first.token(), second.token());
    is_problem(
        &office.reset(first.token(), NEXT).await,
        400,
        "bad_mail_token",
    );

    office.system.clock.pass(1_800);
    is_problem(
        &office.reset(second.token(), NEXT).await,
        400,
        "bad_mail_token",
    );
    let reported = office.outcomes("password_reset").await;
    assert_eq!(reported, ["expired_token", "spent_token", "spent_token"]);
    // The other one is valid for an hour.
    office.system.clock.pass(1_798);
    assert_eq!(office.verify(verify.token()).await.status, 204);
}

#[tokio::test]
async fn a_disabled_account_gets_no_link_and_redeems_none() {
    let office = Dispatcher::open().await;
    let _ = office.peer.register(EMAIL, PASSWORD).await;
    let _ = office.forgot(EMAIL).await;
    let _ = office.deliver().await;
    let letters = office.letters();
    let reset = letters
        .iter()
        .find(|letter| letter.link().contains("reset"));
    let reset = reset.expect("a letter");
    let closed = json!({
        "TableName": "Portcullis",
        "Key": {"PK": {"S": "USER#ann@example.com"}, "SK": {"S": "PROFILE"}},
        "UpdateExpression": "SET #status = :closed",
        "ExpressionAttributeNames": {"#status": "status"},
        "ExpressionAttributeValues": {":closed": {"S": "disabled"}},
    });
    let _ = office
        .system
        .engine_call("UpdateItem", &closed)
        .await
        .expect("changed");
    is_problem(
        &office.reset(reset.token(), NEXT).await,
        400,
        "bad_mail_token",
    );
    assert_eq!(office.outcomes("password_reset").await, ["disabled"]);
    let _ = office.forgot(EMAIL).await;
    assert_eq!(office.deliver().await.mails_sent, 0);
    assert_eq!(office.waiting().await, 0);
}

#[tokio::test]
async fn a_link_redeemed_twice_concurrently_succeeds_once() {
    let office = Dispatcher::open().await;
    let _ = office.peer.register(EMAIL, PASSWORD).await;
    let _ = office.forgot(EMAIL).await;
    let _ = office.deliver().await;
    let letters = office.letters();
    let reset = letters
        .iter()
        .find(|letter| letter.link().contains("reset"));
    let token = reset.expect("a letter").token();
    let passwords = [
        "the first long password",
        "the second long password",
        "the third long one",
    ];
    let races = passwords.map(|password| office.reset(token, password));
    let replies = futures_util::future::join_all(races).await;
    let done = replies.iter().filter(|reply| reply.status == 204).count();
    let refused = replies
        .iter()
        .filter(|reply| reply.code() == "bad_mail_token")
        .count();
    assert_eq!((done, refused), (1, 2), "{replies:?}");
    let mut admitted = 0;
    for password in passwords {
        admitted += usize::from(office.peer.login(EMAIL, password).await.status == 200);
    }
    assert_eq!(admitted, 1);
}

#[tokio::test]
async fn a_disposable_address_is_rejected_with_its_code_if_configured() {
    let office = Dispatcher::open().await;
    let email = "ann@mailinator.com";
    assert_eq!(office.peer.register(email, PASSWORD).await.status, 201);
    let changes = [("PORTCULLIS_DISPOSABLE", "refuse")];
    let refusing = office
        .system
        .another(portcullis_tests::system::CHEAP, &changes)
        .await;
    let refusing = refusing.expect("a host");
    is_problem(
        &refusing.register(email, PASSWORD).await,
        400,
        "disposable_email",
    );
    assert_eq!(refusing.register(EMAIL, PASSWORD).await.status, 201);
}

#[tokio::test]
async fn mail_requests_of_others_never_leave_the_owner_without_a_reset_link() {
    let office = Dispatcher::open().await;
    assert_eq!(office.peer.register(EMAIL, PASSWORD).await.status, 201);
    let _ = office.deliver().await;
    assert_eq!(office.verify(office.last().token()).await.status, 204);
    for (round, password) in [NEXT, PASSWORD, NEXT].into_iter().enumerate() {
        // Verification mails use up nothing of the reset mails. The last mails are sent one second
        // apart: two requests of one second are one mail.
        let resend = json!({"email": EMAIL});
        while office.post("/v1/email/resend", resend.clone()).await.status == 202 {}
        while office.forgot(EMAIL).await.status == 202 {
            office.system.clock.pass(1);
        }
        let _ = office.deliver().await;
        let link = office.last();
        office.system.clock.pass(1_796);
        is_problem(&office.forgot(EMAIL).await, 429, "rate_limited");
        // The last link is valid until the first request leaves the window. Then the next request
        // passes.
        if round % 2 == 0 {
            let reset = office.reset(link.token(), password).await;
            assert_eq!(reset.status, 204, "{reset:?}");
        }
        office.system.clock.pass(1);
        assert_eq!(office.forgot(EMAIL).await.status, 202);
        office.system.clock.pass(3_600);
    }
}
