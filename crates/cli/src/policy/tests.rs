use proptest::prelude::*;

use super::*;

const TOML: &str = include_str!("../../../../examples/policy/portcullis.toml");

fn checked(text: &str, form: Form) -> Checked {
    Checked::of_text(
        text.to_owned(),
        form,
        Some("https://us"),
        &[],
        Severity::Warning,
    )
}

fn lines(text: &str, form: Form) -> Vec<String> {
    let checked = checked(text, form);
    let lines = checked.lines(Path::new("p"));
    lines.lines().map(str::to_owned).collect()
}

#[test]
fn toml_and_the_json_built_from_it_are_the_same_policy() {
    let toml = checked(TOML, Form::Toml);
    let (source, policy) = toml.accepted.expect("the example is valid");
    let json = source.root.to_json();
    let again = checked(&json, Form::Json).accepted.expect("valid JSON");
    assert_eq!(format!("{policy:?}"), format!("{:?}", again.1));
    assert_eq!(again.0.root.to_json(), json);
    let compact: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(compact["issuers"][0]["issuer"], "$PORTCULLIS_ISSUER");
}

#[test]
fn several_errors_are_found_at_once_with_line_column_and_advice() {
    let text = TOML
        .replacen("scopes = ", "scope = ", 1)
        .replacen("access = \"open\"", "access = \"opne\"", 1)
        .replacen("profile", "max_lifetime = 90000\nprofile", 1);
    let found = lines(&text, Form::Toml);
    let errors = found.iter().filter(|line| line.starts_with("p:"));
    assert_eq!(errors.count(), 3, "{found:#?}");
    for (line, number) in text.lines().zip(1..) {
        let wanted = match line {
            _ if line.starts_with("scope = ") => "unknown_member",
            _ if line.contains("opne") => "invalid",
            _ if line.contains("90000") => "invalid",
            _ => continue,
        };
        let start = format!("p:{number}:1: error[{wanted}]");
        let is_there = found.iter().any(|line| line.starts_with(&start));
        assert!(is_there, "{start}: {found:#?}");
    }
    for help in ["did you mean `scopes`?", "did you mean \"open\"?"] {
        assert!(found.contains(&format!("  help: {help}")), "{found:#?}");
    }
}

