//! The actor of an operator's command is the identity of its AWS credentials.

use std::future;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use portcullis_tests::proxy::REGION;
use portcullis_tests::sigv4::{self, SigningScope};
use portcullis_tests::system::{System, access_key};
use portcullis_tests::wire::{self, Answer};

use crate::EMAIL;
use crate::operator::{acts, run_with, system};

const ARN: &str = "arn:aws:sts::123456789012:assumed-role/Operators/grace@example.com";

/// The response of STS as its documentation shows it.
fn document(arn: &str) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  \
         <GetCallerIdentityResult>\n    <Arn>{arn}</Arn>\n    <UserId>AROA:grace</UserId>\n    \
         <Account>123456789012</Account>\n  </GetCallerIdentityResult>\n  <ResponseMetadata>\n    \
         <RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId>\n  </ResponseMetadata>\n\
         </GetCallerIdentityResponse>"
    )
}

/// A stand-in for STS.
#[derive(Clone, Debug)]
enum Behaviour {
    /// Responds with this status and document.
    Responds(u16, String),
    /// Closes the connection.
    Breaks,
    /// Never responds.
    Hangs,
}

/// The fault of each request's signature or form.
type Requests = Arc<Mutex<Vec<Result<(), String>>>>;

async fn sts(behaviour: Behaviour) -> io::Result<(String, Requests)> {
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    let address = wire::serve_somewhere(move |request| {
        let (behaviour, seen) = (behaviour.clone(), Arc::clone(&seen));
        async move {
            seen.lock().expect("whole").push(inspect(&request));
            match behaviour {
                Behaviour::Responds(status, document) => {
                    let response = Response::builder().status(status);
                    Answer::Whole(response.body(Bytes::from(document)).expect("a response"))
                }
                Behaviour::Breaks => Answer::Nothing,
                Behaviour::Hangs => future::pending().await,
            }
        }
    })
    .await?;
    Ok((format!("http://{address}"), requests))
}

fn inspect(request: &Request<Bytes>) -> Result<(), String> {
    use portcullis_host::clock::{SystemClock, WallClock as _};
    let scope = SigningScope {
        region: REGION,
        service: "sts",
    };
    let now = SystemClock.read().expect("after 1970").as_secs();
    sigv4::verify(request, &access_key(), scope, now)?;
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    if request.method() == "POST" && request.uri().path() == "/" && request.body() == form {
        Ok(())
    } else {
        Err(format!("{request:?}"))
    }
}

/// The actor in the audit trail after a command with `--actor`, and the standard error of it.
async fn actor(system: &System, endpoint: &str, remark: &str) -> (String, String) {
    let changes = [("PORTCULLIS_STS_ENDPOINT", endpoint)];
    let arguments = ["--actor", remark, "users", "logout", EMAIL];
    let said = run_with(system, &changes, &arguments).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let mut acts = acts(system).await;
    let (action, _, actor) = acts.pop().expect("an entry");
    assert_eq!(action, "admin_logout");
    (actor, said.text)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_entry_identifies_the_operator_by_the_arn_of_sts() {
    let system = system().await;
    let (endpoint, requests) = sts(Behaviour::Responds(200, document(ARN)))
        .await
        .expect("a port");
    let (actor, said) = actor(&system, &endpoint, "heidi").await;
    assert_eq!(actor, format!("operator:{ARN};heidi"));
    assert!(!said.contains("warning"), "{said}");
    assert_eq!(*requests.lock().expect("whole"), [Ok(())]);

    let listed = ["--json", "audit", "list", "--address", &actor];
    let listed = run_with(&system, &[], &listed).await;
    let lines = listed.json["lines"].as_array().expect("a list");
    assert_eq!(lines.len(), 1, "{listed:?}");
    assert_eq!(lines[0]["genuine"], true, "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_identity_from_sts_an_audit_entry_has_the_access_key_id() {
    for behaviour in [
        Behaviour::Responds(403, document(ARN)),
        Behaviour::Responds(307, document(ARN)),
        Behaviour::Responds(200, String::new()),
        Behaviour::Responds(200, document("arn:aws:iam::123456789012:user/a;grace")),
        Behaviour::Responds(200, document("arn:aws:iam::210987654321:root")),
        Behaviour::Responds(200, document(&format!("{ARN}{}", "a".repeat(9_000)))),
        Behaviour::Breaks,
        Behaviour::Hangs,
    ] {
        let system = system().await;
        let (endpoint, _) = sts(behaviour.clone()).await.expect("a port");
        let (actor, said) = actor(&system, &endpoint, "heidi").await;
        assert_eq!(actor, "operator:AKIDFLOWS;heidi", "{behaviour:?}");
        assert!(said.contains("warning: "), "{said}");
        assert!(!said.contains("secret/access"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_option_cannot_replace_the_identity() {
    let system = system().await;
    for forged in ["AKIDOTHER;grace", "a b", "", &"a".repeat(65)] {
        let said = run_with(&system, &[], &["--actor", forged, "users", "logout", EMAIL]).await;
        assert_eq!(said.code, Some(2), "{forged:?}: {said:?}");
    }
    assert!(acts(&system).await.is_empty());
}
