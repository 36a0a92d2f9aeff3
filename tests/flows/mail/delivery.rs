//! Delivery that is interrupted anywhere, attempted concurrently, or refused.

use portcullis_host::clock::{SystemClock, WallClock as _};
use portcullis_host::tasks;
use portcullis_tests::lambda_runtime::{LambdaRuntime, Posted};
use portcullis_tests::mailbox::letters;
use portcullis_tests::program::{Program, tasks_program};
use portcullis_tests::proxy::Fault;
use portcullis_tests::ses::Ses;
use portcullis_tests::system::{CHEAP, System, access_key, environment};

use super::{Dispatcher, host};
use crate::{EMAIL, PASSWORD, is_problem};

/// The steps of one delivery, as the store sees them.
const STEPS: [&str; 4] = ["UpdateItem", "GetItem", "TransactWriteItems", "DeleteItem"];

#[tokio::test]
async fn a_dispatcher_crash_between_any_two_steps_leaves_the_mail_to_the_next_lease() {
    for step in STEPS {
        for (fault, done) in [(Fault::LostRequest, false), (Fault::LostAnswer, true)] {
            let office = Dispatcher::open().await;
            let _ = office.peer.register(EMAIL, PASSWORD).await;
            // As often as the client tries: it never returns from this step.
            office.system.proxy.inject_often(step, &fault, 3);
            let _ = office.deliver().await;
            office.system.proxy.heal();
            let reported = format!("{step}, done: {done}");
            let sent_before = office.letters();

            office.system.clock.pass(59);
            let _ = office.deliver().await;
            office.system.clock.pass(2);
            let _ = office.deliver().await;
            let letters = office.letters();
            assert_eq!(office.waiting().await, 0, "{reported}");
            // At most twice, and then only because the first send was unconfirmed.
            let expected = if (step, done) == ("DeleteItem", false) {
                2
            } else {
                1
            };
            assert_eq!(letters.len(), expected, "{reported}: {sent_before:?}");
            let token = letters[0].token();
            assert!(
                letters.iter().all(|letter| letter.token() == token),
                "{reported}"
            );
            assert_eq!(office.verify(token).await.status, 204, "{reported}");
        }
    }
}

#[tokio::test]
async fn a_used_link_is_not_mailed_again() {
    let office = Dispatcher::open().await;
    let _ = office.peer.register(EMAIL, PASSWORD).await;
    let _ = office.forgot(EMAIL).await;
    office
        .system
        .proxy
        .inject_often("DeleteItem", &Fault::LostRequest, 6);
    let _ = office.deliver().await;
    assert_eq!((office.letters().len(), office.waiting().await), (2, 2));
    let used: Vec<_> = office
        .letters()
        .iter()
        .map(|letter| letter.token().to_owned())
        .collect();
    for letter in office.letters() {
        let reply = if letter.link().contains("verify") {
            office.verify(letter.token()).await
        } else {
            office.reset(letter.token(), "another long password").await
        };
        assert_eq!(reply.status, 204);
    }
    office.system.clock.pass(61);
    let _ = office.deliver().await;
    assert_eq!(office.waiting().await, 0);
    for token in used {
        is_problem(&office.verify(&token).await, 400, "bad_mail_token");
        is_problem(&office.reset(&token, PASSWORD).await, 400, "bad_mail_token");
    }
}

#[tokio::test]
async fn concurrent_dispatchers_send_each_mail_once() {
    let office = Dispatcher::open().await;
    for number in 0..8 {
        let email = format!("{number}@example.com");
        assert_eq!(office.peer.register(&email, PASSWORD).await.status, 201);
    }
    let mut hosts = vec![];
    for _ in 0..3 {
        hosts.push(host(&office.system, &office.folder).await);
    }
    let rounds = hosts.iter().map(|peer| tasks::run_due(&peer.host));
    let reports = futures_util::future::join_all(rounds).await;
    let sent: usize = reports
        .into_iter()
        .map(|report| report.expect("a round").mails_sent)
        .sum();
    assert_eq!((sent, office.waiting().await), (8, 0));
    let mut addressees: Vec<_> = office
        .letters()
        .into_iter()
        .map(|letter| letter.to)
        .collect();
    addressees.sort();
    addressees.dedup();
    assert_eq!(addressees.len(), 8);
}

