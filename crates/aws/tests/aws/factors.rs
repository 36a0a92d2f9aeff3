//! Second factors: enrolled, confirmed, used once, and bound to their account.

use portcullis_core::audit::AuditKind;
use portcullis_core::mail::MailKind;
use portcullis_service::store::{
    Account, AccountStore as _, FactorStore as _, Factors, OutboxMail, TotpFactor, WriteOutcome,
};
use serde_json::{Value, json};

use crate::engine::{
    Engine, NOON, ada, audit_trail, event, id, longest_email, row, store, welcome,
};
use crate::wire::Fault;

const STEP: u64 = 59_847_840;
const ADA: &str = "USER#ada@example.com";

fn totp(name: &str) -> TotpFactor {
    TotpFactor {
        id: id(name),
        sealed: format!("sealed-{name}"),
        created_at: NOON,
        confirmed_at: None,
        last_step: 0,
    }
}

fn codes(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("code-{name}")).collect()
}

/// An engine on which Ada's factor `f1` is active since `STEP`, with three recovery codes.
async fn with_factor() -> Engine {
    let engine = Engine::start().await;
    let client = engine.client();
    let registered = event(AuditKind::Registered, "r1");
    let mail = welcome(&ada());
    let made = store(&client).register(&ada(), &mail, &registered).await;
    assert_eq!(made.unwrap(), WriteOutcome::Applied);
    let begun = event(AuditKind::FactorBegun, "r2");
    let written = store(&client)
        .begin_factor(&ada(), &totp("f1"), &begun)
        .await;
    assert_eq!(written.unwrap(), WriteOutcome::Applied);
    let confirmed = event(AuditKind::FactorConfirmed, "r3");
    let codes = codes(&["a", "b", "c"]);
    let written = store(&client)
        .confirm_factor(
            &ada(),
            &totp("f1"),
            STEP,
            &codes,
            &welcome(&ada()),
            &confirmed,
        )
        .await;
    assert_eq!(written.unwrap(), WriteOutcome::Applied);
    engine
}

async fn factors(engine: &Engine, account: &Account) -> Factors {
    let client = engine.client();
    store(&client).factors(account).await.unwrap()
}

#[tokio::test]
async fn an_unconfirmed_factor_is_not_required_and_may_be_replaced() {
    let engine = Engine::start().await;
    let client = engine.client();
    for (name, request_id) in [("f1", "r1"), ("f2", "r2")] {
        let begun = event(AuditKind::FactorBegun, request_id);
        let written = store(&client)
            .begin_factor(&ada(), &totp(name), &begun)
            .await;
        assert_eq!(written.unwrap(), WriteOutcome::Applied);
        let read = factors(&engine, &ada()).await;
        assert!(read.active().is_none() && read.recovery.is_empty());
        let kept = read.totp.unwrap();
        assert_eq!((kept.id, kept.sealed), (id(name), format!("sealed-{name}")));
    }
    let confirmed = event(AuditKind::FactorConfirmed, "r3");
    let codes = codes(&["a"]);
    for (name, end) in [
        ("f1", WriteOutcome::Conflict),
        ("f2", WriteOutcome::Applied),
        // The response was lost: the retry recognises its own write.
        ("f2", WriteOutcome::Applied),
    ] {
        let factor = totp(name);
        let written = store(&client)
            .confirm_factor(&ada(), &factor, STEP, &codes, &welcome(&ada()), &confirmed)
            .await;
        assert_eq!(written.unwrap(), end, "{name}");
    }
    let read = factors(&engine, &ada()).await;
    let active = read.active().unwrap();
    assert_eq!((active.confirmed_at, active.last_step), (Some(NOON), STEP));
    assert_eq!(read.recovery, codes);
    let begun = event(AuditKind::FactorBegun, "r4");
    let written = store(&client)
        .begin_factor(&ada(), &totp("f3"), &begun)
        .await;
    assert_eq!(written.unwrap(), WriteOutcome::Conflict);
    // A rejected write left no audit entry.
    assert_eq!(audit_trail(&client).await.len(), 3);
}

