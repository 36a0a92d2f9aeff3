//! `users import` with the user ids of the other system, from JSON lines and from CSV.

use portcullis_tests::proxy::Fault;
use portcullis_tests::system::System;
use serde_json::{Value, json};

use crate::operator::{Said, run, system};
use crate::{EMAIL, PASSWORD, claims, token};

const UUID: &str = "0b9cbe0e-2e64-4f6b-9c4b-0b5c2b3c1f00";

/// A hash of another system, with its password.
fn vector() -> (String, String) {
    let vectors = include_str!("../vectors/passwords/hashes.jsonl");
    let first: Value = serde_json::from_str(vectors.lines().next().expect("a line")).expect("JSON");
    let text = |name: &str| first[name].as_str().expect("text").to_owned();
    (text("hash"), text("password"))
}

async fn import(system: &System, name: &str, content: &str) -> Said {
    let file = system.folder().join(name);
    std::fs::write(&file, content).expect("written");
    let file = file.to_str().expect("UTF-8");
    run(system, &["--json", "users", "import", file]).await
}

fn json_line(email: &str, user_id: &Value) -> String {
    let (hash, _) = vector();
    json!({"email": email, "password_hash": hash, "user_id": user_id}).to_string()
}

async fn user_id(system: &System, email: &str) -> Value {
    let shown = run(system, &["--json", "users", "show", email]).await;
    shown.json["user_id"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_csv_file_imports_accounts_under_the_user_ids_of_the_other_system() {
    let system = system().await;
    let (hash, password) = vector();
    let content = format!(
        "user_id,email,verified_at,password_hash\r\n\
         {UUID},nia@example.com,1700000000,\"{hash}\"\r\n\
         \r\n\
         ,bob@example.com,,\"{hash}\"\r\n\
         a b,eve@example.com,,\"{hash}\"\r\n\
         2,fay@example.com,tomorrow,\"{hash}\"\r\n\
         3,gus@example.com,\"{hash}\r\n\
         4,,,\"{hash}\"\r\n"
    );
    let said = import(&system, "accounts.CSV", &content).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(said.json["imported"], 2, "{said:?}");
    assert_eq!(
        said.json["refused"],
        json!([
            {"line": 5, "code": "bad_user_id"},
            {"line": 6, "code": "bad_verified_at"},
            {"line": 7, "code": "malformed"},
            {"line": 8, "code": "missing_email"},
        ])
    );
    assert_eq!(
        said.json["accounts"][0],
        json!({"line": 2, "user_id": UUID}),
        "{said:?}"
    );
    assert!(!said.text.contains("$"), "no hash is quoted: {said:?}");

    let shown = run(&system, &["--json", "users", "show", UUID]).await;
    assert_eq!(shown.json["email"], "nia@example.com");
    assert_eq!(shown.json["verified_at"], 1_700_000_000_u64);
    let peer = system.peer();
    let login = peer.login("nia@example.com", &password).await;
    assert_eq!(claims(&token(&login))["sub"], UUID);
    assert_eq!(peer.login("bob@example.com", &password).await.status, 200);

    // A repeated import changes nothing.
    let again = import(&system, "accounts.csv", &content).await;
    assert_eq!(again.json["imported"], 0, "{again:?}");
    assert_eq!(again.json["already_there"], 2, "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_cannot_take_over_the_user_id_of_another_account() {
    let system = system().await;
    let (_, password) = vector();
    let existing = user_id(&system, EMAIL).await;
    let lines = [
        json_line("mallory@example.com", &existing),
        json_line("nia@example.com", &UUID.into()),
        // The id of a line before.
        json_line("bob@example.com", &UUID.into()),
        // The same account again, and without an id.
        json_line("nia@example.com", &UUID.into()),
        json_line("nia@example.com", &Value::Null),
        // An existing address under another id, which may be free or taken.
        json_line(EMAIL, &"free".into()),
        json_line(EMAIL, &UUID.into()),
        json_line(EMAIL, &existing),
    ];
    let said = import(&system, "accounts.ndjson", &lines.join("\n")).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(
        said.json["refused"],
        json!([
            {"line": 1, "code": "user_id_taken"},
            {"line": 3, "code": "user_id_taken"},
            {"line": 6, "code": "other_user_id"},
            {"line": 7, "code": "other_user_id"},
        ])
    );
    assert_eq!(said.json["imported"], 1, "{said:?}");
    assert_eq!(said.json["already_there"], 3, "{said:?}");

    let owner = existing.as_str().expect("an id");
    let shown = run(&system, &["--json", "users", "show", owner]).await;
    assert_eq!(shown.json["email"], EMAIL);
    let peer = system.peer();
    assert_eq!(peer.login(EMAIL, PASSWORD).await.status, 200);
    for email in ["mallory@example.com", "bob@example.com"] {
        assert_eq!(user_id(&system, email).await, Value::Null, "{email}");
        assert_eq!(peer.login(email, &password).await.status, 401, "{email}");
    }
    let rows = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    let imports = rows.iter().filter(|row| row["action"] == "import").count();
    assert_eq!(imports, 1, "a refused line leaves no entry");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_with_a_lost_response_recognises_its_own_user_id() {
    let system = system().await;
    system.proxy.inject("TransactWriteItems", Fault::LostAnswer);
    let line = json_line("nia@example.com", &UUID.into());
    let said = import(&system, "accounts.ndjson", &line).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.json["accounts"], json!([{"line": 1, "user_id": UUID}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_csv_file_without_a_valid_header_imports_nothing() {
    let system = system().await;
    let (hash, _) = vector();
    for header in [
        format!("nia@example.com,\"{hash}\""),
        "email,password_hash,name".to_owned(),
        "email,email,password_hash".to_owned(),
        "email".to_owned(),
        String::new(),
    ] {
        let content = format!("{header}\nbob@example.com,\"{hash}\"\n");
        let said = import(&system, "accounts.csv", &content).await;
        assert_eq!(said.code, Some(2), "{header}: {said:?}");
        assert_eq!(said.json["error"], "setting");
        let detail = said.json["detail"].as_str().expect("text");
        assert!(detail.contains("line 1: the header row"), "{detail}");
        assert!(!said.text.contains("$argon2"), "{said:?}");
        assert!(!detail.contains("nia@"), "{detail}");
    }
    let accounts = system.rows("Portcullis", "USER#").await.expect("rows");
    assert_eq!(accounts.len(), 1, "{accounts:?}");
}
