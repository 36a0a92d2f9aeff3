//! The commands of `portcullis policy` as a program, without a store and without settings.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use portcullis_tests::program::operator_program;
use serde_json::Value;

/// The policy of the examples.
const EXAMPLE: &str = include_str!("../../examples/policy/portcullis.toml");
/// The table of requests of the examples.
const TESTS: &str = include_str!("../../examples/policy/policy-tests.toml");
/// The issuer of the host.
const ISSUER: &str = "https://login.example";

/// A folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let own = format!("portcullis-policy-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(own);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let file = self.0.join(name);
        fs::write(&file, text).expect("written");
        file.to_str().expect("UTF-8").to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).expect("JSON")
    }
}

fn policy(arguments: &[&str]) -> Ran {
    let mut command = Command::new(operator_program());
    command
        .env_clear()
        .arg("policy")
        .args(arguments)
        .stdin(Stdio::null());
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("it runs");
    Ran {
        code: status.code(),
        out: String::from_utf8(stdout).expect("UTF-8"),
        err: String::from_utf8(stderr).expect("UTF-8"),
    }
}

/// A policy with `routes` as JSON.
fn with_routes(routes: &str) -> String {
    format!(
        r#"{{"issuers": [{{"issuer": "$PORTCULLIS_ISSUER", "audience": "api", "algorithms": "EdDSA",
            "keys": "document", "profile": "at+jwt"}}], "routes": [{routes}]}}"#
    )
}

#[test]
fn a_toml_policy_is_checked_and_built_into_the_json_of_the_edge() {
    let folder = Folder::new("build");
    let toml = folder.write("portcullis.toml", EXAMPLE);
    let check = policy(&["check", &toml, "--issuer", ISSUER]);
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(
        check.out.contains("route  /*: any valid token"),
        "{check:?}"
    );

    let json = folder.path("policy.json");
    let build = policy(&["build", &toml, "-o", &json]);
    assert_eq!(build.code, Some(0), "{build:?}");
    let text = fs::read_to_string(&json).expect("written");
    assert!(
        build
            .out
            .contains(&format!("{} bytes", text.trim_end().len())),
        "{build:?}"
    );
    assert_eq!(policy(&["check", &json, "--issuer", ISSUER]).out, check.out);
    // The JSON alone is on standard output.
    let shown = policy(&["build", &toml]);
    assert_eq!(shown.out, text, "{shown:?}");
    assert!(
        shown.err.contains("bytes of JSON for PORTCULLIS_POLICY"),
        "{shown:?}"
    );
    let parsed: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(parsed["routes"][3]["path"], "/*");
}

