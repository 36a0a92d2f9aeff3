//! The operator's CLI as a program, on a host's store.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use portcullis_host::clock::{SystemClock, WallClock as _};
use portcullis_tests::program::operator_program;
use portcullis_tests::system::{AUDIENCE, ISSUER, System, environment};
use serde_json::Value;

use crate::{EMAIL, PASSWORD, sessions_of, token, with_account, with_account_alone};

/// A system on the machine's clock, which the program uses, too.
pub(crate) async fn system() -> System {
    let system = with_account().await;
    let now = SystemClock.read().expect("after 1970");
    system.clock.set(now.as_secs());
    system
}

/// The program's output and exit code.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) json: Value,
    pub(crate) text: String,
}

/// The actor of [`run`]: the access key of [`environment`], which no STS identifies, and the remark.
pub(crate) const GRACE: &str = "operator:AKIDFLOWS;grace";

pub(crate) async fn run(system: &System, arguments: &[&str]) -> Said {
    run_with(system, &[], &[&["--actor", "grace"], arguments].concat()).await
}

/// As [`run`], with other variables and without an actor.
pub(crate) async fn run_with(
    system: &System,
    changes: &[(&str, &str)],
    arguments: &[&str],
) -> Said {
    let variables = environment(&system.proxy);
    let mut command = Command::new(operator_program());
    command
        .env_clear()
        .envs(variables)
        .envs(changes.iter().copied())
        .args(arguments)
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output());
    said(output.await.expect("no panic").expect("it runs"))
}

fn said(output: Output) -> Said {
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    Said {
        code: output.status.code(),
        json: serde_json::from_str(&text).unwrap_or_default(),
        text: text + &String::from_utf8_lossy(&output.stderr),
    }
}

