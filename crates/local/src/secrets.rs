//! A local Secrets Manager: versions and stages as strict as in the service, and rotations that
//! call a function step by step.
//!
//! It verifies no signature. It enforces the rules on which a rotation relies: a version's value
//! never changes ([PutSecretValue]), each stage is at one version, and a stage moves only from the
//! version that has it ([UpdateSecretVersionStage]).
//!
//! [PutSecretValue]: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
//! [UpdateSecretVersionStage]: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html

mod function;
mod keep;
mod rotate;
pub(crate) mod serve;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::function::RotationFunction;

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";
const PENDING: &str = "AWSPENDING";

/// A Secrets Manager. Clones share it.
#[derive(Clone)]
pub struct LocalSecrets {
    shared: Arc<Shared>,
}

struct Shared {
    secrets: Mutex<BTreeMap<String, KeptSecret>>,
    /// The file of the secrets, if they are persistent.
    file: Option<PathBuf>,
    function: Mutex<Option<RotationFunction>>,
}

/// One secret.
#[derive(Clone, Default, Deserialize, Serialize)]
struct KeptSecret {
    /// The values by version id; a version that a rotation has only staged has none.
    versions: BTreeMap<String, Option<String>>,
    /// The version of each stage.
    stages: BTreeMap<String, String>,
    rotation_enabled: bool,
}

/// An error with the service's own code. Never quotes a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    fn missing() -> Self {
        Self::new(
            "ResourceNotFoundException",
            "the secret or version does not exist",
        )
    }

    fn parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }
}

type Answer = Result<Value, Refusal>;

impl LocalSecrets {
    /// An ephemeral Secrets Manager that loses its data when dropped.
    #[must_use]
    pub fn forgetful() -> Self {
        Self::with(BTreeMap::new(), None)
    }

    fn with(secrets: BTreeMap<String, KeptSecret>, file: Option<PathBuf>) -> Self {
        Self {
            shared: Arc::new(Shared {
                secrets: Mutex::new(secrets),
                file,
                function: Mutex::default(),
            }),
        }
    }

    /// Sets the rotation function; without one, secrets are not rotated.
    pub fn rotate_by(&self, function: RotationFunction) {
        let held = self.shared.function.lock();
        *held.unwrap_or_else(PoisonError::into_inner) = Some(function);
    }

    /// Creates the secret `name` without a version, if it does not exist.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] that the service would return.
    pub fn declare(&self, name: &str) -> Result<(), Refusal> {
        self.change(|secrets| {
            secrets.entry(name.to_owned()).or_default();
            Ok(())
        })
    }

    /// Makes `value` the current version of the secret `name`, as an operator with a console would.
    /// Creates the secret if it does not exist.
    pub fn keep(&self, name: &str, value: &str) {
        let id = fresh_id();
        // A new version with its own id is always allowed.
        let _ = self.change(|secrets| {
            let secret = secrets.entry(name.to_owned()).or_default();
            secret.put(&id, value, &[CURRENT.to_owned()])
        });
    }

    /// Executes one operation; `body` is its request.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] that the service would return.
    pub async fn call(&self, operation: &str, body: &Value) -> Answer {
        match operation {
            "CreateSecret" => self.change(|secrets| create(secrets, body)),
            "PutSecretValue" => self.change(|secrets| put(secrets, body)),
            "UpdateSecretVersionStage" => self.change(|secrets| move_stage(secrets, body)),
            "GetSecretValue" => get(&self.secret(body)?.1, body),
            "DescribeSecret" => {
                let (name, secret) = self.secret(body)?;
                Ok(describe(&name, &secret))
            }
            "RotateSecret" => rotate::rotate(self, body).await,
            _ => Err(Refusal::new("UnknownOperationException", operation)),
        }
    }

    /// The current state of the secret of `body`.
    fn secret(&self, body: &Value) -> Result<(String, KeptSecret), Refusal> {
        let name = name(body)?;
        let secrets = self.shared.secrets.lock();
        let secrets = secrets.unwrap_or_else(PoisonError::into_inner);
        let secret = secrets.get(&name).cloned().ok_or_else(Refusal::missing)?;
        Ok((name, secret))
    }

