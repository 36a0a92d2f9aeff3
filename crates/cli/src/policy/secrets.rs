//! Secrets in a policy. A Worker variable is no place for one: everybody who may read the
//! configuration of the Worker reads it.

use core::ops::Range;

use super::findings::{Finding, Severity};
use super::node::{Member, Node, join};

/// The members of a private JWK (RFC 7518 §6.2.2, §6.3.2, RFC 8037 §2).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// The public members of a JWK: their base64url may look like a secret key.
const PUBLIC: [&str; 9] = ["n", "e", "x", "y", "kid", "x5c", "x5t", "x5t#S256", "alg"];

/// The name of the rule.
pub(crate) const SECRET: &str = "secret";

/// The secrets in `root`, as findings of one severity. No message quotes one.
pub(crate) fn find(root: &Node, severity: Severity) -> Vec<Finding> {
    let mut findings = Vec::new();
    search(root, "", &root.span, &mut findings);
    for finding in &mut findings {
        finding.severity = severity;
    }
    findings
}

fn search(node: &Node, path: &str, name: &Range<usize>, findings: &mut Vec<Finding>) {
    let is_key = node.get("kty").is_some();
    let kind = node.get("kty").and_then(Node::as_text);
    let mut add = |span: &Range<usize>, place: &str, what: &str, advice: &str| {
        let message = format!("{place}: {what}");
        findings.push(Finding::error(SECRET, span.clone(), message).with_advice(advice));
    };
    if kind.is_some_and(|kind| kind.eq_ignore_ascii_case("oct"))
        || is_key && node.get("k").is_some()
    {
        let advice = "sign with a key pair (EdDSA, ES256, RS256) and put the public key here: a reader of an \
                      HS256 key can sign tokens";
        add(name, path, "a symmetric key is a secret", advice);
    }
    for Member { name, span, .. } in node.members() {
        let place = join(path, name);
        if is_key && PRIVATE.contains(&name.as_str()) {
            let advice = "replace this key, because it is no longer secret; put only the public members here";
            add(span, &place, "a member of a private key", advice);
        }
    }
    for Member { name, span, value } in node.members() {
        if !(is_key && PUBLIC.contains(&name.as_str())) {
            search(value, &join(path, name), span, findings);
        }
    }
    for (at, element) in node.elements().iter().enumerate() {
        search(element, &format!("{path}[{at}]"), &element.span, findings);
    }
    if let Some(what) = node.as_text().and_then(secret_in) {
        let advice = "remove it and replace the secret; secrets of a Worker are set with `wrangler secret put`";
        let message = format!("{path}: {what}");
        findings.push(Finding::error(SECRET, name.clone(), message).with_advice(advice));
    }
}

/// The kind of secret that a text looks like.
fn secret_in(text: &str) -> Option<&'static str> {
    if text.contains("PRIVATE KEY-----") {
        return Some("looks like a private key in PEM");
    }
    // The members of a JWK that is hidden in a text.
    if text.contains(r#""kty""#) && (text.contains(r#""d""#) || text.contains(r#""k""#)) {
        return Some("looks like a private JWK");
    }
    let is_letter =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '=');
    let mut words = text.split(|letter| !is_letter(letter));
    words.find_map(|word| {
        let has = |class: fn(&u8) -> bool| word.as_bytes().iter().any(class);
        let is_mixed =
            has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
        // A path has a slash in front.
        if word.len() == 40 && is_mixed && !word.starts_with('/') {
            return Some("looks like an AWS secret access key");
        }
        let is_id = word.len() == 20 && (word.starts_with("AKIA") || word.starts_with("ASIA"));
        let is_id = is_id
            && word
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        is_id.then_some("looks like an AWS access key id")
    })
}

#[cfg(test)]
mod tests {
    use super::super::source::{Form, Source};
    use super::*;

    fn found(json: &str) -> Vec<String> {
        let source = Source::parse(json, Form::Json).expect("JSON");
        find(&source.root, Severity::Error)
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    #[test]
    fn each_private_member_of_a_jwk_is_a_secret() {
        for name in PRIVATE {
            let json =
                format!(r#"{{"keys": [{{"kty": "RSA", "n": "AQAB", "{name}": "SECRETVALUE"}}]}}"#);
            let found = found(&json);
            assert_eq!(
                found,
                [format!("keys[0].{name}: a member of a private key")]
            );
        }
        assert_eq!(
            found(r#"{"keys": [{"kty": "oct", "k": "SECRETVALUE"}]}"#),
            ["keys[0]: a symmetric key is a secret"]
        );
        assert_eq!(
            found(r#"{"keys": [{"kty": "OKP", "k": "SECRETVALUE"}]}"#).len(),
            1
        );
        // The name alone means nothing outside of a JWK.
        assert_eq!(found(r#"{"d": 1, "k": "x"}"#), [""; 0]);
    }

    #[test]
    fn a_text_that_looks_like_a_secret_is_one_and_a_public_key_is_none() {
        for (text, is_secret) in [
            ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", true),
            ("key: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY.", true),
            ("AKIAIOSFODNN7EXAMPLE", true),
            ("ASIAIOSFODNN7EXAMPLE", true),
            ("-----BEGIN PRIVATE KEY-----\\nMII", true),
            ("-----BEGIN EC PRIVATE KEY-----", true),
            (r#"{\"kty\":\"OKP\",\"d\":\"x\"}"#, true),
            ("-----BEGIN PUBLIC KEY-----", false),
            ("/Jalr7UtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", false),
            ("da39a3ee5e6b4b0d3255bfef95601890afd80709", false),
            ("https://api.example/a/very/long/path/1/Aa", false),
            ("AKIAIOSFODNN7EXAMPL", false),
        ] {
            let found = found(&format!(r#"{{"a": "{text}"}}"#));
            assert_eq!(!found.is_empty(), is_secret, "{text}");
            assert!(
                found.iter().all(|message| !message.contains(text)),
                "{found:?}"
            );
        }
        let public = r#"{"kty": "EC", "x": "wJalrXUtnFEMIaK7MDENGabPxRfiCYEXAMPLEKEY", "kid": "wJalrXUtnFEMIaK7MDENGabPxRfiCYEXAMPLEKEY"}"#;
        assert_eq!(found(public), [""; 0]);
    }
}
