//! Public test keys of the standards. Their signatures are deterministic, so results can be
//! compared.

use portcullis_core::secret::Secret;
use portcullis_jwt::SigningKey;
use portcullis_service::ports::Signer as _;

/// RFC 8037 A.1.
pub const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// RFC 8032 §7.1, test 2.
pub const OTHER_ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}"#;

/// RFC 6979 A.2.5.
pub const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y","y":"eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk","d":"ya-p2EW6dRZrXCFXZ7HWk05Qw9s26JsSe4piKxIPZyE"}"#;

/// RFC 7515 A.2.1.
pub const RSA: &str = include_str!("../../crates/jwt/testdata/rfc7515-a2.jwk.json");

/// RFC 7515 A.1.1.
pub const HMAC: &str = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;

/// The key in `jwk`.
///
/// # Panics
///
/// If it contains none.
pub fn signing(jwk: &str) -> SigningKey {
    SigningKey::from_jwk(&Secret::new(jwk.to_owned())).expect("a key of the standards")
}

/// The public half of `key` as a JWK, with `kid` and `alg`.
///
/// # Panics
///
/// For a shared secret.
pub fn public(key: &SigningKey) -> String {
    key.key().to_jwk().expect("a key with a public half")
}