#[test]
fn a_policy_above_the_limit_of_a_worker_variable_is_built_with_a_warning() {
    let folder = Folder::new("size");
    let of_size = |bytes: usize| {
        let empty = with_routes(r#"{"path": "/", "access": "open"}"#);
        let file = folder.write("p.json", &empty);
        let json = policy(&["--json", "build", &file]).json();
        let own = usize::try_from(json["bytes"].as_u64().expect("a size")).expect("small");
        let path = format!("/{}", "a".repeat(bytes - own));
        let file = folder.write("p.json", &empty.replace("\"/\"", &format!("\"{path}\"")));
        policy(&["--json", "build", &file]).json()
    };
    for (bytes, is_large) in [(5120, false), (5121, true)] {
        let json = of_size(bytes);
        assert_eq!(
            (json["bytes"].as_u64(), json["too_large"].as_bool()),
            (Some(bytes as u64), Some(is_large))
        );
    }
}

#[test]
fn a_policy_with_a_secret_is_not_built_and_the_secret_is_not_printed() {
    let folder = Folder::new("secret");
    let issuer = |key: &str| {
        format!(
            "[[issuers]]\nissuer = \"https://us\"\naudience = \"api\"\nprofile = \"at+jwt\"\n{key}\n\
             [[routes]]\npath = \"/*\"\naccess = \"token\"\n"
        )
    };
    let secret = "U".repeat(43);
    let symmetric = issuer(&format!(
        "algorithms = \"HS256\"\nkeys = {{ keys = [{{ kty = \"oct\", kid = \"a\", k = \"{secret}\" }}] }}"
    ));
    let public = "kty = \"OKP\", crv = \"Ed25519\", kid = \"a\", x = \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"";
    let private = issuer(&format!(
        "algorithms = \"EdDSA\"\nkeys = {{ keys = [{{ {public}, d = \"{secret}\" }}] }}"
    ));
    let aws = issuer("algorithms = \"EdDSA\"\nkeys = \"document\"")
        .replace("\"api\"", "\"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\"");
    // The parser of the edge accepts no private key at all.
    for (text, code) in [(symmetric, 0), (private, 1), (aws, 0)] {
        let file = folder.write("p.toml", &text);
        let output = folder.path("out.json");
        let build = policy(&["build", &file, "-o", &output]);
        assert_eq!(build.code, Some(1), "{build:?}");
        assert!(build.out.contains("error[secret]"), "{build:?}");
        assert!(!Path::new(&output).exists(), "nothing is written");
        let check = policy(&["check", &file]);
        assert_eq!(check.code, Some(code), "{check:?}");
        assert!(check.out.contains("warning[secret]"), "{check:?}");
        for said in [&build, &check] {
            let all = format!("{}{}", said.out, said.err);
            let lines: Vec<_> = all
                .lines()
                .filter(|line| line.contains("[secret]"))
                .collect();
            assert!(
                !lines
                    .iter()
                    .any(|line| line.contains(&secret) || line.contains("wJalr")),
                "{lines:?}"
            );
        }
    }
    let good = issuer(&format!(
        "algorithms = \"EdDSA\"\nkeys = {{ keys = [{{ {public} }}] }}"
    ));
    assert_eq!(
        policy(&["build", &folder.write("p.toml", &good)]).code,
        Some(0)
    );
}

#[test]
fn check_and_build_refuse_a_policy_that_opens_what_it_seems_to_guard() {
    let folder = Folder::new("holes");
    for (routes, code, path) in [
        (
            r#"{"path": "/a", "methods": ["POST"], "access": "open"},
               {"path": "/a", "methods": ["GET"], "access": "token"}"#,
            "open-method",
            "/a",
        ),
        (
            r#"{"path": "/Admin/*", "access": "open"}, {"path": "/admin/*", "access": "token"}"#,
            "twin-access",
            "/admin/*",
        ),
        (
            r#"{"path": "/Pay", "methods": "GET", "access": "token"},
               {"path": "/pay", "methods": "POST", "access": "token"}"#,
            "dead-route",
            "",
        ),
    ] {
        let file = folder.write("p.json", &with_routes(routes));
        let check = policy(&["check", &file, "--issuer", ISSUER]);
        assert_eq!(check.code, Some(1), "{check:?}");
        assert!(check.out.contains(&format!("error[{code}]")), "{check:?}");
        assert_eq!(policy(&["build", &file]).code, Some(1));
        let accept = format!("{code}={path}");
        let accepted = policy(&["check", &file, "--issuer", ISSUER, "--accept", &accept]);
        // A dead route has no exception: it does nothing.
        assert_eq!(
            accepted.code,
            Some(i32::from(path.is_empty())),
            "{accepted:?}"
        );
    }
    let clean = folder.write(
        "p.json",
        &with_routes(r#"{"path": "/*", "access": "token"}"#),
    );
    let unused = policy(&[
        "check",
        &clean,
        "--issuer",
        ISSUER,
        "--accept",
        "open-method=/a",
    ]);
    assert_eq!(unused.code, Some(1), "{unused:?}");
}

#[test]
fn check_prints_several_errors_with_line_column_and_advice() {
    let folder = Folder::new("errors");
    let text = EXAMPLE.replacen("scopes = ", "scope = ", 1).replacen(
        "access = \"open\"",
        "acess = \"open\"",
        1,
    );
    let file = folder.write("p.toml", &text);
    let check = policy(&["check", &file, "--issuer", ISSUER]);
    assert_eq!(check.code, Some(1), "{check:?}");
    for part in [
        "scope is not known",
        "did you mean `scopes`?",
        "access is not there",
    ] {
        assert!(check.out.contains(part), "{part}: {check:?}");
    }
    let json = policy(&["--json", "check", &file, "--issuer", ISSUER]).json();
    let findings = json["findings"].as_array().expect("a list");
    assert!(
        findings.len() >= 2 && findings.iter().all(|one| one["line"].as_u64() > Some(1)),
        "{json}"
    );
    let broken = policy(&[
        "check",
        &folder.write("p.toml", "a = \n"),
        "--issuer",
        ISSUER,
    ]);
    assert!(
        broken.code == Some(1) && broken.out.contains("p.toml:1:5: error[syntax]"),
        "{broken:?}"
    );
    assert_eq!(policy(&["check", &folder.path("none.toml")]).code, Some(2));
}

#[test]
fn explain_shows_each_step_of_a_decision() {
    let folder = Folder::new("explain");
    let file = folder.write("p.toml", EXAMPLE);
    let explain = |method: &str, url: &str, more: &[&str]| {
        let common = [
            "--json", "explain", method, url, "--policy", &file, "--issuer", ISSUER,
        ];
        policy(&[&common[..], more].concat())
    };
    let twin = explain("POST", "/Articles/1", &[]);
    let json = twin.json();
    assert_eq!(
        (twin.code, json["decision"].as_str()),
        (Some(1), Some("missing_token"))
    );
    assert_eq!(json["routes"][0]["pattern"], "/*");
    assert_eq!(
        (&json["routes"][1]["pattern"], &json["routes"][1]["twin"]),
        (&Value::from("/articles/*"), &Value::from(true))
    );
    assert_eq!(json["requirement"]["scopes"][0], "articles");

    let open = explain(
        "GET",
        "https://edge.example/articles/1?a=b",
        &["-H", "X-Auth-Subject: root"],
    );
    let json = open.json();
    assert_eq!(
        (open.code, json["decision"].as_str()),
        (Some(0), Some("allow"))
    );
    assert_eq!(json["dropped"][0], "x-auth-subject");
    assert_eq!(json["headers"]["x-forwarded-host"], "edge.example");

    let bad = explain("GET", "/a/%2e%2e/b", &["--token", "not-a-token"]);
    assert_eq!(
        (
            bad.json()["decision"].as_str(),
            bad.json()["status"].as_u64()
        ),
        (Some("bad_path"), Some(400))
    );
    let malformed = explain("GET", "/a", &["--token", "not-a-token"]);
    assert_eq!(malformed.json()["token"], "malformed_token");
    assert!(
        !malformed.out.contains("not-a-token"),
        "a token is never printed"
    );
}

#[test]
fn a_table_of_requests_passes_or_stops_at_the_first_difference() {
    let folder = Folder::new("suite");
    let file = folder.write("p.toml", EXAMPLE);
    let suite = |text: &str| {
        let tests = folder.write("tests.toml", text);
        policy(&["test", &tests, "--policy", &file, "--issuer", ISSUER])
    };
    let passed = suite(TESTS);
    assert_eq!(passed.code, Some(0), "{passed:?}");
    let count = TESTS.matches("[[test]]").count();
    assert_eq!(passed.out, format!("{count} tests passed\n"));

    let failed = suite(&TESTS.replacen("insufficient_scope", "allow", 1));
    assert_eq!(failed.code, Some(1), "{failed:?}");
    for part in [
        "- expected: allow",
        "+ found:    insufficient_scope 403",
        "tests.toml:",
    ] {
        assert!(failed.out.contains(part), "{part}: {failed:?}");
    }
    for (text, part) in [
        ("", "at least one [[test]]"),
        (
            "[[test]]\nurl = \"/\"\nexpects = \"allow\"",
            "did you mean `expect`?",
        ),
        ("[[test]]\nurl = \"/\"", "test[0].expect is not a text"),
        (
            "[[test]]\nurl = \"/\"\nexpect = \"allow\"\nclaims = 1",
            "claims is not a table",
        ),
        ("[[tests]]\nurl = \"/\"", "did you mean `test`?"),
    ] {
        let invalid = suite(text);
        assert_eq!(invalid.code, Some(2), "{invalid:?}");
        assert!(invalid.err.contains(part), "{part}: {invalid:?}");
    }
}