#[tokio::test]
async fn ses_gets_signed_mail_and_a_refused_mail_is_retried_or_given_up() {
    let system = System::start().await.expect("a system");
    let ses = Ses::start(access_key(), system.clock.clone())
        .await
        .expect("a SES");
    let changes = [
        ("PORTCULLIS_MAIL_FROM", "login@acme.example"),
        ("PORTCULLIS_BRAND_NAMES", "Acme"),
        ("PORTCULLIS_SES_ENDPOINT", &ses.endpoint()),
        ("PORTCULLIS_PUBLIC_URL", "https://acme.example/"),
    ];
    let peer = system.another(CHEAP, &changes).await.expect("a host");
    let deliver = || tasks::run_due(&peer.host);
    let _ = peer.register(EMAIL, PASSWORD).await;

    ses.refuse(429, "TooManyRequestsException");
    ses.refuse(400, "MailFromDomainNotVerifiedException");
    let tried = [(0, 1), (29, 0), (1, 1), (59, 0), (1, 0)];
    for (place, (seconds, postponed)) in tried.into_iter().enumerate() {
        system.clock.pass(seconds);
        let report = deliver().await.expect("a round");
        assert_eq!(report.mails_postponed, postponed, "{place}");
        assert_eq!(report.mails_sent, usize::from(place == 4), "{place}");
    }
    let calls = ses.calls();
    let sent = calls.iter().map(|call| call.as_ref().expect("signed"));
    let sent: Vec<_> = sent.collect();
    assert_eq!(sent.len(), 3);
    assert_eq!(
        (sent[0], sent[1]),
        (sent[1], sent[2]),
        "each try is the same mail"
    );
    assert_eq!(sent[0]["FromEmailAddress"], "\"Acme\" <login@acme.example>");
    assert_eq!(sent[0]["Destination"]["ToAddresses"][0], "Ann@example.com");
    let body = &sent[0]["Content"]["Simple"]["Body"];
    for part in ["Text", "Html"] {
        let text = body[part]["Data"].as_str().expect("text");
        assert!(
            text.contains("https://acme.example/v1/email/verify#"),
            "{part}"
        );
    }

    ses.refuse(400, "MessageRejected");
    let _ = peer.register("bob@example.com", PASSWORD).await;
    assert_eq!(deliver().await.expect("a round").mails_given_up, 1);
    let audit = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    let given_up = audit
        .iter()
        .filter(|line| line["outcome"] == "verify_not_delivered");
    assert_eq!(given_up.count(), 1);
    assert!(
        system
            .rows("Portcullis", "OUTBOX#")
            .await
            .expect("rows")
            .is_empty()
    );
}

#[tokio::test]
async fn a_mail_refused_for_hours_is_given_up() {
    let system = System::start().await.expect("a system");
    let ses = Ses::start(access_key(), system.clock.clone())
        .await
        .expect("a SES");
    let changes = [
        ("PORTCULLIS_MAIL_FROM", "login@acme.example"),
        ("PORTCULLIS_SES_ENDPOINT", &ses.endpoint()),
    ];
    let peer = system.another(CHEAP, &changes).await.expect("a host");
    let _ = peer.register(EMAIL, PASSWORD).await;
    let mut given_up = 0;
    for _ in 0..10 {
        ses.refuse(500, "InternalFailure");
        given_up += tasks::run_due(&peer.host)
            .await
            .expect("a round")
            .mails_given_up;
        system.clock.pass(3_601);
    }
    assert_eq!((ses.calls().len(), given_up), (10, 1));
    assert!(
        system
            .rows("Portcullis", "OUTBOX#")
            .await
            .expect("rows")
            .is_empty()
    );
}

#[tokio::test]
async fn an_open_ses_breaker_costs_only_the_mails_that_were_tried() {
    let system = System::start().await.expect("a system");
    let ses = Ses::start(access_key(), system.clock.clone())
        .await
        .expect("a SES");
    let changes = [
        ("PORTCULLIS_MAIL_FROM", "login@acme.example"),
        ("PORTCULLIS_SES_ENDPOINT", &ses.endpoint()),
    ];
    let peer = system.another(CHEAP, &changes).await.expect("a host");
    for number in 0..7 {
        let _ = peer
            .register(&format!("{number}@example.com"), PASSWORD)
            .await;
    }
    for _ in 0..5 {
        ses.refuse(500, "InternalFailure");
    }
    let deliver = async || tasks::run_due(&peer.host).await.expect("a round");
    assert_eq!(
        deliver().await.mails_postponed,
        6,
        "five failed, one kept back"
    );
    for _ in 0..12 {
        // The breaker is open: one mail is leased, put back, and that is all.
        assert_eq!(deliver().await.mails_postponed, 1);
    }
    assert_eq!(ses.calls().len(), 5);
    let waiting = system.rows("Portcullis", "OUTBOX#").await.expect("rows");
    let attempts = waiting.iter().map(|row| row["attempts"].as_u64());
    let mut attempts: Vec<_> = attempts.map(|it| it.expect("a number")).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [0, 0, 1, 1, 1, 1, 1]);
    system.clock.pass(30);
    let report = deliver().await;
    assert_eq!((report.mails_sent, report.mails_given_up), (7, 0));
}

