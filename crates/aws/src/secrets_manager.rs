//! Secrets Manager: the versions of one secret, by the stages that a rotation moves.
//!
//! The rotation itself is a use case; this module has only its calls.

pub mod signing_secret;

use std::collections::BTreeMap;

use portcullis_core::json::Json;
use portcullis_core::secret::Secret;
use portcullis_core::time::UnixTime;
use portcullis_service::signing::secret::Stage;

use crate::client::{ApiCall, Client};
use crate::error::{CallError, ResponseError};
use crate::error_code::ErrorCode;
use crate::operation::Operation;
use crate::response_body::ResponseBody;
use crate::transport::Transport;

/// The staging label of `stage` in Secrets Manager. At most one version of a secret has it.
pub const fn label(stage: Stage) -> &'static str {
    match stage {
        Stage::Current => "AWSCURRENT",
        Stage::Previous => "AWSPREVIOUS",
        Stage::Pending => "AWSPENDING",
    }
}

/// Selects a version of a secret.
#[derive(Clone, Copy, Debug)]
pub enum Version<'a> {
    /// The version with this stage.
    Stage(Stage),
    /// The version with this id; a rotation's `ClientRequestToken` is one.
    Id(&'a str),
    /// The version with this id, if it has this stage.
    Staged(&'a str, Stage),
}

/// A version of a secret with its value. The value is secret; the id and the stages are public.
#[derive(Clone, Debug)]
pub struct SecretValue {
    /// The version's id.
    pub id: String,
    /// The stages of the version.
    pub stages: Vec<String>,
    /// The value, as text.
    pub value: Secret<String>,
}

/// A secret without its values.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecretDescription {
    /// Whether rotation is enabled.
    pub rotation_enabled: bool,
    /// The stages of each version, by version id. Secrets Manager deletes a version without stages.
    pub versions: BTreeMap<String, Vec<String>>,
}

impl SecretDescription {
    /// The id of the version with `stage`.
    pub fn version_at(&self, stage: Stage) -> Option<&str> {
        let label = label(stage);
        let mut versions = self.versions.iter();
        let (id, _) = versions.find(|(_, stages)| stages.iter().any(|held| held == label))?;
        Some(id)
    }
}

/// Secrets Manager at a given time.
#[derive(Debug)]
pub struct SecretsManager<'a, T> {
    client: &'a Client<T>,
    now: UnixTime,
}

impl<'a, T: Transport> SecretsManager<'a, T> {
    /// A client of Secrets Manager; `now` signs every request.
    pub const fn at(client: &'a Client<T>, now: UnixTime) -> Self {
        Self { client, now }
    }

