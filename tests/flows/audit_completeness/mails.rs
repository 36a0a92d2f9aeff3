//! Mails, and the links in them.

use std::collections::BTreeSet;

use portcullis_core::mail::MailKind;
use portcullis_host::tasks;
use portcullis_tests::mailbox::ReceivedMail;
use portcullis_tests::ses::Ses;
use portcullis_tests::system::{CHEAP, access_key};
use serde_json::{Map, Value, json};

use super::passwords::set_status;
use super::{EntryKind, Trail};
use crate::mail::Dispatcher;
use crate::{EMAIL, PASSWORD, token};

const NEXT: &str = "another long password";
/// [`EMAIL`] as it is stored for sending.
const ANN: &str = "Ann@example.com";
const BOB: &str = "bob@example.com";

pub(super) async fn drive() -> BTreeSet<EntryKind> {
    let office = Dispatcher::open().await;
    let mut trail = Trail::of(&office.system).await;
    links(&office, &mut trail).await;
    closed(&office, &mut trail).await;
    given_up(&office, &mut trail).await;
    trail.secrets.extend(
        office
            .letters()
            .iter()
            .filter(|letter| letter.text.contains('#'))
            .map(|letter| letter.token().to_owned()),
    );
    trail.end().await
}

async fn links(office: &Dispatcher, trail: &mut Trail<'_>) {
    let peer = &office.peer;
    let _ = peer.register(EMAIL, PASSWORD).await;
    let _ = trail.news().await;
    let reply = peer.login(EMAIL, PASSWORD).await;
    trail.left(&reply, &["login unverified"]).await;
    let _ = office.deliver().await;
    trail.left_behind(&["email_verify_token success"]).await;
    let late = link(office, ANN, "email/verify#");
    office.system.clock.pass(3_600);
    for (token, outcome) in [
        ("x", "email_verify unknown_token"),
        (&late, "email_verify expired_token"),
    ] {
        trail.left(&office.verify(token).await, &[outcome]).await;
    }
    let reply = office
        .post("/v1/email/resend", json!({"email": EMAIL}))
        .await;
    trail.left(&reply, &["email_resend success"]).await;
    let _ = office.deliver().await;
    trail.left_behind(&["email_verify_token success"]).await;
    let mailed = link(office, ANN, "email/verify#");
    for outcome in ["email_verify success", "email_verify spent_token"] {
        let reply = office.verify(&mailed).await;
        trail.left(&reply, &[outcome]).await;
    }

    for late in [true, false] {
        let reply = office.forgot(EMAIL).await;
        trail.left(&reply, &["password_forgot success"]).await;
        let _ = office.deliver().await;
        trail.left_behind(&["password_reset_token success"]).await;
        let mailed = link(office, ANN, "password/reset#");
        let outcomes = if late {
            office.system.clock.pass(1_800);
            [
                "password_reset expired_token",
                "password_reset expired_token",
            ]
        } else {
            ["password_reset success", "password_reset spent_token"]
        };
        for outcome in outcomes {
            let reply = office.reset(&mailed, NEXT).await;
            trail.left(&reply, &[outcome]).await;
        }
    }
    let reply = office.reset("x", NEXT).await;
    trail.left(&reply, &["password_reset unknown_token"]).await;

    // Earlier failures are forgotten.
    let _ = token(&peer.login(EMAIL, NEXT).await);
    office.lock(EMAIL).await;
    let _ = trail.news().await;
    let reply = peer.login(EMAIL, NEXT).await;
    trail
        .left(&reply, &["limit login_email", "login_unlock_mail success"])
        .await;
    for lines in [&["limit unlock_email"][..], &[]] {
        let reply = peer.login(EMAIL, NEXT).await;
        trail.left(&reply, lines).await;
    }
    let _ = office.deliver().await;
    let _ = trail.news().await;
    let mailed = link(office, ANN, "login/unlock#");
    for (token, outcome) in [
        ("x", "login_unlock unknown_token"),
        (&mailed, "login_unlock success"),
        (&mailed, "login_unlock spent_token"),
    ] {
        trail.left(&office.unlock(token).await, &[outcome]).await;
    }
    office.system.clock.pass(3_600);
    let _ = peer.login(EMAIL, NEXT).await;
    let _ = office.deliver().await;
    let _ = trail.news().await;
    let mailed = link(office, ANN, "login/unlock#");
    office.system.clock.pass(3_600);
    let reply = office.unlock(&mailed).await;
    trail.left(&reply, &["login_unlock expired_token"]).await;
}

/// The token of the last link to `page` in a mail to `email`.
fn link(office: &Dispatcher, email: &str, page: &str) -> String {
    let letters = office.letters();
    let wanted = |letter: &&ReceivedMail| letter.to == email && letter.text.contains(page);
    let letter = letters.iter().rev().find(wanted);
    letter.expect("a letter").token().to_owned()
}

