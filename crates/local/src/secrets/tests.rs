//! The rules on which a rotation relies.

use std::sync::Mutex;

use super::*;

const ONE: &str = "11111111-1111-1111-1111-111111111111";
const TWO: &str = "22222222-2222-2222-2222-222222222222";

async fn code(secrets: &LocalSecrets, operation: &str, body: Value) -> &'static str {
    match secrets.call(operation, &body).await {
        Ok(_) => "",
        Err(refusal) => refusal.code,
    }
}

fn version(id: &str, value: &str, stage: &str) -> Value {
    json!({"SecretId": "key", "ClientRequestToken": id, "SecretString": value, "VersionStages": [stage]})
}

async fn stages(secrets: &LocalSecrets) -> Value {
    let described = secrets
        .call("DescribeSecret", &json!({"SecretId": "key"}))
        .await;
    described.unwrap()["VersionIdsToStages"].clone()
}

#[tokio::test]
async fn a_version_may_be_put_again_with_the_same_value_only() {
    let secrets = LocalSecrets::forgetful();
    secrets.keep("key", "first");
    for (value, refused) in [("a", ""), ("a", ""), ("b", "ResourceExistsException")] {
        let put = version(ONE, value, PENDING);
        assert_eq!(code(&secrets, "PutSecretValue", put).await, refused);
    }
    let short = version("short", "a", PENDING);
    assert_eq!(
        code(&secrets, "PutSecretValue", short).await,
        "InvalidParameterException"
    );
    let found = secrets
        .call(
            "GetSecretValue",
            &json!({"SecretId": "key", "VersionId": ONE}),
        )
        .await;
    assert_eq!(found.unwrap()["SecretString"], "a");
}

#[tokio::test]
async fn a_stage_moves_only_from_the_version_that_has_it() {
    let secrets = LocalSecrets::forgetful();
    let create = json!({"Name": "key", "ClientRequestToken": ONE, "SecretString": "a"});
    assert_eq!(code(&secrets, "CreateSecret", create).await, "");
    assert_eq!(
        code(&secrets, "PutSecretValue", version(TWO, "b", PENDING)).await,
        ""
    );
    let to = |from: Option<&str>, to: &str| json!({"SecretId": arn("key"), "VersionStage": CURRENT, "RemoveFromVersionId": from, "MoveToVersionId": to});
    for (body, refused) in [
        (to(None, TWO), "InvalidParameterException"),
        (to(Some(TWO), TWO), "InvalidParameterException"),
        (to(Some(ONE), "nobody"), "ResourceNotFoundException"),
        (to(Some(ONE), TWO), ""),
        (to(Some(ONE), TWO), "InvalidParameterException"),
    ] {
        assert_eq!(
            code(&secrets, "UpdateSecretVersionStage", body.clone()).await,
            refused,
            "{body}"
        );
    }
    assert_eq!(
        stages(&secrets).await,
        json!({ONE: [PREVIOUS], TWO: [CURRENT, PENDING]})
    );
    let wrong = json!({"SecretId": "key", "VersionId": ONE, "VersionStage": CURRENT});
    assert_eq!(
        code(&secrets, "GetSecretValue", wrong).await,
        "ResourceNotFoundException"
    );
}

#[tokio::test]
async fn a_rotation_retries_each_failing_step_and_blocks_the_next_rotation_until_it_ends() {
    let called = Arc::new(Mutex::new(vec![]));
    let seen = Arc::clone(&called);
    let function = RotationFunction::new(move |event: Value| {
        let seen = Arc::clone(&seen);
        async move {
            let mut seen = seen.lock().unwrap();
            let step = event["Step"].as_str().unwrap().to_owned();
            assert_eq!(event["SecretId"], arn("key"));
            seen.push(step.clone());
            let tries = seen.iter().filter(|it| **it == step).count();
            if step == "setSecret" && tries < 4 {
                Err("not yet".to_owned())
            } else {
                Ok(())
            }
        }
    });
    let secrets = LocalSecrets::forgetful();
    secrets.rotate_by(function);
    secrets.keep("key", "first");
    let rotate = |token: &str| json!({"SecretId": "key", "ClientRequestToken": token});
    assert_eq!(
        code(&secrets, "RotateSecret", rotate(ONE)).await,
        "InvalidRequestException"
    );
    let empty = json!({"SecretId": "key", "VersionId": ONE});
    assert_eq!(
        code(&secrets, "GetSecretValue", empty).await,
        "ResourceNotFoundException"
    );
    assert_eq!(
        code(&secrets, "RotateSecret", rotate(TWO)).await,
        "InvalidRequestException"
    );
    assert_eq!(code(&secrets, "RotateSecret", rotate(ONE)).await, "");
    let steps = called.lock().unwrap().join(" ");
    let whole =
        "createSecret setSecret setSecret setSecret createSecret setSecret testSecret finishSecret";
    assert_eq!(steps, whole);
}

#[tokio::test(start_paused = true)]
async fn a_declared_secret_is_rotated_until_it_has_a_version_and_then_stays() {
    let secrets = LocalSecrets::forgetful();
    let refused = Arc::new(Mutex::new(0));
    let (counted, keeper) = (Arc::clone(&refused), secrets.clone());
    secrets.rotate_by(RotationFunction::new(move |event: Value| {
        let (counted, keeper) = (Arc::clone(&counted), keeper.clone());
        async move {
            let mut refused = counted.lock().unwrap();
            if *refused < 5 {
                *refused += 1;
                return Err("the dependencies are not up yet".to_owned());
            }
            let id = event["ClientRequestToken"].as_str().unwrap();
            if event["Step"] == "createSecret" {
                let stages = [PENDING.to_owned()];
                keeper.change(|all| all.get_mut("key").unwrap().put(id, "made", &stages))
            } else {
                keeper.change(|all| {
                    all.get_mut("key").unwrap().stage(CURRENT, id);
                    Ok(())
                })
            }
            .map_err(|refusal| refusal.to_string())
        }
    }));
    secrets.declare("key").unwrap();
    for _ in 0..2 {
        secrets.make_first("key").await;
        assert_eq!(stages(&secrets).await.as_object().unwrap().len(), 1);
    }
    assert_eq!(*refused.lock().unwrap(), 5);
}

#[tokio::test]
async fn a_file_keeps_versions_and_stages_and_only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let path = std::env::temp_dir().join(format!("portcullis-secrets-{}", fresh_id()));
    let open = || LocalSecrets::on_file(path.clone()).unwrap();
    open().keep("key", "kept");
    let found = open()
        .call("GetSecretValue", &json!({"SecretId": "key"}))
        .await;
    assert_eq!(found.unwrap()["SecretString"], "kept");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::write(&path, "no secrets at all").unwrap();
    assert!(LocalSecrets::on_file(path.clone()).is_err());
    std::fs::remove_file(&path).unwrap();
}