#[tokio::test]
async fn mail_waits_in_the_outbox_without_a_transport() {
    let system = System::start().await.expect("a system");
    let peer = system.peer();
    let _ = peer.register(EMAIL, PASSWORD).await;
    let report = tasks::run_due(&peer.host).await.expect("a round");
    assert_eq!((report.mails_sent, report.mails_postponed), (0, 0));
    assert_eq!(
        system
            .rows("Portcullis", "OUTBOX#")
            .await
            .expect("rows")
            .len(),
        1
    );
}

#[tokio::test]
async fn on_lambda_any_event_sends_due_mail() {
    let system = System::start().await.expect("a system");
    // The program uses the machine's clock, so everything around it does.
    let now = SystemClock.read().expect("after 1970");
    system.clock.set(now.as_secs());
    let folder = system.folder().join("mail");
    let mut runtime = LambdaRuntime::start().await.expect("a runtime");
    let mut variables = environment(&system.proxy);
    variables.retain(|(name, _)| name != "PORTCULLIS_LISTEN");
    variables.push((
        "PORTCULLIS_MAILBOX".to_owned(),
        folder.display().to_string(),
    ));
    let lambda = runtime
        .environment()
        .map(|(name, value)| (name.to_owned(), value));
    variables.extend(lambda);
    let mut program = Program::start(tasks_program(), variables).expect("a process");
    for (place, event) in [
        r#"{"source":"aws.scheduler","detail-type":"Scheduled Event","detail":{}}"#,
        r#"{"Records":[{"eventName":"INSERT","dynamodb":{"Keys":{}}}]}"#,
        "null",
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("{place}@example.com");
        assert_eq!(system.peer().register(&email, PASSWORD).await.status, 201);
        match runtime.invoke(event).await.expect("a runtime") {
            Posted::Response(report) => assert_eq!(report["mails_sent"], 1, "{event}"),
            Posted::Error(error) | Posted::InitError(error) => panic!("{event}: {error}"),
        }
        assert_eq!(letters(&folder).len(), place + 1);
    }
    assert!(program.is_running());
}

#[tokio::test]
async fn on_lambda_each_run_flushes_metrics_before_the_freeze() {
    let system = System::start().await.expect("a system");
    let now = SystemClock.read().expect("after 1970");
    system.clock.set(now.as_secs());
    let ses = Ses::start(access_key(), system.clock.clone())
        .await
        .expect("a SES");
    let mut runtime = LambdaRuntime::start().await.expect("a runtime");
    let mut variables = environment(&system.proxy);
    variables.retain(|(name, _)| name != "PORTCULLIS_LISTEN");
    let lambda = runtime.environment();
    let more = [
        ("PORTCULLIS_MAIL_FROM", "login@acme.example".to_owned()),
        ("PORTCULLIS_SES_ENDPOINT", ses.endpoint()),
    ];
    let more = more.into_iter().chain(lambda);
    variables.extend(more.map(|(name, value)| (name.to_owned(), value)));
    let mut program = Program::start(tasks_program(), variables).expect("a process");
    // The second run falls within the minute of the first.
    for run in 0..2 {
        for number in 0..=run {
            let email = format!("{run}{number}@example.com");
            assert_eq!(system.peer().register(&email, PASSWORD).await.status, 201);
        }
        let posted = runtime.invoke("null").await.expect("a runtime");
        assert!(matches!(posted, Posted::Response(_)), "{posted:?}");
        if run == 0 {
            let lag = program.metric("revocation_feed", "PackLag").await;
            let lag = lag.expect("a line");
            // A minute is packed four seconds after its end, and the next one is still open.
            assert!((4..64).contains(&lag), "{lag}");
        }
        let calls = program.metric("dynamodb", "Calls").await;
        assert!(calls.expect("a line") > 0);
        let calls = program.metric("ses", "Calls").await;
        assert_eq!(calls.expect("a line"), run + 1);
    }
}
