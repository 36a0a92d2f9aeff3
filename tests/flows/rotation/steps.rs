//! The four steps over HTTP, on DynamoDB's engine and a strict Secrets Manager: interrupted between
//! any two calls and repeated, the result is the same.

use portcullis_tests::proxy::Fault;
use portcullis_tests::system::{CHEAP, SIGNING_SECRET, System};
use serde_json::{Value, json};

use super::{
    NEXT, SLACK, STEPS, TAIL, THIRD_PARTIES, document, kid, log_in, rotate, stage, stages, step,
    takes,
};
use crate::{EMAIL, PASSWORD, with_account};

/// A system with a key that has signed, and a version staged for its successor.
async fn staged() -> System {
    let system = with_account().await;
    log_in(&system.peer()).await;
    stage(&system, NEXT).await;
    system
}

async fn all(system: &System) -> Result<(), String> {
    for at in STEPS {
        let end = step(&system.host, at, NEXT).await;
        end.map_err(|fault| fault.code().to_owned())?;
    }
    Ok(())
}

/// The result of a rotation without identifiers: times and stages, and the audit entries.
async fn left(system: &System) -> Value {
    let document = document(system).await;
    let keys = document["keys"].as_array().expect("keys");
    let times: Vec<_> = keys
        .iter()
        .map(|key| json!([key["sign_from"], key["ends_at"]]))
        .collect();
    let stages = stages(system).await;
    let versions = stages.as_object().expect("versions").values();
    let mut versions: Vec<_> = versions.map(ToString::to_string).collect();
    versions.sort();
    let rows = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    let mut acts: Vec<_> = rows
        .iter()
        .filter_map(|row| row["action"].as_str().filter(|act| act.starts_with("key_")))
        .collect();
    acts.sort_unstable();
    json!({"times": times, "of the next": stages[NEXT], "stages": versions, "acts": acts})
}

#[tokio::test]
async fn a_rotation_interrupted_between_any_two_calls_and_repeated_has_the_same_result() {
    let undisturbed = staged().await;
    let before = undisturbed.proxy.calls().len();
    all(&undisturbed).await.expect("undisturbed");
    let calls = undisturbed.proxy.calls().len() - before;
    let expected = left(&undisturbed).await;
    // The first is the host's own.
    let acts = ["key_publish", "key_publish", "key_rotate"];
    assert_eq!(expected["acts"], json!(acts));
    let mut cuts = 0;
    for number in 0..calls {
        for fault in [Fault::LostRequest, Fault::LostAnswer] {
            let system = staged().await;
            system.proxy.cut_off_after(number, fault);
            let end = all(&system).await;
            assert_eq!(end, Err("store_unavailable".to_owned()), "call {number}");
            cuts += 1;
            system.proxy.heal();
            all(&system).await.expect("repeated");
            assert_eq!(left(&system).await, expected, "call {number}");
        }
    }
    assert_eq!(cuts, 2 * calls);
    assert!(calls > 12, "{calls}");
}

#[tokio::test]
async fn a_secret_without_a_key_gets_its_first_one_which_signs_at_once() {
    // Nothing, and the value of a template; both with a document of another secret's keys.
    for value in [None, Some("made by a template")] {
        let system = with_account().await;
        let old = kid(&log_in(&system.peer()).await);
        let secrets = system.proxy.secrets();
        secrets.declare("another").expect("declared");
        if let Some(value) = value {
            secrets.keep("another", value);
        }
        let changes = [("PORTCULLIS_SIGNING_SECRET", "another")];
        let host = system.another(CHEAP, &changes).await.expect("a host");
        let none = host.login(EMAIL, PASSWORD).await;
        assert_eq!(none.code(), "key_unavailable", "{value:?}");
        rotate(&host.host).await.expect("rotated");
        system.clock.pass(10);
        let token = log_in(&host).await;
        assert_ne!(kid(&token), old);
        assert!(takes(&system.peer(), &token).await, "{value:?}");
        let early = rotate(&host.host)
            .await
            .expect_err("the old one leaves first");
        assert_eq!(early.code(), "rotation_too_early");
    }
}

#[tokio::test]
async fn the_private_key_is_in_the_secret_only() {
    let system = staged().await;
    all(&system).await.expect("rotated");
    let next = json!({"SecretId": SIGNING_SECRET, "VersionId": NEXT});
    let kept = system.proxy.secrets().call("GetSecretValue", &next).await;
    let kept = kept.expect("a version")["SecretString"].clone();
    let kept: Value = serde_json::from_str(kept.as_str().expect("text")).expect("a JWK");
    let private = kept["d"].as_str().expect("a private key");
    for table in ["Portcullis", "TokenBlacklist"] {
        let rows = system.rows(table, "").await.expect("rows");
        assert!(!Value::from(rows).to_string().contains(private), "{table}");
    }
    let public = &document(&system).await["keys"][1]["jwk"];
    assert_eq!(public["x"], kept["x"]);
    assert!(public.get("d").is_none());
}

#[tokio::test]
async fn two_concurrent_manual_rotations_leave_one_next_key() {
    let system = with_account().await;
    let peer = system.peer();
    log_in(&peer).await;
    let (one, two) = tokio::join!(rotate(&peer.host), rotate(&peer.host));
    assert!(one.is_ok() || two.is_ok(), "{one:?} {two:?}");
    let open = |keys: &Value| {
        let keys = keys["keys"].as_array().expect("keys");
        let open = keys.iter().filter(|key| key["ends_at"].is_null()).count();
        (keys.len(), open)
    };
    let left = document(&system).await;
    assert!(open(&left).1 <= 2, "{left}");
    // After an interruption, this host and one without cache sign tokens at any time, and the next
    // rotation completes.
    let pauses = [301, THIRD_PARTIES, SLACK + TAIL];
    for pause in pauses {
        system.clock.pass(pause);
        log_in(&peer).await;
        let fresh = system.another(CHEAP, &[]).await.expect("a host");
        log_in(&fresh).await;
    }
    rotate(&peer.host).await.expect("the next one");
    let left = document(&system).await;
    assert_eq!(open(&left).1, 1, "{left}");
    system.clock.pass(301);
    log_in(&peer).await;
}
