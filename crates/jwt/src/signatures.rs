//! The [`SignatureVerifier`] port with `jwt-simple`'s key types: for native targets, and for wasm
//! without a crypto API.

use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike as _, ECDSAP384PublicKeyLike as _, ES256PublicKey, ES384PublicKey,
    RSAPublicKey,
};
use p256::ecdsa::signature::Verifier as _;
use portcullis_core::keys::jwk::KeyMaterial;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_core::token::signature::{SignatureCheck, SignatureVerdict};
use portcullis_service::ports::{SignatureVerifier, UnusableKey};
use superboring::hash::MessageDigest;
use superboring::pkey::PKey;
use superboring::rsa::Padding;
use superboring::sign::Verifier;

use crate::hmac;
use crate::precheck::{self, Precheck};

/// Verifies signatures by synchronous computation.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeVerifier;

impl NativeVerifier {
    /// Verifies one signature, for callers that are not async.
    ///
    /// # Errors
    ///
    /// [`UnusableKey`] for an EC point off its curve and for keys that [`precheck::precheck`]
    /// rejects.
    pub fn check_now(&self, check: &SignatureCheck<'_>) -> Result<SignatureVerdict, UnusableKey> {
        match precheck::precheck(check)? {
            Precheck::Invalid => return Ok(SignatureVerdict::Invalid),
            Precheck::Plausible => {}
        }
        let (input, signature) = (check.signing_input(), check.signature());
        let matches = match check.key().material() {
            KeyMaterial::Ed25519 { x } => ed25519(x, input, signature),
            KeyMaterial::P256 { x, y } => p256(&uncompressed(x, y), input, signature)?,
            KeyMaterial::P384 { x, y } => p384(&uncompressed(x, y), input, signature)?,
            KeyMaterial::Rsa { n, e } => {
                let key = RSAPublicKey::from_components(n.as_bytes(), &e.to_be_bytes())
                    .map_err(|_| UnusableKey)?;
                rsa(key, check.algorithm(), input, signature)?
            }
            KeyMaterial::Hmac(secret) => return Ok(hmac::check(secret.expose(), input, signature)),
        };
        Ok(if matches {
            SignatureVerdict::Valid
        } else {
            SignatureVerdict::Invalid
        })
    }
}

impl SignatureVerifier for NativeVerifier {
    async fn check(&self, check: &SignatureCheck<'_>) -> Result<SignatureVerdict, UnusableKey> {
        self.check_now(check)
    }
}

/// Uses the equation without cofactor, as BoringSSL and OpenSSL do. `jwt-simple`'s own check
/// multiplies by the cofactor ([RFC 8032 §5.1.7] allows either). So it accepts signatures, which
/// only a key's owner can create, that the platforms reject.
///
/// A point off the curve does not make a key unusable here: WebCrypto imports any 32 octets and
/// then verifies no signature, and all adapters must agree.
///
/// [RFC 8032 §5.1.7]: https://www.rfc-editor.org/rfc/rfc8032#section-5.1.7
fn ed25519(x: &[u8; 32], input: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (
        ed25519_dalek::VerifyingKey::from_bytes(x),
        ed25519_dalek::Signature::from_slice(signature),
    ) else {
        return false;
    };
    key.verify_strict(input, &signature).is_ok()
}

/// SEC 1 §2.3.3: the octet 4, then both coordinates.
fn uncompressed(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[4], x, y].concat()
}

fn p256(point: &[u8], input: &[u8], signature: &[u8]) -> Result<bool, UnusableKey> {
    let key = ES256PublicKey::from_bytes(point).map_err(|_| UnusableKey)?;
    let signature = p256::ecdsa::Signature::from_slice(signature);
    Ok(
        signature
            .is_ok_and(|signature| key.public_key().as_ref().verify(input, &signature).is_ok()),
    )
}

fn p384(point: &[u8], input: &[u8], signature: &[u8]) -> Result<bool, UnusableKey> {
    let key = ES384PublicKey::from_bytes(point).map_err(|_| UnusableKey)?;
    let signature = p384::ecdsa::Signature::from_slice(signature);
    Ok(
        signature
            .is_ok_and(|signature| key.public_key().as_ref().verify(input, &signature).is_ok()),
    )
}

