//! JWK thumbprints: RFC 7638, RFC 8037 A.3.

use std::fs;

use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_tests::vectors::folder;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Named {
    id: String,
    jwk: Value,
    thumbprint: String,
}

#[test]
fn jwk_thumbprints_match_the_examples_of_the_rfcs() {
    let text = fs::read_to_string(folder().join("jose/thumbprints.jsonl")).expect("a file");
    let named: Vec<Named> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    assert_eq!(named.len(), 2);
    for Named {
        id,
        jwk,
        thumbprint,
    } in named
    {
        let key = VerifyingKey::parse(jwk.to_string().as_bytes()).expect(&id);
        assert_eq!(key.thumbprint(), thumbprint, "{id}");
    }
}