/// The operators' audit rows: action, outcome, origin.
pub(crate) async fn acts(system: &System) -> Vec<(String, String, String)> {
    let rows = system.rows("Portcullis", "AUDIT#").await.expect("rows");
    let text = |row: &Value, name: &str| row[name].as_str().expect("text").to_owned();
    let mut acts: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                text(row, "action"),
                text(row, "outcome"),
                text(row, "client_address"),
            )
        })
        .filter(|(action, ..)| action.starts_with("admin_"))
        .collect();
    acts.sort();
    acts
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cli_shows_disables_enables_logs_out_and_removes_an_account() {
    let system = system().await;
    let peer = system.peer();
    let shown = run(&system, &["--json", "users", "show", EMAIL]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert_eq!(shown.json["email"], EMAIL);
    assert_eq!(shown.json["status"], "active");
    assert!(!shown.text.contains("$argon2id"), "no hash is shown");
    let id = shown.json["user_id"].as_str().expect("an id").to_owned();
    let by_id = run(&system, &["--json", "users", "show", &id]).await;
    assert_eq!(by_id.json, shown.json);

    let first = token(&peer.login(EMAIL, PASSWORD).await);
    let disabled = run(&system, &["users", "disable", EMAIL]).await;
    assert_eq!(disabled.code, Some(0), "{disabled:?}");
    assert_eq!(peer.login(EMAIL, PASSWORD).await.code(), "bad_credentials");
    assert_eq!(sessions_of(&peer, &first).await.code(), "revoked");
    let again = run(&system, &["--json", "users", "disable", EMAIL]).await;
    assert_eq!(again.json["outcome"], "unchanged");

    assert_eq!(run(&system, &["users", "enable", &id]).await.code, Some(0));
    let one = token(&peer.login(EMAIL, PASSWORD).await);
    let second = token(&peer.login(EMAIL, PASSWORD).await);
    let listed = run(&system, &["--json", "sessions", "list", EMAIL]).await;
    let listed = listed.json["sessions"].as_array().expect("a list").clone();
    assert_eq!(listed.len(), 2, "those before it was closed are over");
    let inspected = run(&system, &["--json", "token", "inspect", &one]).await;
    let session = inspected.json["claims"]["sid"].as_str().expect("a session");
    assert!(listed.iter().any(|listed| listed["id"] == session));
    let ended = run(&system, &["sessions", "end", session]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        peer.logout(&one).await.status,
        204,
        "it is over, and says so again"
    );
    let again = run(&system, &["--json", "sessions", "end", session]).await;
    assert_eq!(
        (again.code, &again.json["outcome"], &again.json["again"]),
        (Some(0), &"done".into(), &true.into())
    );
    let unknown = run(&system, &["--json", "sessions", "end", "unknown"]).await;
    assert_eq!(
        (unknown.code, &unknown.json["outcome"]),
        (Some(1), &"no_session".into())
    );
    assert_eq!(
        run(&system, &["users", "logout", EMAIL]).await.code,
        Some(0)
    );
    assert_eq!(sessions_of(&peer, &second).await.code(), "revoked");

    for _ in 0..3 {
        token(&peer.login(EMAIL, PASSWORD).await);
    }
    let unasked = run(&system, &["users", "delete", EMAIL]).await;
    assert_eq!(unasked.code, Some(2), "nobody confirmed");
    let deleted = run(&system, &["users", "delete", EMAIL, "--yes"]).await;
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    for prefix in ["USER#", "ID#", "EMAIL#", "SID#"] {
        let left = system.rows("Portcullis", prefix).await.expect("rows");
        assert!(left.is_empty(), "{prefix}: {left:?}");
    }
    assert_eq!(run(&system, &["users", "show", EMAIL]).await.code, Some(1));
    let act = |action: &str| (action.to_owned(), "success".to_owned(), GRACE.to_owned());
    // Removal disables first.
    assert_eq!(
        acts(&system).await,
        [
            "admin_delete",
            "admin_disable",
            "admin_disable",
            "admin_enable",
            "admin_end_session",
            "admin_logout",
            "admin_show",
            "admin_show"
        ]
        .map(act)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cli_counts_accounts_by_domain_and_shows_keys() {
    let system = system().await;
    for email in ["bob@example.com", "eve@b\u{fc}cher.example"] {
        assert_eq!(system.peer().register(email, PASSWORD).await.status, 201);
    }
    let all = run(&system, &["--json", "domains"]).await;
    assert_eq!(all.code, Some(0), "{all:?}");
    let counts: Vec<_> = all.json["domains"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["domain"].as_str(), one["accounts"].as_u64()))
        .collect();
    assert_eq!(
        counts,
        [
            (Some("example.com"), Some(2)),
            (Some("xn--bcher-kva.example"), Some(1))
        ]
    );
    let one = run(&system, &["domains", "--domain", "B\u{fc}cher.example"]).await;
    assert!(one.text.contains("1  xn--bcher-kva.example"), "{one:?}");
    let none = run(&system, &["domains", "--domain", "nobody.example"]).await;
    assert_eq!(none.code, Some(1));

    let keys = run(&system, &["--json", "keys", "show"]).await;
    assert_eq!(keys.code, Some(0));
    assert_eq!(keys.json["keys"][0]["state"], "signing");
    assert_eq!(keys.json["keys"][0]["alg"], "EdDSA");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_show_is_empty_before_a_key_is_published() {
    let system = with_account_alone().await;
    let now = SystemClock.read().expect("after 1970");
    system.clock.set(now.as_secs());
    let keys = run(&system, &["keys", "show"]).await;
    assert_eq!(keys.code, Some(1), "{keys:?}");
    assert!(keys.text.contains("no key"), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_store_is_exit_code_3_and_a_wrong_environment_2() {
    let system = system().await;
    let mut command = Command::new(operator_program());
    command
        .env_clear()
        .envs(environment(&system.proxy))
        .env("PORTCULLIS_DYNAMODB_ENDPOINT", "http://127.0.0.1:1")
        .args(["users", "show", EMAIL]);
    let gone = said(command.output().expect("it runs"));
    assert_eq!(gone.code, Some(3), "{gone:?}");
    assert!(gone.text.contains("reading an account"), "{gone:?}");
    let mut command = Command::new(operator_program());
    let empty = said(
        command
            .env_clear()
            .args(["keys", "show"])
            .output()
            .expect("it runs"),
    );
    assert_eq!(empty.code, Some(2));
    assert!(empty.text.contains("PORTCULLIS_ISSUER"), "{empty:?}");
    let unknown = run(&system, &["users", "paint", EMAIL]).await;
    assert_eq!(unknown.code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn token_inspect_explains_a_token_by_policy_and_keys() {
    let system = system().await;
    let token = token(&system.peer().login(EMAIL, PASSWORD).await);
    let policy = system.folder().join("policy.json");
    let keys = system.folder().join("keys.json");
    let text = format!(
        r#"{{"issuers":[{{"issuer":"$PORTCULLIS_ISSUER","audience":"{AUDIENCE}","algorithms":["EdDSA"],
        "keys":"document","profile":"at+jwt","max_lifetime":900}}],"routes":[{{"path":"/*","access":"token"}}]}}"#
    );
    std::fs::write(&policy, text).expect("written");
    let set = system.peer().get("/.well-known/jwks.json").await;
    std::fs::write(&keys, set.json.to_string()).expect("written");
    let (policy, keys) = (
        policy.to_str().expect("UTF-8"),
        keys.to_str().expect("UTF-8"),
    );

    // None of these needs an environment.
    let inspect = |token: &str, more: &[&str]| {
        let mut command = Command::new(operator_program());
        command
            .env_clear()
            .args(["--json", "token", "inspect", "-"])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut input = child.stdin.take().expect("its input");
        writeln!(input, "{token}").expect("read");
        drop(input);
        said(child.wait_with_output().expect("it ends"))
    };
    let arguments = ["--policy", policy, "--issuer", ISSUER];
    let good = inspect(&token, &[&arguments[..], &["--keys", keys]].concat());
    assert_eq!(good.json["verdict"]["outcome"], "accepted", "{good:?}");
    assert_eq!(good.json["claims"]["iss"], ISSUER);
    let unchecked = inspect(&token, &arguments);
    assert_eq!(unchecked.json["verdict"]["outcome"], "signature_unchecked");
    assert_eq!(
        inspect(&token, &[]).json["verdict"]["outcome"],
        "well_formed"
    );
    let late = [&arguments[..], &["--keys", keys, "--at", "4000000000"]].concat();
    let late = inspect(&token, &late);
    assert_eq!(
        (late.code, late.json["verdict"]["code"].as_str()),
        (Some(1), Some("expired"))
    );
    // Another well-formed signature.
    let (signed, _) = token.rsplit_once('.').expect("three parts");
    let forged = format!("{signed}.{}", "A".repeat(86));
    let forged = inspect(&forged, &[&arguments[..], &["--keys", keys]].concat());
    assert_eq!(forged.json["verdict"]["code"], "bad_signature");
    assert_eq!(inspect("not a token", &[]).code, Some(1));

    let check = run(&system, &["policy", "check", policy, "--issuer", ISSUER]).await;
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(
        check.text.contains("route  /*: any valid token"),
        "{check:?}"
    );
    // One key is of a new type, and one fits no algorithm of the issuer.
    let own = set.json["keys"][0].to_string();
    let shared = system.folder().join("shared.json");
    let issuer = format!(
        r#"{{"issuer":"https://other.example","audience":"{AUDIENCE}","profile":"at+jwt","algorithms":"EdDSA",
        "keys":{{"keys":[{own},{{"kty":"new","kid":"later"}},{{"kty":"EC","crv":"P-256","kid":"ec",
        "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}}]}}}}"#
    );
    let text = format!(r#"{{"issuers":[{issuer}],"routes":[{{"path":"/*","access":"token"}}]}}"#);
    std::fs::write(&shared, text).expect("written");
    let check = run(
        &system,
        &["policy", "check", shared.to_str().expect("UTF-8")],
    )
    .await;
    assert_eq!(check.code, Some(0), "{check:?}");
    for unused in [
        r#"keys[1] "later": the key type or curve is not one in use here"#,
        r#"key "ec": no algorithm of the issuer fits it"#,
    ] {
        assert!(check.text.contains(unused), "{check:?}");
    }
    let bad = run(&system, &["policy", "check", keys]).await;
    assert_eq!(bad.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_another_system_are_imported_with_their_hashes() {
    let system = system().await;
    let file = system.folder().join("accounts.ndjson");
    let moved = include_str!("../vectors/passwords/hashes.jsonl");
    // The same password under every kind of hash with a vector.
    let vectors: Vec<Value> = moved
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let mut lines: Vec<_> = vectors
        .iter()
        .enumerate()
        .map(|(place, vector)| {
            let email = format!("user{place}@example.com");
            serde_json::json!({"email": email, "password_hash": vector["hash"]}).to_string()
        })
        .collect();
    lines
        .push(serde_json::json!({"email": EMAIL, "password_hash": vectors[0]["hash"]}).to_string());
    // Verified now, and not in the future: one second late, or in milliseconds.
    let now = SystemClock.read().expect("after 1970").as_secs();
    for (place, verified_at) in [now - 60, now + 3_600, now * 1_000].into_iter().enumerate() {
        let email = format!("verified{place}@example.com");
        let line = serde_json::json!({
            "email": email, "password_hash": vectors[0]["hash"], "verified_at": verified_at,
        });
        lines.push(line.to_string());
    }
    lines.push("{".to_owned());
    std::fs::write(&file, lines.join("\n")).expect("written");
    let file = file.to_str().expect("UTF-8");
    let said = run(&system, &["--json", "users", "import", file]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(said.json["imported"], vectors.len() + 1, "{said:?}");
    assert_eq!(said.json["already_there"], 1);
    let last = lines.len();
    let refused = |line: usize, code: &str| serde_json::json!({"line": line, "code": code});
    let codes = [
        refused(last - 2, "bad_verified_at"),
        refused(last - 1, "bad_verified_at"),
        refused(last, "malformed"),
    ];
    assert_eq!(said.json["refused"], Value::from(codes.to_vec()));
    // Each imported line is listed with the id of its account.
    let accounts = said.json["accounts"].as_array().expect("a list");
    assert_eq!(accounts.len(), vectors.len() + 1);
    let id = accounts[1]["user_id"].as_str().expect("an id");
    let shown = run(&system, &["--json", "users", "show", id]).await;
    assert_eq!(
        (accounts[1]["line"].as_u64(), &shown.json["email"]),
        (Some(2), &"user1@example.com".into())
    );
    for (place, vector) in vectors.iter().enumerate() {
        let email = format!("user{place}@example.com");
        let password = vector["password"].as_str().expect("a password");
        let reply = system.peer().login(&email, password).await;
        assert_eq!(reply.status, 200, "{vector}: {reply:?}");
    }
    let again = run(&system, &["--json", "users", "import", file]).await;
    assert_eq!(again.json["imported"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn django_accounts_are_imported_with_their_hashes() {
    let system = system().await;
    let file = system.folder().join("django.ndjson");
    let vectors: Vec<Value> = include_str!("../vectors/passwords/django.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let email = |vector: &Value| format!("{}@example.com", vector["kind"].as_str().expect("text"));
    let lines: Vec<_> = vectors
        .iter()
        .map(|vector| serde_json::json!({"email": email(vector), "password_hash": vector["hash"]}))
        .map(|line| line.to_string())
        .collect();
    std::fs::write(&file, lines.join("\n")).expect("written");
    let file = file.to_str().expect("UTF-8");
    let said = run(&system, &["--json", "users", "import", file]).await;
    assert_eq!(said.json["refused"][0]["code"], "unusable_hash", "{said:?}");
    assert_eq!(
        said.json["refused"].as_array().map(Vec::len),
        Some(1),
        "{said:?}"
    );
    for vector in &vectors {
        let password = vector["password"].as_str().expect("a password");
        let status = if vector["imports"] == true { 200 } else { 401 };
        let reply = system.peer().login(&email(vector), password).await;
        assert_eq!(reply.status, status, "{vector}: {reply:?}");
        let reply = system
            .peer()
            .login(&email(vector), "another password")
            .await;
        assert_eq!(reply.status, 401, "{vector}: {reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_are_printed_for_each_shell() {
    let system = System::start().await.expect("a system");
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&system, &["completions", shell]).await;
        assert_eq!(script.code, Some(0));
        assert!(script.text.contains("inspect"), "{shell}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cli_lists_and_verifies_the_audit_trail() {
    let system = system().await;
    let peer = system.peer();
    assert_eq!(
        peer.login(EMAIL, "not the password at all").await.status,
        401
    );
    let refused = ["--json", "audit", "list", "--action", "login"];
    let listed = run(&system, &refused).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let lines = listed.json["lines"].as_array().expect("lines");
    assert_eq!(lines.len(), 1, "{listed:?}");
    assert_eq!(lines[0]["outcome"], "wrong_password");
    assert_eq!(lines[0]["genuine"], true);
    let none = run(&system, &["audit", "list", "--outcome", "nothing"]).await;
    assert_eq!(none.code, Some(1), "{none:?}");
    let verified = run(&system, &["--json", "audit", "verify"]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert_eq!(verified.json["findings"], serde_json::json!([]));
    // A year ago no host sealed that day; the CLI does.
    let day = [
        "audit",
        "verify",
        "--from",
        "2025-11-23",
        "--to",
        "2025-11-23",
    ];
    assert_eq!(run(&system, &day).await.code, Some(1), "not sealed");
    let sealed = run(&system, &["--json", "audit", "seal", "--day", "2025-11-23"]).await;
    assert_eq!(
        (sealed.code, &sealed.json["shards"]),
        (Some(0), &serde_json::json!(4))
    );
    assert_eq!(run(&system, &day).await.code, Some(0));
    for wrong in ["2025-02-29", "yesterday"] {
        let said = run(&system, &["audit", "seal", "--day", wrong]).await;
        assert_eq!(said.code, Some(2), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_ends_a_command_quietly() {
    let system = system().await;
    for arguments in [
        &["users", "show", EMAIL][..],
        &["--json", "users", "show", EMAIL],
        &["audit", "list"],
        &["completions", "bash"],
        &["settings"],
        &["users", "show", "unknown"],
        &["--json", "users", "show", "a b"],
    ] {
        let mut command = Command::new(operator_program());
        let mut program = command
            .env_clear()
            .envs(environment(&system.proxy))
            .args(["--actor", "grace"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        drop(program.stdout.take());
        let output = tokio::task::spawn_blocking(move || program.wait_with_output());
        let output = output.await.expect("no panic").expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        assert_eq!(output.stderr, b"", "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_list_is_filtered_by_address_or_user_id() {
    let system = system().await;
    let shown = run(&system, &["--json", "users", "show", EMAIL]).await;
    let id = shown.json["user_id"].as_str().expect("an id").to_owned();
    let lines = |said: &Said| said.json["lines"].as_array().map(Vec::len);
    let list = ["--json", "audit", "list", "--from", "2026-11-23", "--user"];
    let by_id = run(&system, &[&list[..], &[&id]].concat()).await;
    let by_address = run(&system, &[&list[..], &[&EMAIL.to_uppercase()]].concat()).await;
    assert!(lines(&by_id).is_some_and(|count| count > 0), "{by_id:?}");
    assert_eq!(lines(&by_id), lines(&by_address), "{by_address:?}");
    let unknown = run(&system, &[&list[..], &["bob@example.com"]].concat()).await;
    assert_eq!(
        (unknown.code, &unknown.json["outcome"]),
        (Some(1), &"no_account".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_actor_without_a_user_variable_is_the_user_of_the_system() {
    let system = system().await;
    let mut command = Command::new(operator_program());
    command
        .env_clear()
        .envs(environment(&system.proxy))
        .args(["users", "disable", EMAIL])
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.expect("no panic").expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let acts = acts(&system).await;
    let (_, _, actor) = acts.first().expect("an entry");
    assert!(
        actor
            .strip_prefix("operator:AKIDFLOWS;")
            .is_some_and(|user| !user.is_empty() && user != "unknown"),
        "{actor}"
    );
}