fn rsa(
    key: RSAPublicKey,
    algorithm: Algorithm,
    input: &[u8],
    signature: &[u8],
) -> Result<bool, UnusableKey> {
    let (digest, padding) = rsa_scheme(algorithm).ok_or(UnusableKey)?;
    let key = PKey::from_rsa(key.as_ref().clone()).map_err(|_| UnusableKey)?;
    // PSS salts are as long as the hash (RFC 7518 §3.5): this verifier's default, and the only
    // length it accepts.
    let mut verifier = Verifier::new(digest, &key).map_err(|_| UnusableKey)?;
    verifier.set_rsa_padding(padding).map_err(|_| UnusableKey)?;
    verifier.update(input).map_err(|_| UnusableKey)?;
    Ok(verifier.verify(signature).unwrap_or(false))
}

/// Hash and padding of an RSA algorithm ([RFC 7518 §3.3], §3.5); `None` for the others.
///
/// [RFC 7518 §3.3]: https://www.rfc-editor.org/rfc/rfc7518#section-3.3
pub(crate) fn rsa_scheme(algorithm: Algorithm) -> Option<(MessageDigest, Padding)> {
    match algorithm {
        Algorithm::Rs256 => Some((MessageDigest::sha256(), Padding::PKCS1)),
        Algorithm::Rs384 => Some((MessageDigest::sha384(), Padding::PKCS1)),
        Algorithm::Rs512 => Some((MessageDigest::sha512(), Padding::PKCS1)),
        Algorithm::Ps256 => Some((MessageDigest::sha256(), Padding::PKCS1_PSS)),
        Algorithm::Ps384 => Some((MessageDigest::sha384(), Padding::PKCS1_PSS)),
        Algorithm::Ps512 => Some((MessageDigest::sha512(), Padding::PKCS1_PSS)),
        Algorithm::EdDsa | Algorithm::Es256 | Algorithm::Es384 | Algorithm::Hs256 => None,
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};

    use portcullis_core::keys::jwk::VerifyingKey;
    use portcullis_core::token::jws::Jws;

    use super::*;

    // RFC 7515 A.3.
    const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

    /// Verifies with the port and with the function, which must agree.
    fn check(jwk: &str, token: &str) -> Result<SignatureVerdict, UnusableKey> {
        let key = VerifyingKey::parse(jwk.as_bytes()).expect("a key");
        let jws = Jws::parse(token).expect("a token");
        let check = SignatureCheck::new(&jws, &key).expect("allowed");
        let mut context = Context::from_waker(Waker::noop());
        let now = NativeVerifier.check_now(&check);
        let polled = pin!(NativeVerifier.check(&check)).poll(&mut context);
        assert_eq!(polled, Poll::Ready(now));
        now
    }

    #[test]
    fn the_rs256_example_of_rfc_7515_a_3_is_valid_only_for_its_key_and_text() {
        assert_eq!(check(P256, TOKEN), Ok(SignatureVerdict::Valid));
        let other_text = TOKEN.replace("eyJpc3Mi", "eyJpc3Nj");
        assert_eq!(check(P256, &other_text), Ok(SignatureVerdict::Invalid));
        // RFC 6979 A.2.5.
        let other_key = r#"{"kty":"EC","crv":"P-256","x":"YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y","y":"eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk"}"#;
        assert_eq!(check(other_key, TOKEN), Ok(SignatureVerdict::Invalid));
    }

    #[test]
    fn an_ec_point_off_its_curve_is_an_unusable_key() {
        let off = P256.replace("x_FEzRu9", "x_FEzRu-");
        assert_eq!(check(&off, TOKEN), Err(UnusableKey));
    }

    #[test]
    fn only_rsa_algorithms_have_an_rsa_scheme() {
        for algorithm in Algorithm::ALL {
            let rsa = algorithm.as_str().starts_with(['R', 'P']);
            assert_eq!(rsa_scheme(algorithm).is_some(), rsa, "{algorithm}");
            if let Some((_, padding)) = rsa_scheme(algorithm) {
                assert_eq!(
                    padding == Padding::PKCS1,
                    algorithm.as_str().starts_with('R')
                );
            }
        }
    }
}