    /// The version `version` of `secret` (a name or an ARN); `None` if the secret or that version
    /// does not exist.
    ///
    /// # Errors
    ///
    /// [`CallError`]; [`ResponseError::Lacks`] for a binary secret, because only text is supported.
    pub async fn value(
        &self,
        secret: &str,
        version: Version<'_>,
    ) -> Result<Option<SecretValue>, CallError> {
        let call = ApiCall::new(Operation::GetSecretValue).with("SecretId", secret);
        let call = match version {
            Version::Stage(stage) => call.with("VersionStage", label(stage)),
            Version::Id(id) => call.with("VersionId", id),
            Version::Staged(id, stage) => call
                .with("VersionId", id)
                .with("VersionStage", label(stage)),
        };
        let mut answer = match self.client.call(&call, self.now).await {
            Ok(answer) => answer,
            Err(CallError::Service(refusal)) if *refusal.code() == ErrorCode::ResourceNotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let Some(Json::Text(value)) = answer.remove("SecretString") else {
            return Err(ResponseError::Lacks("SecretString").into());
        };
        let value = Secret::new(value);
        Ok(Some(SecretValue {
            id: text(&mut answer, "VersionId")?,
            stages: labels(answer.get("VersionStages"), "VersionStages")?,
            value,
        }))
    }

    /// The versions of `secret` and their stages.
    ///
    /// # Errors
    ///
    /// [`CallError`], also if the secret does not exist.
    pub async fn describe(&self, secret: &str) -> Result<SecretDescription, CallError> {
        const STAGES: &str = "VersionIdsToStages";
        let call = ApiCall::new(Operation::DescribeSecret).with("SecretId", secret);
        let answer = self.client.call(&call, self.now).await?;
        let versions = match answer.get(STAGES) {
            None => BTreeMap::new(),
            Some(Json::Object(versions)) => versions
                .iter()
                .map(|(id, stages)| Ok((id.to_owned(), labels(Some(stages), STAGES)?)))
                .collect::<Result<_, ResponseError>>()?,
            Some(_) => return Err(ResponseError::Lacks(STAGES).into()),
        };
        let rotation = answer.get("RotationEnabled").and_then(Json::as_bool);
        Ok(SecretDescription {
            rotation_enabled: rotation.unwrap_or(false),
            versions,
        })
    }

    /// Adds the version `id` with `value` to `secret`, in `stage`. A repetition with the same value
    /// changes nothing; another value is rejected with [`ErrorCode::ResourceExists`].
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn put(
        &self,
        secret: &str,
        id: &str,
        value: &Secret<String>,
        stage: Stage,
    ) -> Result<(), CallError> {
        let call = ApiCall::new(Operation::PutSecretValue)
            .with("SecretId", secret)
            .with("ClientRequestToken", id)
            .with("SecretString", value.expose().as_str())
            .with("VersionStages", vec![Json::from(label(stage))]);
        self.client.call(&call, self.now).await.map(drop)
    }

    /// Moves `stage` to the version `to`, from the version `from` if one has it. Secrets Manager
    /// itself gives [`Stage::Previous`] to the version that loses [`Stage::Current`].
    ///
    /// # Errors
    ///
    /// [`CallError`]; [`ErrorCode::InvalidParameter`] if `from` no longer has the stage.
    pub async fn move_stage(
        &self,
        secret: &str,
        stage: Stage,
        from: Option<&str>,
        to: &str,
    ) -> Result<(), CallError> {
        let call = ApiCall::new(Operation::UpdateSecretVersionStage)
            .with("SecretId", secret)
            .with("VersionStage", label(stage))
            .with("MoveToVersionId", to);
        let call = match from {
            Some(from) => call.with("RemoveFromVersionId", from),
            None => call,
        };
        self.client.call(&call, self.now).await.map(drop)
    }
}

fn text(answer: &mut ResponseBody, name: &'static str) -> Result<String, ResponseError> {
    match answer.remove(name) {
        Some(Json::Text(text)) => Ok(text),
        _ => Err(ResponseError::Lacks(name)),
    }
}

/// A list of labels; empty if the member is missing.
fn labels(value: Option<&Json>, name: &'static str) -> Result<Vec<String>, ResponseError> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let label = |label: &Json| label.as_text().map(str::to_owned);
    value
        .as_array()
        .and_then(|labels| labels.iter().map(label).collect())
        .ok_or(ResponseError::Lacks(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::script::{NOON, client, response};
    use crate::transport::TransportError;

    const VALUE: &str = r#"{"Name":"signing","CreatedDate":1.523477145713E9,"VersionId":"v2","VersionStages":["AWSCURRENT"],
        "SecretString":"hunter2"}"#;

    fn missing() -> crate::script::Scripted {
        response(
            400,
            r#"{"__type":"ResourceNotFoundException","Message":"no"}"#,
        )
    }

    #[tokio::test]
    async fn a_secret_value_is_requested_by_stage_id_or_both_and_never_printed() {
        let client = client([
            response(200, VALUE),
            response(200, VALUE),
            response(200, VALUE),
        ]);
        let secrets = SecretsManager::at(&client, NOON);
        for version in [
            Version::Stage(Stage::Previous),
            Version::Id("v2"),
            Version::Staged("v2", Stage::Pending),
        ] {
            let found = secrets.value("signing", version).await.unwrap().unwrap();
            assert_eq!(found.id, "v2");
            assert_eq!(found.stages, ["AWSCURRENT"]);
            assert_eq!(found.value.expose(), "hunter2");
            assert!(!format!("{found:?}").contains("hunter2"));
        }
        assert_eq!(
            client.transport().bodies(),
            [
                json!({"SecretId": "signing", "VersionStage": "AWSPREVIOUS"}),
                json!({"SecretId": "signing", "VersionId": "v2"}),
                json!({"SecretId": "signing", "VersionId": "v2", "VersionStage": "AWSPENDING"}),
            ]
        );
    }

    #[tokio::test]
    async fn a_missing_version_is_none_and_a_binary_secret_is_an_error() {
        let binary = r#"{"VersionId":"v2","SecretBinary":"AAAA"}"#;
        let client = client([missing(), response(200, binary)]);
        let secrets = SecretsManager::at(&client, NOON);
        let pending = Version::Stage(Stage::Pending);
        assert!(secrets.value("signing", pending).await.unwrap().is_none());
        let error = secrets.value("signing", pending).await.unwrap_err();
        assert!(matches!(
            error,
            CallError::Answer(ResponseError::Lacks("SecretString"))
        ));
    }

    #[tokio::test]
    async fn a_description_maps_stages_to_versions() {
        let described = r#"{"RotationEnabled":true,"VersionIdsToStages":{
            "v1":["AWSPREVIOUS"],"v2":["AWSCURRENT","AWSPENDING"],"v0":[]}}"#;
        let odd = r#"{"VersionIdsToStages":{"v1":"AWSCURRENT"}}"#;
        let client = client([
            response(200, described),
            response(200, "{}"),
            response(200, odd),
            missing(),
        ]);
        let secrets = SecretsManager::at(&client, NOON);
        let description = secrets.describe("signing").await.unwrap();
        assert!(description.rotation_enabled);
        assert_eq!(description.version_at(Stage::Current), Some("v2"));
        assert_eq!(description.version_at(Stage::Pending), Some("v2"));
        assert_eq!(description.version_at(Stage::Previous), Some("v1"));
        let empty = secrets.describe("signing").await.unwrap();
        assert_eq!(empty.version_at(Stage::Current), None);
        assert!(!empty.rotation_enabled);
        assert!(secrets.describe("signing").await.is_err());
        assert!(secrets.describe("signing").await.is_err());
    }

