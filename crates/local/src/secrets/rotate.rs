//! RotateSecret: stages a new version and calls a function for each of the four steps.

use std::{sync::PoisonError, time::Duration};

use serde_json::{Value, json};

use super::{Answer, CURRENT, LocalSecrets, PENDING, Refusal, arn, fresh_id, name, token};

impl LocalSecrets {
    /// Rotates the secret `name` until it has a current version, as a deployment with immediate
    /// rotation does. A secret with a version stays unchanged.
    pub async fn make_first(&self, name: &str) {
        let body = json!({"SecretId": name, "ClientRequestToken": fresh_id()});
        let is_made = || {
            let secret = self.secret(&body);
            secret.is_ok_and(|(_, secret)| secret.stages.contains_key(CURRENT))
        };
        while !is_made() {
            // A dependency of the function may not be up yet: the same version is retried.
            if rotate(self, &body).await.is_err() {
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// The delay before the retry of a failed first rotation.
const AGAIN: Duration = Duration::from_secs(1);

/// The number of calls of a failing step, as in the service.
const TRIES: usize = 3;

/// Rotates, and responds at the end: the service responds at once and continues in the background.
pub(super) async fn rotate(secrets: &LocalSecrets, body: &Value) -> Answer {
    let (name, token) = (name(body)?, token(body)?);
    let function = secrets.shared.function.lock();
    let function = function.unwrap_or_else(PoisonError::into_inner).clone();
    let Some(function) = function else {
        return Err(Refusal::new(
            "InvalidRequestException",
            "no rotation function is set",
        ));
    };
    secrets.change(|all| {
        let secret = all.get_mut(&name).ok_or_else(Refusal::missing)?;
        let pending = secret.stages.get(PENDING);
        let current = secret.stages.get(CURRENT);
        // An incomplete rotation blocks every other one.
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
