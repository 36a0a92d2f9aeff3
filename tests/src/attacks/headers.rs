//! Forbidden header members.

use super::{case, keys, token};
use crate::vectors::Vector;

/// Headers with forbidden members, signed by the right key.
pub(super) fn all() -> Vec<Vector> {
    let key = keys::signing(keys::ED25519);
    let own = keys::public(&key);
    let other = keys::public(&keys::signing(keys::OTHER_ED25519));
    let embedded = format!(r#"{{"alg":"EdDSA","jwk":{other}}}"#);
    let long = format!(r#"{{"alg":"EdDSA","x":"{}"}}"#, "x".repeat(8_192));
    [
        ("plain", r#"{"alg":"EdDSA"}"#, ""),
        ("fully-specified-name", r#"{"alg":"Ed25519"}"#, ""),
        ("escaped-name", r#"{"al\u0067":"\u0045dDSA"}"#, ""),
        (
            "unknown-member",
            r#"{"alg":"EdDSA","x5t":"AAAA","more":{"a":[1]}}"#,
            "",
        ),
        ("blanks", "\r\n { \"alg\" : \"EdDSA\" }\t", ""),
        ("none", r#"{"alg":"none"}"#, "unsupported_algorithm"),
        (
            "none-mixed-case",
            r#"{"alg":"nOnE"}"#,
            "unsupported_algorithm",
        ),
        ("lower-case", r#"{"alg":"eddsa"}"#, "unsupported_algorithm"),
        ("no-algorithm", r#"{"typ":"JWT"}"#, "unsupported_algorithm"),
        (
            "algorithm-no-text",
            r#"{"alg":["EdDSA"]}"#,
            "malformed_header",
        ),
        (
            "algorithm-twice",
            r#"{"alg":"EdDSA","alg":"EdDSA"}"#,
            "malformed_header",
        ),
        (
            "algorithm-twice-escaped",
            r#"{"alg":"EdDSA","\u0061lg":"none"}"#,
            "malformed_header",
        ),
        (
            "member-twice-below",
            r#"{"alg":"EdDSA","x":{"a":1,"a":1}}"#,
            "malformed_header",
        ),
        ("trailing-value", r#"{"alg":"EdDSA"}{}"#, "malformed_header"),
        ("array", r#"["EdDSA"]"#, "malformed_header"),
        (
            "byte-order-mark",
            "\u{feff}{\"alg\":\"EdDSA\"}",
            "malformed_header",
        ),
        ("embedded-key", &embedded, "forbidden_header_jwk"),
        (
            "key-url",
            r#"{"alg":"EdDSA","jku":"https://evil.example/jwks"}"#,
            "forbidden_header_jku",
        ),
        (
            "cert-url",
            r#"{"alg":"EdDSA","x5u":"https://evil.example/c"}"#,
            "forbidden_header_x5u",
        ),
        (
            "critical",
            r#"{"alg":"EdDSA","crit":["exp"],"exp":1}"#,
            "forbidden_header_crit",
        ),
        (
            "critical-empty",
            r#"{"alg":"EdDSA","crit":[]}"#,
            "forbidden_header_crit",
        ),
        (
            "unencoded",
            r#"{"alg":"EdDSA","b64":false}"#,
            "forbidden_header_b64",
        ),
        (
            "encoded-said-so",
            r#"{"alg":"EdDSA","b64":true}"#,
            "forbidden_header_b64",
        ),
        (
            "nested",
            r#"{"alg":"EdDSA","cty":"JWT"}"#,
            "forbidden_header_cty",
        ),
        (
            "compressed",
            r#"{"alg":"EdDSA","zip":"DEF"}"#,
            "forbidden_header_zip",
        ),
        (
            "name-no-text",
            r#"{"alg":"EdDSA","kid":1}"#,
            "malformed_header",
        ),
        (
            "name-empty",
            r#"{"alg":"EdDSA","kid":""}"#,
            "malformed_header",
        ),
        (
            "name-a-path",
            r#"{"alg":"EdDSA","kid":"../../dev/null"}"#,
            "unknown_key",
        ),
        (
            "name-a-query",
            r#"{"alg":"EdDSA","kid":"' OR 1=1 --"}"#,
            "unknown_key",
        ),
        ("too-large", &long, "token_too_large"),
    ]
    .map(|(id, header, reason)| case(&format!("header-{id}"), &token(header, &key), &own, reason))
    .to_vec()
}
