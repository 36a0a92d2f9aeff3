//! Google's Wycheproof vectors, as questions.
//!
//! Those of JSON Web Signatures are asked as they stand; the raw ones are asked with their message
//! as signing input, which is text here: a message that is not UTF-8 is left out, and counted.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};
use wycheproof_ng_ecdsa::TestName as Ecdsa;
use wycheproof_ng_eddsa::TestName as Eddsa;
use wycheproof_ng_kdf_jose::json_web::TestName as JsonWeb;
use wycheproof_ng_rsa_signature::rsa_pkcs1_verify::TestName as Pkcs1;
use wycheproof_ng_rsa_signature::rsa_pss_verify::TestName as Pss;
use wycheproof_ng_symmetric::mac::TestName as Mac;

use crate::vectors::{Expected, Vector, vector};

/// All vectors.
#[derive(Debug, Default)]
pub struct Wycheproof {
    /// The questions.
    pub vectors: Vec<Vector>,
    /// How many raw vectors have a message that is no text.
    pub not_text: usize,
}

/// The sets of raw signatures, with the algorithm to check them by. Those with another salt length
/// or mask than JOSE's are here too: none of them may pass.
const RAW: [(&str, &str); 22] = [
    ("ecdsa_secp256r1_sha256_p1363", "ES256"),
    ("ecdsa_secp384r1_sha384_p1363", "ES384"),
    ("ed25519", "EdDSA"),
    ("hmac_sha256", "HS256"),
    ("rsa_signature_2048_sha256", "RS256"),
    ("rsa_signature_2048_sha384", "RS384"),
    ("rsa_signature_2048_sha512", "RS512"),
    ("rsa_signature_3072_sha256", "RS256"),
    ("rsa_signature_3072_sha384", "RS384"),
    ("rsa_signature_3072_sha512", "RS512"),
    ("rsa_signature_4096_sha256", "RS256"),
    ("rsa_signature_4096_sha384", "RS384"),
    ("rsa_signature_4096_sha512", "RS512"),
    ("rsa_pss_2048_sha256_mgf1_32", "PS256"),
    ("rsa_pss_2048_sha384_mgf1_48", "PS384"),
    ("rsa_pss_3072_sha256_mgf1_32", "PS256"),
    ("rsa_pss_4096_sha256_mgf1_32", "PS256"),
    ("rsa_pss_4096_sha384_mgf1_48", "PS384"),
    ("rsa_pss_4096_sha512_mgf1_64", "PS512"),
    ("rsa_pss_2048_sha256_mgf1_0", "PS256"),
    ("rsa_pss_2048_sha256_mgf1sha1_20", "PS256"),
    ("rsa_pss_4096_sha512_mgf1_32", "PS512"),
];

const JOSE: [&str; 3] = ["json_web_signature", "json_web_key", "json_web_crypto"];

/// Every vector that asks about a signature.
///
/// # Panics
///
/// If the data does not have the form it has.
pub fn all() -> Wycheproof {
    let mut all = Wycheproof::default();
    for set in JOSE {
        all.vectors.extend(jose(set));
    }
    for (set, algorithm) in RAW {
        all.add_raw(set, algorithm);
    }
    all
}

fn groups(set: &str) -> Vec<Value> {
    let data: Value = serde_json::from_str(data(set)).expect(set);
    data["testGroups"].as_array().expect("groups").clone()
}

fn data(set: &str) -> &'static str {
    let none = "a set of that name";
    match set {
        "ed25519" => set.parse::<Eddsa>().expect(none).json_data(),
        "hmac_sha256" => set.parse::<Mac>().expect(none).json_data(),
        ecdsa if ecdsa.starts_with("ecdsa") => set.parse::<Ecdsa>().expect(none).json_data(),
        jose if jose.starts_with("json_web") => set.parse::<JsonWeb>().expect(none).json_data(),
        pss if pss.starts_with("rsa_pss") => set.parse::<Pss>().expect(none).json_data(),
        _ => set.parse::<Pkcs1>().expect(none).json_data(),
    }
}

fn expected(test: &Value) -> Expected {
    match test["result"].as_str() {
        Some("valid") => Expected::Accept,
        // An "acceptable" vector is rejected.
        Some("invalid" | "acceptable") => Expected::Reject(None),
        other => panic!("no result here: {other:?}"),
    }
}

fn jose(set: &str) -> Vec<Vector> {
    let mut vectors = Vec::new();
    for group in groups(set) {
        let keys = [&group["public"], &group["private"]];
        let key = keys.into_iter().find(|key| key.is_object()).expect("a key");
        let member = if key["keys"].is_array() {
            "jwks"
        } else {
            "jwk"
        };
        // Those without one are about encryption.
        let tests = group["tests"].as_array().expect("tests").iter();
        for test in tests.filter(|test| !test["jws"].is_null()) {
            let token = match &test["jws"] {
                Value::String(compact) => compact.clone(),
                serialized => serialized.to_string(),
            };
            let id = format!("{set}-{}", test["tcId"]);
            vectors.push(vector(
                &id,
                json!({"token": token, member: key}),
                expected(test),
            ));
        }
    }
    vectors
}

impl Wycheproof {
    fn add_raw(&mut self, set: &str, algorithm: &str) {
        for group in groups(set) {
            for test in group["tests"].as_array().expect("tests") {
                let Ok(input) = String::from_utf8(hex(&test["msg"])) else {
                    self.not_text += 1;
                    continue;
                };
                let (jwk, signature) = match algorithm {
                    "HS256" => (json!({"kty": "oct", "k": base64url(&test["key"])}), "tag"),
                    "EdDSA" => (group["publicKeyJwk"].clone(), "sig"),
                    "ES256" => (ec(&group["publicKey"], "P-256"), "sig"),
                    "ES384" => (ec(&group["publicKey"], "P-384"), "sig"),
                    _ => (rsa(&group["publicKey"]), "sig"),
                };
                let raw = json!({"alg": algorithm, "input": input, "signature": test[signature]});
                let id = format!("{set}-{}", test["tcId"]);
                self.vectors
                    .push(vector(&id, json!({"raw": raw, "jwk": jwk}), expected(test)));
            }
        }
    }
}

fn ec(key: &Value, curve: &str) -> Value {
    let point = hex(&key["uncompressed"]);
    let (x, y) = point[1..].split_at(point.len() / 2);
    let [x, y] = [x, y].map(|octets| BASE64URL_NOPAD.encode(octets));
    json!({"kty": "EC", "crv": curve, "x": x, "y": y})
}

fn rsa(key: &Value) -> Value {
    let number = |name: &str| {
        let octets = hex(&key[name]);
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        BASE64URL_NOPAD.encode(&octets[zeros..])
    };
    json!({"kty": "RSA", "n": number("modulus"), "e": number("publicExponent")})
}

fn hex(text: &Value) -> Vec<u8> {
    let text = text.as_str().expect("hexadecimal text");
    HEXLOWER.decode(text.as_bytes()).expect("hexadecimal text")
}

fn base64url(text: &Value) -> String {
    BASE64URL_NOPAD.encode(&hex(text))
}