#[test]
fn an_error_of_the_parser_is_at_the_line_of_its_member() {
    let issuer = r#"{"issuer": "https://us", "audience": "a", "algorithms": "EdDSA", "keys": "document", "profile": "at+jwt"}"#;
    let routes = r#"{"path": "/a", "access": "token"}"#;
    let with = |issuers: &str, routes: &str, more: &str| {
        format!("{{\"issuers\": [\n{issuers}],\n\"routes\": [\n{routes}]{more}}}")
    };
    let good = with(issuer, routes, "");
    assert_eq!(lines(&good, Form::Json), [""; 0]);
    let bent = |from: &str, to: &str| good.replacen(from, to, 1);
    let more = |text: &str| with(issuer, routes, text);
    for (text, start) in [
        (bent("/a", "/:id"), "4:2: error[invalid]: routes[0].path"),
        (bent("/a", "a"), "4:2: error[invalid]: routes[0].path"),
        (
            bent(r#""path": "/a", "#, ""),
            "4:1: error[missing_member]: routes[0].path",
        ),
        (
            bent("token", r#"open", "scopes": "x"#),
            "4:34: error[invalid]: routes[0].scopes",
        ),
        (
            bent(r#"token""#, r#"token", "serve_stale": 3601"#),
            "4:35: error[invalid]: routes[0].serve_stale",
        ),
        (
            bent(r#"token""#, r#"token", "cors": {}"#),
            "4:35: error[invalid]: routes[0].cors.origins",
        ),
        (
            bent(
                r#"token""#,
                r#"token", "cors": {"max_agee": 1, "origins": "*"}"#,
            ),
            "4:44: error[unknown_member]: routes[0].cors.max_agee",
        ),
        (
            with(issuer, &format!("{routes},\n{routes}"), ""),
            "5:2: error[invalid]: routes[1].path",
        ),
        (
            bent("at+jwt", "jwt"),
            "2:86: error[invalid]: issuers[0].profile",
        ),
        (
            with(&format!("{issuer},\n{issuer}"), routes, ""),
            "3:2: error[invalid]: issuers[1].issuer",
        ),
        (with("", routes, ""), "1:2: error[invalid]: issuers: "),
        (
            more(",\n\"cors\": {\"origins\": \"null\"}"),
            "5:10: error[invalid]: cors.origins",
        ),
        (
            more(",\n\"keys\": {\"poll\": 0}"),
            "5:1: error[invalid]: keys ",
        ),
        (
            more(",\n\"headers\": {\"pass\": \"x-auth-subject\"}"),
            "5:1: error[invalid]: headers",
        ),
        (
            more(",\n\"routs\": []"),
            "5:1: error[unknown_member]: routs",
        ),
        (
            more(",\n\"keys\": {},\n\"keys\": {}"),
            "6:1: error[syntax]: JSON: the member \"keys\" is repeated",
        ),
        (more(",\n]"), "5:1: error[syntax]: JSON: "),
    ] {
        let found = lines(&text, Form::Json);
        let start = format!("p:{start}");
        let first = found.first().map(String::as_str).unwrap_or_default();
        assert!(first.starts_with(&start), "{start}\n{text}\n{found:#?}");
    }
}

#[test]
fn toml_syntax_and_values_that_json_lacks_have_a_place() {
    for (text, start) in [
        ("a = 1\na = 2", "p:2:1: error[syntax]: TOML: "),
        ("a = ", "p:1:5: error[syntax]: TOML: "),
        ("\n\n[a", "p:3:3: error[syntax]: TOML: "),
        (
            "a = 1\nb = 1979-05-27",
            "p:2:5: error[syntax]: a policy has no dates",
        ),
        (
            "a = inf",
            "p:1:5: error[syntax]: a policy has no such number",
        ),
        ("é = \"é\"", "p:1:1: error[syntax]: TOML: "),
    ] {
        let found = lines(text, Form::Toml);
        let first = found.first().map(String::as_str).unwrap_or_default();
        assert!(first.starts_with(start), "{start}: {found:?}");
    }
}

#[test]
fn nesting_is_limited_in_both_forms() {
    for (text, form) in [
        (
            format!("a = {}1{}", "[".repeat(70), "]".repeat(70)),
            Form::Toml,
        ),
        (format!("a{} = 1", ".a".repeat(70)), Form::Toml),
        (format!("a{} = 1", ".a".repeat(100_000)), Form::Toml),
        (format!("{}1{}", "[".repeat(70), "]".repeat(70)), Form::Json),
        (format!("{}1", "[".repeat(100_000)), Form::Json),
    ] {
        let found = lines(&text, form);
        let first = found.first().map(String::as_str).unwrap_or_default();
        assert!(first.contains("error[syntax]"), "{form:?}: {first}");
        assert!(!first.contains("not valid JSON"), "{form:?}: {first}");
    }
}

#[test]
fn a_missing_issuer_of_the_host_names_the_option() {
    let checked = Checked::of_text(TOML.to_owned(), Form::Toml, None, &[], Severity::Warning);
    let lines = checked.lines(Path::new("p"));
    assert!(
        checked.accepted.is_none() && lines.contains("--issuer URL"),
        "{lines}"
    );
}

/// Lines of a policy and arbitrary text between them.
fn any_toml() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "[[routes]]",
        "[[issuers]]",
        "path = \"/a\"",
        "path = \"/A/*\"",
        "access = \"token\"",
        "access = \"open\"",
        "issuer = \"https://us\"",
        "audience = \"a\"",
        "algorithms = \"EdDSA\"",
        "keys = \"document\"",
        "profile = \"at+jwt\"",
        "methods = [\"GET\"]",
        "[revocations]",
        "hard = 1",
        "[cors]",
        "origins = \"*\"",
        "max_age = 99999999",
        "routes = 1",
        "\"a.b\" = {}",
        "x = [{}, {y = 1}]",
        "n = 99999999999999999999",
        "\u{fe0f} = '''",
        "serve_stale = -1",
        "[keys]",
        "[headers]",
    ]);
    let line = prop_oneof![4 => words.prop_map(str::to_owned), 1 => ".{0,12}"];
    prop::collection::vec(line, 0..24).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn any_toml_text_is_a_policy_or_has_errors_at_places_inside_the_text(text in any_toml()) {
        let checked = checked(&text, Form::Toml);
        let is_refused = checked.findings.iter().any(Finding::is_error);
        prop_assert!(checked.accepted.is_some() != is_refused);
        for finding in &checked.findings {
            prop_assert!(finding.span.start <= finding.span.end && finding.span.end <= text.len());
            prop_assert!(text.is_char_boundary(finding.span.start));
        }
    }

    #[test]
    fn any_json_text_is_a_policy_or_has_errors_at_places_inside_the_text(
        text in r#"[\[\]{}":,a-c0-9 \n\\.é]{0,40}"#,
    ) {
        let checked = checked(&text, Form::Json);
        let is_refused = checked.findings.iter().any(Finding::is_error);
        prop_assert!(checked.accepted.is_some() != is_refused);
        for finding in &checked.findings {
            prop_assert!(finding.span.end <= text.len());
            prop_assert!(text.is_char_boundary(finding.span.start));
        }
    }
}