    /// Lets `act` change the secrets; a rejected change is rolled back.
    fn change<T>(
        &self,
        act: impl FnOnce(&mut BTreeMap<String, KeptSecret>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let held = self.shared.secrets.lock();
        let mut held = held.unwrap_or_else(PoisonError::into_inner);
        let mut changed = held.clone();
        let done = act(&mut changed)?;
        if let Some(file) = &self.shared.file {
            let kept = keep::write(file, &changed);
            kept.map_err(|fault| Refusal::new("InternalServiceError", fault.to_string()))?;
        }
        *held = changed;
        Ok(done)
    }
}

impl std::fmt::Debug for LocalSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalSecrets").finish_non_exhaustive()
    }
}

impl KeptSecret {
    /// Adds the version `id`. A repetition with the same value changes nothing; another value is
    /// rejected.
    fn put(&mut self, id: &str, value: &str, stages: &[String]) -> Result<(), Refusal> {
        match self.versions.get(id) {
            Some(Some(held)) if held != value => {
                let code = "ResourceExistsException";
                return Err(Refusal::new(code, "the version has another value"));
            }
            // A repetition moves no stage: it may arrive long after the first request.
            Some(Some(_)) => return Ok(()),
            Some(None) | None => {}
        }
        self.versions.insert(id.to_owned(), Some(value.to_owned()));
        for stage in stages {
            self.stage(stage, id);
        }
        // The first version becomes current, whatever stage was requested.
        self.stages
            .entry(CURRENT.to_owned())
            .or_insert_with(|| id.to_owned());
        Ok(())
    }

    /// Moves `stage` to `id`. The version that loses `AWSCURRENT` gets `AWSPREVIOUS`.
    fn stage(&mut self, stage: &str, id: &str) {
        let before = self.stages.insert(stage.to_owned(), id.to_owned());
        if let Some(before) = before.filter(|before| stage == CURRENT && before != id) {
            self.stages.insert(PREVIOUS.to_owned(), before);
        }
    }

    fn stages_of(&self, id: &str) -> Vec<&str> {
        let at = self.stages.iter().filter(|(_, at)| *at == id);
        at.map(|(stage, _)| stage.as_str()).collect()
    }
}

fn create(secrets: &mut BTreeMap<String, KeptSecret>, body: &Value) -> Answer {
    let name = text(body, "Name")?.to_owned();
    if secrets.contains_key(&name) {
        return Err(Refusal::new(
            "ResourceExistsException",
            "the secret already exists",
        ));
    }
    let mut secret = KeptSecret::default();
    let mut answer = json!({"ARN": arn(&name), "Name": name});
    if let Some(value) = body["SecretString"].as_str() {
        let id = token(body)?;
        secret.put(&id, value, &[CURRENT.to_owned()])?;
        answer["VersionId"] = id.into();
    }
    secrets.insert(name, secret);
    Ok(answer)
}

fn put(secrets: &mut BTreeMap<String, KeptSecret>, body: &Value) -> Answer {
    let name = name(body)?;
    let secret = secrets.get_mut(&name).ok_or_else(Refusal::missing)?;
    let (id, value) = (token(body)?, text(body, "SecretString")?);
    let stages = match &body["VersionStages"] {
        Value::Null => vec![CURRENT.to_owned()],
        stages => {
            let stages: Option<Vec<_>> = stages.as_array().map(|stages| {
                let names = stages.iter().filter_map(Value::as_str);
                names.map(str::to_owned).collect()
            });
            let some = stages.filter(|stages| !stages.is_empty());
            some.ok_or_else(|| Refusal::parameter("VersionStages is not a list of stages"))?
        }
    };
    secret.put(&id, value, &stages)?;
    let stages = secret.stages_of(&id);
    Ok(json!({"ARN": arn(&name), "Name": name, "VersionId": id, "VersionStages": stages}))
}