#[tokio::test]
async fn account_takeover_a_factor_enrolled_before_the_first_proof_of_the_address_does_not_count() {
    let engine = with_factor().await;
    let client = engine.client();
    assert!(factors(&engine, &ada()).await.active().is_some());
    let verified = Account {
        verified_at: Some(NOON),
        ..ada()
    };
    let read = factors(&engine, &verified).await;
    assert!(read.totp.is_none() && read.recovery.is_empty());

    // A request that read the account before the proof writes after it.
    let begun = event(AuditKind::FactorBegun, "r4");
    let client_store = store(&client);
    let late = client_store.remove_factors(&ada(), None, &begun).await;
    late.unwrap();
    let begun = event(AuditKind::FactorBegun, "r5");
    let written = client_store.begin_factor(&ada(), &totp("f2"), &begun).await;
    assert_eq!(written.unwrap(), WriteOutcome::Applied);
    let confirmed = event(AuditKind::FactorConfirmed, "r6");
    let written = client_store
        .confirm_factor(
            &verified,
            &totp("f2"),
            STEP,
            &codes(&["d"]),
            &welcome(&ada()),
            &confirmed,
        )
        .await;
    assert_eq!(written.unwrap(), WriteOutcome::Applied);
    assert!(factors(&engine, &verified).await.active().is_none());

    // The owner replaces it, although it is active.
    let begun = event(AuditKind::FactorBegun, "r7");
    let written = client_store
        .begin_factor(&verified, &totp("f3"), &begun)
        .await;
    assert_eq!(written.unwrap(), WriteOutcome::Applied);
    let confirmed = event(AuditKind::FactorConfirmed, "r8");
    let written = client_store
        .confirm_factor(
            &verified,
            &totp("f3"),
            STEP,
            &codes(&["e"]),
            &welcome(&ada()),
            &confirmed,
        )
        .await;
    assert_eq!(written.unwrap(), WriteOutcome::Applied);
    let read = factors(&engine, &verified).await;
    assert_eq!(read.active().unwrap().id, id("f3"));
    assert_eq!(read.recovery, codes(&["e"]));
    // Her own active factor stays.
    let begun = event(AuditKind::FactorBegun, "r9");
    let written = client_store
        .begin_factor(&verified, &totp("f4"), &begun)
        .await;
    assert_eq!(written.unwrap(), WriteOutcome::Conflict);
}

#[tokio::test]
async fn a_totp_step_is_used_once_and_no_earlier_step_afterwards() {
    let engine = with_factor().await;
    let client = engine.client();
    let factor = totp("f1");
    for (step, request_id, end) in [
        (STEP, "r4", WriteOutcome::Conflict),
        (STEP + 1, "r5", WriteOutcome::Applied),
        // A retry of the same request finds the code used; another request finds it missing.
        (STEP + 1, "r5", WriteOutcome::Applied),
        (STEP + 1, "r6", WriteOutcome::Conflict),
        (STEP, "r7", WriteOutcome::Conflict),
    ] {
        let request_id = id(request_id);
        let spent = store(&client)
            .spend_step(&ada(), &factor, step, &request_id)
            .await;
        assert_eq!(spent.unwrap(), end, "{step} {request_id}");
    }
    // Nor by a factor that has been replaced.
    let other = totp("f2");
    let spent = store(&client)
        .spend_step(&ada(), &other, STEP + 9, &id("r8"))
        .await;
    assert_eq!(spent.unwrap(), WriteOutcome::Conflict);
    client.transport().order([Fault::LoseAnswer]);
    let spent = store(&client)
        .spend_step(&ada(), &factor, STEP + 2, &id("r9"))
        .await;
    assert_eq!(
        spent.unwrap(),
        WriteOutcome::Applied,
        "the response was lost"
    );
}

#[tokio::test]
async fn of_eight_hosts_with_one_totp_step_or_recovery_code_one_uses_it() {
    let engine = with_factor().await;
    let (factor, all, rest) = (totp("f1"), codes(&["a", "b", "c"]), codes(&["b", "c"]));
    let hosts: Vec<_> = (0..8).map(|_host| engine.client()).collect();
    let account = ada();
    let steps = hosts.iter().enumerate().map(|(host, client)| {
        let (request_id, factor, account) = (id(&format!("s{host}")), &factor, &account);
        async move {
            let store = store(client);
            store
                .spend_step(account, factor, STEP + 1, &request_id)
                .await
        }
    });
    let codes = hosts.iter().enumerate().map(|(host, client)| {
        let (request_id, all, rest, account) = (id(&format!("c{host}")), &all, &rest, &account);
        async move {
            let store = store(client);
            store
                .spend_recovery_code(account, all, rest, &request_id)
                .await
        }
    });
    for ends in [
        futures_util::future::join_all(steps).await,
        futures_util::future::join_all(codes).await,
    ] {
        let done = ends
            .iter()
            .filter(|end| matches!(end, Ok(WriteOutcome::Applied)));
        assert_eq!(done.count(), 1, "{ends:?}");
        assert!(ends.iter().all(Result::is_ok), "{ends:?}");
    }
    assert_eq!(factors(&engine, &account).await.recovery, rest);
}

