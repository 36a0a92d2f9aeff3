//! The shipped function, as a process under a Lambda Runtime API, driven by Secrets Manager.

use std::cell::RefCell;
use std::sync::Arc;

use portcullis_host::clock::{SystemClock, WallClock as _};
use portcullis_local::RotationFunction;
use portcullis_tests::lambda_runtime::{LambdaRuntime, Posted};
use portcullis_tests::program::{Program, rotation_program};
use portcullis_tests::system::{SIGNING_SECRET, System, environment};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{NEXT, SLACK, THIRD_PARTIES, kid, log_in, stages};
use crate::with_account;

/// The function, and its Runtime API.
#[derive(Clone)]
struct Function {
    runtime: Arc<Mutex<LambdaRuntime>>,
    program: Arc<Mutex<Program>>,
}

impl Function {
    async fn start(system: &System) -> Self {
        // The program uses the machine's clock, so everything around it does.
        let now = SystemClock.read().expect("after 1970");
        system.clock.set(now.as_secs());
        let runtime = LambdaRuntime::start().await.expect("a runtime");
        let mut variables = environment(&system.proxy);
        variables.retain(|(name, _)| name != "PORTCULLIS_LISTEN");
        let lambda = runtime.environment();
        variables.extend(lambda.map(|(name, value)| (name.to_owned(), value)));
        let program = Program::start(rotation_program(), variables).expect("a process");
        Self {
            runtime: Arc::new(Mutex::new(runtime)),
            program: Arc::new(Mutex::new(program)),
        }
    }

    /// The function's error for `event`, if any.
    async fn invoke(&self, event: &Value) -> Result<(), String> {
        let end = self.runtime.lock().await.invoke(&event.to_string()).await;
        match end.expect("a runtime") {
            Posted::Response(_) => Ok(()),
            Posted::Error(error) | Posted::InitError(error) => {
                Err(error["errorType"].as_str().unwrap_or_default().to_owned())
            }
        }
    }

    fn as_secrets_manager_calls_it(&self) -> RotationFunction {
        let function = self.clone();
        RotationFunction::new(move |event| {
            let function = function.clone();
            async move { function.invoke(&event).await }
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_manager_rotates_by_the_function() {
    let system = with_account().await;
    let function = Function::start(&system).await;
    let secrets = system.proxy.secrets();
    secrets.rotate_by(function.as_secrets_manager_calls_it());
    let old = kid(&log_in(&system.peer()).await);
    let rotate = |token: &str| json!({"SecretId": SIGNING_SECRET, "ClientRequestToken": token});
    let end = secrets.call("RotateSecret", &rotate(NEXT)).await;
    end.expect("rotated");
    let in_force = stages(&system).await[NEXT].clone();
    assert_eq!(in_force, json!(["AWSCURRENT", "AWSPENDING"]));
    // A repeated step is already done; another rotation is too early, and Secrets Manager learns
    // it.
    let again = secrets.call("RotateSecret", &rotate(NEXT)).await;
    again.expect("done before");
    let other = "33333333-3333-4333-8333-333333333333";
    let early = secrets.call("RotateSecret", &rotate(other)).await;
    let early = early.expect_err("too early").to_string();
    assert!(early.contains("rotation_too_early"), "{early}");

    // The function stamped by the machine's clock, which advanced meanwhile.
    system.clock.pass(THIRD_PARTIES + SLACK + 60);
    assert_ne!(kid(&log_in(&system.peer()).await), old);

    let mut program = function.program.lock().await;
    assert!(program.is_running());
    let seen = RefCell::new(String::new());
    let line = |message: &'static str| {
        let seen = &seen;
        move |line: &Value| {
            seen.borrow_mut().push_str(&line.to_string());
            line["message"] == message
        }
    };
    for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
        let counted = |line: &Value| {
            seen.borrow_mut().push_str(&line.to_string());
            line["Dependency"] == "secretsmanager" && line["Calls"].is_u64()
        };
        let counted = program.line(counted).await.expect("a line for CloudWatch");
        assert!(counted["Calls"].as_u64() > Some(0), "{counted}");
        let line = program.line(line("a step of the rotation is done")).await;
        assert_eq!(line.expect("a line")["step"], step);
    }
    let failed = program.line(line("a step of the rotation failed")).await;
    assert_eq!(failed.expect("a line")["code"], "rotation_too_early");
    let version = json!({"SecretId": SIGNING_SECRET, "VersionId": NEXT});
    let kept = secrets.call("GetSecretValue", &version).await;
    let kept = kept.expect("a version")["SecretString"].clone();
    let kept: Value = serde_json::from_str(kept.as_str().expect("text")).expect("a JWK");
    let private = kept["d"].as_str().expect("a private key");
    assert!(
        !seen.into_inner().contains(private),
        "a log has no private key"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_no_rotation_step_of_the_secret_is_rejected_by_code() {
    let system = with_account().await;
    let function = Function::start(&system).await;
    log_in(&system.peer()).await;
    let arn = format!("arn:aws:secretsmanager:eu-central-1:1:secret:{SIGNING_SECRET}-AbCdEf");
    let event = |step: &str, secret: &str, token: &str| json!({"Step": step, "SecretId": secret, "ClientRequestToken": token, "RotationToken": "x"});
    for (event, code) in [
        (event("paintSecret", SIGNING_SECRET, NEXT), "unknown_step"),
        (
            event("setSecret", "portcullis/host-secret", NEXT),
            "other_secret",
        ),
        (event("setSecret", &arn, NEXT), "not_pending"),
        (event("setSecret", SIGNING_SECRET, "short"), "bad_token"),
    ] {
        assert_eq!(
            function.invoke(&event).await,
            Err(code.to_owned()),
            "{event}"
        );
    }
    let no_event = function.invoke(&json!({"hello": "world"})).await;
    assert!(no_event.is_err(), "what is no event is an error");
    assert!(function.program.lock().await.is_running());
}