fn move_stage(secrets: &mut BTreeMap<String, KeptSecret>, body: &Value) -> Answer {
    let name = name(body)?;
    let secret = secrets.get_mut(&name).ok_or_else(Refusal::missing)?;
    let stage = text(body, "VersionStage")?.to_owned();
    let (from, to) = (
        body["RemoveFromVersionId"].as_str(),
        body["MoveToVersionId"].as_str(),
    );
    let at = secret.stages.get(&stage).cloned();
    for id in [from, to].into_iter().flatten() {
        if !secret.versions.contains_key(id) {
            return Err(Refusal::missing());
        }
    }
    match (at.as_deref(), from) {
        (Some(at), None) if to != Some(at) => {
            return Err(Refusal::parameter(
                "the stage is at a version that RemoveFromVersionId must name",
            ));
        }
        (at, Some(from)) if at != Some(from) => {
            return Err(Refusal::parameter(
                "the stage is not at the version that RemoveFromVersionId names",
            ));
        }
        _ => {}
    }
    match to {
        Some(to) => secret.stage(&stage, to),
        None if stage == CURRENT => {
            return Err(Refusal::parameter("AWSCURRENT can only be moved"));
        }
        None => drop(secret.stages.remove(&stage)),
    }
    Ok(json!({"ARN": arn(&name), "Name": name}))
}

fn get(secret: &KeptSecret, body: &Value) -> Answer {
    let id = body["VersionId"].as_str();
    let stage = body["VersionStage"].as_str();
    let id = match (id, stage) {
        (Some(id), None) => id,
        (Some(id), Some(stage)) if secret.stages.get(stage).is_some_and(|at| at == id) => id,
        (Some(_), Some(_)) => return Err(Refusal::missing()),
        (None, stage) => {
            let at = secret.stages.get(stage.unwrap_or(CURRENT));
            at.ok_or_else(Refusal::missing)?
        }
    };
    let value = secret.versions.get(id).and_then(Option::as_ref);
    let value = value.ok_or_else(Refusal::missing)?;
    let name = name(body)?;
    Ok(json!({
        "ARN": arn(&name), "Name": name, "VersionId": id,
        "VersionStages": secret.stages_of(id), "SecretString": value,
    }))
}

fn describe(name: &str, secret: &KeptSecret) -> Value {
    let versions: BTreeMap<_, _> = secret
        .versions
        .keys()
        .map(|id| (id, secret.stages_of(id)))
        // A version without a stage is deprecated and not listed.
        .filter(|(_, stages)| !stages.is_empty())
        .collect();
    json!({
        "ARN": arn(name), "Name": name,
        "RotationEnabled": secret.rotation_enabled, "VersionIdsToStages": versions,
    })
}

/// The name of the secret of `body`, given by its name or its ARN.
fn name(body: &Value) -> Result<String, Refusal> {
    let id = text(body, "SecretId")?;
    let prefix = arn("");
    Ok(id.strip_prefix(&prefix).unwrap_or(id).to_owned())
}

fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:us-east-1:000000000000:secret:{name}")
}

/// The id of the version that `body` creates, which clients must provide ([API reference]).
///
/// [API reference]: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
fn token(body: &Value) -> Result<String, Refusal> {
    match body["ClientRequestToken"].as_str() {
        Some(token) if (32..=64).contains(&token.len()) => Ok(token.to_owned()),
        Some(_) => Err(Refusal::parameter(
            "ClientRequestToken has 32 to 64 characters",
        )),
        None => Err(Refusal::new(
            "InvalidRequestException",
            "ClientRequestToken is required",
        )),
    }
}

fn text<'a>(body: &'a Value, member: &str) -> Result<&'a str, Refusal> {
    let text = body[member].as_str().filter(|text| !text.is_empty());
    text.ok_or_else(|| Refusal::parameter(format!("{member} must be given")))
}

/// The id of a version without an id in the request.
fn fresh_id() -> String {
    let mut bytes = [0; 16];
    // Without random numbers the ids are the same, which is acceptable locally.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