#[tokio::test]
async fn a_recovery_code_is_used_on_the_version_that_was_read_and_a_retry_uses_no_second() {
    let engine = with_factor().await;
    let client = engine.client();
    let (all, rest) = (codes(&["a", "b", "c"]), codes(&["a", "c"]));
    client.transport().order([Fault::LoseAnswer]);
    let spend = store(&client)
        .spend_recovery_code(&ada(), &all, &rest, &id("r4"))
        .await;
    assert_eq!(spend.unwrap(), WriteOutcome::Applied);
    // An update on the older read would restore the used code.
    let stale = codes(&["b", "c"]);
    let spend = store(&client)
        .spend_recovery_code(&ada(), &all, &stale, &id("r5"))
        .await;
    assert_eq!(spend.unwrap(), WriteOutcome::Conflict);
    assert_eq!(factors(&engine, &ada()).await.recovery, rest);

    let renewed = event(AuditKind::RecoveryCodesRenewed, "r6");
    let new = codes(&["x", "y"]);
    let renewal = store(&client)
        .renew_recovery_codes(&ada(), &new, &welcome(&ada()), &renewed)
        .await;
    renewal.unwrap();
    let spend = store(&client)
        .spend_recovery_code(&ada(), &rest, &stale, &id("r7"))
        .await;
    assert_eq!(spend.unwrap(), WriteOutcome::Conflict);
    assert_eq!(factors(&engine, &ada()).await.recovery, new);

    let removed = event(AuditKind::FactorRemoved, "r8");
    store(&client)
        .remove_factors(&ada(), None, &removed)
        .await
        .unwrap();
    let read = factors(&engine, &ada()).await;
    assert!(read.totp.is_none() && read.recovery.is_empty());
    for sort in ["FACTOR#TOTP", "FACTOR#RECOVERY"] {
        assert_eq!(row(&client, "Portcullis", ADA, sort).await, Value::Null);
    }
    assert_eq!(audit_trail(&client).await.len(), 5);
}

#[tokio::test]
async fn a_factor_left_by_an_erased_account_is_ignored() {
    let engine = with_factor().await;
    let client = engine.client();
    let heir = Account {
        user_id: id("u-heir"),
        ..ada()
    };
    let read = factors(&engine, &heir).await;
    assert!(read.totp.is_none() && read.recovery.is_empty());
    let all = codes(&["a", "b", "c"]);
    let spend = store(&client)
        .spend_recovery_code(&heir, &all, &[], &id("r4"))
        .await;
    assert_eq!(spend.unwrap(), WriteOutcome::Conflict);
    // An active factor of another user does not block.
    let begun = event(AuditKind::FactorBegun, "r5");
    let written = store(&client)
        .begin_factor(&heir, &totp("f2"), &begun)
        .await;
    assert_eq!(written.unwrap(), WriteOutcome::Applied);
    let kept = row(&client, "Portcullis", ADA, "FACTOR#TOTP").await;
    assert_eq!(kept["user_id"], json!({"S": "u-heir"}));
    assert!(kept.get("confirmed_at").is_none());
}

#[tokio::test]
async fn the_rows_of_the_longest_address_are_below_one_kilobyte() {
    let engine = Engine::start().await;
    let client = engine.client();
    let account = Account {
        email: longest_email(),
        ..ada()
    };
    // The longest kind of notice.
    let notice = OutboxMail {
        id: id(&"m".repeat(22)),
        kind: MailKind::RecoveryCodesRenewed,
        user_id: Some(id(&"u".repeat(22))),
        ..welcome(&account)
    };
    let before = client.consumed();
    let begun = event(AuditKind::FactorBegun, &"r".repeat(59));
    // The length of a 20-byte secret encrypted under a root key with the longest id.
    let factor = TotpFactor {
        sealed: "s".repeat(103),
        ..totp(&"f".repeat(22))
    };
    let written = store(&client).begin_factor(&account, &factor, &begun).await;
    assert_eq!(written.unwrap(), WriteOutcome::Applied);
    let codes: Vec<_> = (0..10).map(|_code| "c".repeat(22)).collect();
    let confirmed = event(AuditKind::FactorConfirmed, &"q".repeat(59));
    let written = store(&client)
        .confirm_factor(&account, &factor, STEP, &codes, &notice, &confirmed)
        .await;
    assert_eq!(written.unwrap(), WriteOutcome::Applied);
    // Six rows in transactions, two units each; a row above 1 KB would cost two more.
    assert_eq!(client.consumed().since(before).write_halves, 2 * 6 * 2);

    // New codes: codes, notice and audit row. Removal: two deletes, notice and audit row. Each is one
    // transaction, so no change is without its notice.
    for (rows, remove) in [(3, false), (4, true)] {
        let before = client.consumed();
        let sent = client.transport().sent().len();
        let event = event(
            AuditKind::FactorRemoved,
            &format!("{rows}{}", "p".repeat(58)),
        );
        let store = store(&client);
        let written = if remove {
            store.remove_factors(&account, Some(&notice), &event).await
        } else {
            let renewed = store.renew_recovery_codes(&account, &codes, &notice, &event);
            renewed.await
        };
        written.unwrap();
        assert_eq!(client.consumed().since(before).write_halves, 2 * rows * 2);
        assert_eq!(client.transport().sent()[sent..], ["TransactWriteItems"]);
    }
}