    #[tokio::test]
    async fn putting_a_version_is_retried_after_a_lost_response_and_moving_a_stage_is_not() {
        let lost = || Err(TransportError::Timeout);
        let client = client([lost(), response(200, "{}"), lost(), response(200, "{}")]);
        let secrets = SecretsManager::at(&client, NOON);
        let value = Secret::new("hunter2".to_owned());
        let put = secrets.put("signing", "v3", &value, Stage::Pending).await;
        assert!(put.is_ok());
        let moved = secrets.move_stage("signing", Stage::Current, Some("v2"), "v3");
        assert!(moved.await.unwrap_err().may_have_executed());
        let moved = secrets.move_stage("signing", Stage::Current, None, "v3");
        assert!(moved.await.is_ok());
        let bodies = client.transport().bodies();
        let put = json!({"SecretId": "signing", "ClientRequestToken": "v3",
            "SecretString": "hunter2", "VersionStages": ["AWSPENDING"]});
        assert_eq!(bodies[..2], [put.clone(), put]);
        assert_eq!(
            bodies[2],
            json!({"SecretId": "signing", "VersionStage": "AWSCURRENT",
                "RemoveFromVersionId": "v2", "MoveToVersionId": "v3"})
        );
        assert_eq!(bodies.len(), 4);
    }
}
