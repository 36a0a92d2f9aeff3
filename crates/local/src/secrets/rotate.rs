//! RotateSecret: a new version is staged, and a function called for each of the four steps.

use std::{sync::PoisonError, time::Duration};

use serde_json::{Value, json};

use super::{Answer, CURRENT, LocalSecrets, PENDING, Refusal, arn, fresh_id, name, token};

impl LocalSecrets {
    /// Rotates the secret called `name` until it has a version in force, as a deployment does that
    /// rotates at once; a secret that has one is left alone.
    pub async fn make_first(&self, name: &str) {
        let body = json!({"SecretId": name, "ClientRequestToken": fresh_id()});
        let is_made = || {
            let secret = self.secret(&body);
            secret.is_ok_and(|(_, secret)| secret.stages.contains_key(CURRENT))
        };
        while !is_made() {
            // Whatever the function needs may not be there yet: the same version is tried again.
            if rotate(self, &body).await.is_err() {
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// How long a first rotation that failed waits for its next try.
const AGAIN: Duration = Duration::from_secs(1);

/// How often a step that failed is called again, as the service does.
const TRIES: usize = 3;

/// Rotates, and answers when it is over: the service answers at once and goes on behind that.
pub(super) async fn rotate(secrets: &LocalSecrets, body: &Value) -> Answer {
    let (name, token) = (name(body)?, token(body)?);
    let function = secrets.shared.function.lock();
    let function = function.unwrap_or_else(PoisonError::into_inner).clone();
    let Some(function) = function else {
        return Err(Refusal::new(
            "InvalidRequestException",
            "there is no function to call",
        ));
    };
    secrets.change(|all| {
        let secret = all.get_mut(&name).ok_or_else(Refusal::missing)?;
        let pending = secret.stages.get(PENDING);
        let current = secret.stages.get(CURRENT);
        // A rotation that did not end keeps every other one from beginning.
        if pending.is_some_and(|at| *at != token && Some(at) != current) {
            let code = "InvalidRequestException";
            return Err(Refusal::new(code, "a previous rotation is not complete"));
        }
        secret.rotation_enabled = true;
        if current != Some(&token) {
            secret.versions.entry(token.clone()).or_insert(None);
            secret.stage(PENDING, &token);
        }
        Ok(())
    })?;
    for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
        let event = json!({"Step": step, "SecretId": arn(&name), "ClientRequestToken": token});
        let mut end = Ok(());
        for _ in 0..TRIES {
            end = function.call(event.clone()).await;
            if end.is_ok() {
                break;
            }
        }
        if let Err(fault) = end {
            let message = format!("{step} failed: {fault}");
            return Err(Refusal::new("InvalidRequestException", message));
        }
    }
    Ok(json!({"ARN": arn(&name), "Name": name, "VersionId": token}))
}