/// Links of an account that is disabled meanwhile.
async fn closed(office: &Dispatcher, trail: &mut Trail<'_>) {
    let _ = office.peer.register(BOB, PASSWORD).await;
    office.lock(BOB).await;
    let _ = office.peer.login(BOB, PASSWORD).await;
    let _ = office.forgot(BOB).await;
    let resend = json!({"email": BOB});
    let _ = office.post("/v1/email/resend", resend).await;
    let _ = office.deliver().await;
    let _ = trail.news().await;
    set_status(&office.system, BOB, "disabled").await;
    let reply = office.verify(&link(office, BOB, "email/verify#")).await;
    trail.left(&reply, &["email_verify disabled"]).await;
    let reply = office
        .reset(&link(office, BOB, "password/reset#"), NEXT)
        .await;
    trail.left(&reply, &["password_reset disabled"]).await;
    let reply = office.unlock(&link(office, BOB, "login/unlock#")).await;
    trail.left(&reply, &["login_unlock disabled"]).await;
}

/// Mails that the transport refuses permanently.
async fn given_up(office: &Dispatcher, trail: &mut Trail<'_>) {
    let system = &office.system;
    let ses = Ses::start(access_key(), system.clock.clone()).await;
    let ses = ses.expect("a SES");
    let changes = [
        ("PORTCULLIS_MAIL_FROM", "login@acme.example"),
        ("PORTCULLIS_SES_ENDPOINT", &ses.endpoint()),
        ("PORTCULLIS_REQUIRE_VERIFIED", "off"),
    ];
    let peer = system.another(CHEAP, &changes).await.expect("a host");
    let refused = async || {
        ses.refuse(400, "MessageRejected");
        let report = tasks::run_due(&peer.host).await.expect("a round");
        assert_eq!(report.mails_given_up, 1, "{report:?}");
    };
    // The effects of the last lock have expired.
    system.clock.pass(2 * 3_600);
    let email = "carol@example.com";
    let _ = peer.register(email, PASSWORD).await;
    let _ = trail.news().await;
    refused().await;
    let lines = ["email_verify_token success", "mail verify_not_delivered"];
    trail.left_behind(&lines).await;
    // A verified address: an unverified one gets a new link.
    let _ = peer.register(EMAIL, PASSWORD).await;
    let _ = trail.news().await;
    refused().await;
    trail.left_behind(&["mail taken_not_delivered"]).await;
    let _ = peer
        .post("/v1/password/forgot", &json!({"email": email}))
        .await;
    let _ = trail.news().await;
    refused().await;
    let lines = ["mail reset_not_delivered", "password_reset_token success"];
    trail.left_behind(&lines).await;
    // Later than the last link to the other address.
    system.clock.pass(1);
    let _ = office.forgot(EMAIL).await;
    let _ = office.deliver().await;
    let mailed = link(office, ANN, "password/reset#");
    assert_eq!(office.reset(&mailed, NEXT).await.status, 204);
    let _ = trail.news().await;
    let waiting = system.rows("Portcullis", "OUTBOX#").await;
    let notice = waiting.expect("rows").pop().expect("a notice");
    refused().await;
    trail
        .left_behind(&["mail password_changed_not_delivered"])
        .await;
    notices_given_up(&notice, trail, &refused).await;
    // An invitation, to an address that is not verified.
    put_as(&notice, MailKind::Invite, Some(email), trail).await;
    refused().await;
    let lines = ["invite_token success", "mail invite_not_delivered"];
    trail.left_behind(&lines).await;
    let _ = peer.login(EMAIL, NEXT).await;
    let _ = trail.news().await;
    refused().await;
    let lines = ["login_unlock_token success", "mail unlock_not_delivered"];
    trail.left_behind(&lines).await;
}

/// Notices that the transport refuses permanently. `tests/flows/mail/notices.rs` causes each by its
/// change; here each is `notice`, the row of another one, with its kind.
async fn notices_given_up(notice: &Value, trail: &mut Trail<'_>, refused: &impl AsyncFn()) {
    for kind in MailKind::ALL {
        if !kind.is_notice() || kind == MailKind::PasswordChanged {
            continue;
        }
        put_as(notice, kind, None, trail).await;
        refused().await;
        let line = format!("mail {}_not_delivered", kind.as_str());
        trail.left_behind(&[&line]).await;
    }
}

/// Writes the row `notice` again, as a mail of `kind`, to `email` or its own address.
async fn put_as(notice: &Value, kind: MailKind, email: Option<&str>, trail: &Trail<'_>) {
    let members = notice.as_object().expect("a row").iter();
    let mut item: Map<String, Value> = members
        .map(|(name, value)| match value {
            Value::String(text) => (name.clone(), json!({"S": text})),
            number => (name.clone(), json!({"N": number.to_string()})),
        })
        .collect();
    item.insert("kind".to_owned(), json!({"S": kind.as_str()}));
    if let Some(email) = email {
        item.insert("email".to_owned(), json!({"S": email}));
        let _ = item.remove("user_id");
    }
    let put = json!({"TableName": "Portcullis", "Item": item});
    let written = trail.system.engine_call("PutItem", &put).await;
    let _ = written.expect("written");
}
