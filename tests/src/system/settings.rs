//! The settings of a host in these tests.

use portcullis_core::token::algorithm::Algorithm;
use portcullis_jwt::SigningKey;

use crate::proxy::{Proxy, REGION};
use crate::sigv4::AccessKey;

/// Whom the host's tokens are for.
pub const AUDIENCE: &str = "https://api.example";

/// The issuer of the host's tokens.
pub const ISSUER: &str = "https://login.example";

/// The name that the signing key has where it is a secret.
pub const SIGNING_SECRET: &str = "portcullis/signing-key";

/// The name that the host's own secret has where it is one.
pub const HOST_SECRET: &str = "portcullis/host-secret";

/// Root keys as that secret holds them.
pub const ROOT_KEYS: &str = r#"{"id":"1","key":"flows-flows-flows-flows-flows-flows-flows"}"#;

/// The access key that the proxy knows.
pub fn access_key() -> AccessKey {
    AccessKey {
        id: "AKIDFLOWS".to_owned(),
        secret: "flows+secret/access=key".to_owned(),
        session_token: Some("flows//session+token==".to_owned()),
    }
}

/// The environment of a host on `proxy`, for a configuration or a process.
pub fn environment(proxy: &Proxy) -> Vec<(String, String)> {
    let key = access_key();
    [
        ("PORTCULLIS_LISTEN", "127.0.0.1:0".to_owned()),
        ("PORTCULLIS_ISSUER", ISSUER.to_owned()),
        ("PORTCULLIS_AUDIENCE", AUDIENCE.to_owned()),
        // One token for every endpoint; the tests of resources separate them.
        ("PORTCULLIS_ACCOUNT_AUDIENCE", AUDIENCE.to_owned()),
        ("PORTCULLIS_DYNAMODB_ENDPOINT", proxy.endpoint()),
        ("PORTCULLIS_SECRETS_ENDPOINT", proxy.endpoint()),
        ("PORTCULLIS_SIGNING_SECRET", SIGNING_SECRET.to_owned()),
        ("PORTCULLIS_HOST_SECRET", HOST_SECRET.to_owned()),
        ("PORTCULLIS_REQUIRE_VERIFIED", "off".to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", key.id),
        ("AWS_SECRET_ACCESS_KEY", key.secret),
        ("AWS_SESSION_TOKEN", key.session_token.unwrap_or_default()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// A new private key, as a secret holds it.
pub fn signing_key() -> String {
    let key = SigningKey::generate(Algorithm::EdDsa).expect("entropy");
    key.to_jwk().expose().clone()
}
