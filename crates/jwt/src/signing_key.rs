//! The signing keys of issued tokens: generated here, stored as private JWKs, wiped from memory.
//! The buffers of their transport and storage (requests, responses, files) are not wiped.

use core::fmt;

use jwt_simple::algorithms::{
    ECDSAP256KeyPairLike as _, ECDSAP256PublicKeyLike as _, ES256KeyPair, Ed25519KeyPair,
    EdDSAKeyPairLike as _, PS256KeyPair, RS256KeyPair, RSAKeyPair, RSAKeyPairLike as _,
    RSAPublicKeyComponents,
};
use p256::ecdsa::signature::Signer as _;
use portcullis_core::keys::jwk::{JwkError, KeyMaterial, VerifyingKey};
use portcullis_core::keys::material::MIN_HMAC_KEY_BYTES;
use portcullis_core::keys::rsa::RsaModulus;
use portcullis_core::secret::Secret;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_service::ports::{SignError, Signer};
use superboring::pkey::PKey;
use zeroize::Zeroizing;

use crate::hmac;
use crate::private_jwk::PrivateJwk;
use crate::signatures::rsa_scheme;
use crate::signing_key_error::SigningKeyError;

/// The size of generated RSA keys, in bits.
const RSA_BITS: usize = 2_048;

/// A key for one signature algorithm: EdDSA (the default choice), ES256, RS256, PS256 or HS256.
///
/// Its `kid` is its [RFC 7638] thumbprint, whatever `kid` the stored JWK has. An HS256 key has no
/// `kid`, because its thumbprint would be a hash of the secret.
///
/// RS256 and PS256 are for clients that support no other algorithm. The RSA arithmetic below is not
/// constant-time ([RUSTSEC-2023-0071]). It blinds every private operation, which hides the timing
/// from a network observer. Do not use an RSA key on a machine shared with untrusted tenants.
///
/// [RFC 7638]: https://www.rfc-editor.org/rfc/rfc7638#section-3
/// [RUSTSEC-2023-0071]: https://rustsec.org/advisories/RUSTSEC-2023-0071.html
pub struct SigningKey {
    pair: Pair,
    public: VerifyingKey,
}

/// Each variant wipes itself when dropped.
enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(ES256KeyPair),
    Rs256(RS256KeyPair),
    Ps256(PS256KeyPair),
    Hmac(Secret<Vec<u8>>),
}

impl SigningKey {
    /// Generates a key for `algorithm`; an RSA key has 2048 bits and takes about a second.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError::Unsupported`] for an algorithm without token issuance, and
    /// [`SigningKeyError::NoEntropy`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningKeyError> {
        // Also drawn for RSA: its own generator panics if the platform has no randomness.
        let mut seed = Zeroizing::new([0; MIN_HMAC_KEY_BYTES]);
        getrandom::fill(seed.as_mut_slice()).map_err(|_| SigningKeyError::NoEntropy)?;
        let pair = match algorithm {
            Algorithm::EdDsa => Pair::Ed25519(ed25519_from_seed(&seed)?),
            // One seed in 2^32 is beyond the order of the group; then the caller retries.
            Algorithm::Es256 => Pair::P256(
                ES256KeyPair::from_bytes(seed.as_slice())
                    .map_err(|_| SigningKeyError::NoEntropy)?,
            ),
            Algorithm::Rs256 => Pair::Rs256(
                RS256KeyPair::generate(RSA_BITS).map_err(|_| SigningKeyError::Rejected)?,
            ),
            Algorithm::Ps256 => Pair::Ps256(
                PS256KeyPair::generate(RSA_BITS).map_err(|_| SigningKeyError::Rejected)?,
            ),
            Algorithm::Hs256 => Pair::Hmac(Secret::new(seed.to_vec())),
            Algorithm::Es384
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps384
            | Algorithm::Ps512 => return Err(SigningKeyError::Unsupported),
        };
        Self::new(pair)
    }

    /// Parses the private JWK from [`SigningKey::to_jwk`] or another issuer ([RFC 7517], [RFC
    /// 8037]). `alg` is optional except for RSA, where it selects RS256 or PS256.
    ///
    /// # Errors
    ///
    /// Any [`SigningKeyError`] except [`SigningKeyError::NoEntropy`].
    ///
    /// [RFC 7517]: https://www.rfc-editor.org/rfc/rfc7517
    /// [RFC 8037]: https://www.rfc-editor.org/rfc/rfc8037#section-2
    pub fn from_jwk(jwk: &Secret<String>) -> Result<Self, SigningKeyError> {
        let text = jwk.expose().trim_ascii();
        let rejected = |_| SigningKeyError::Rejected;
        let pair = match PrivateJwk::parse(text)? {
            PrivateJwk::Ed25519 => Pair::Ed25519(Ed25519KeyPair::from_jwk(text).map_err(rejected)?),
            PrivateJwk::P256 => Pair::P256(ES256KeyPair::from_jwk(text).map_err(rejected)?),
            PrivateJwk::Rs256 => Pair::Rs256(RS256KeyPair::from_jwk(text).map_err(rejected)?),
            PrivateJwk::Ps256 => Pair::Ps256(PS256KeyPair::from_jwk(text).map_err(rejected)?),
            PrivateJwk::Hmac(secret) => Pair::Hmac(secret),
        };
        Self::new(pair)
    }

    /// The private key as a JWK with `alg` and, if it has one, its `kid`: the storage format.
    pub fn to_jwk(&self) -> Secret<String> {
        Secret::new(match &self.pair {
            Pair::Ed25519(pair) => pair.to_jwk(),
            Pair::P256(pair) => pair.to_jwk(),
            Pair::Rs256(pair) => pair.to_jwk(),
            Pair::Ps256(pair) => pair.to_jwk(),
            Pair::Hmac(secret) => PrivateJwk::write_hmac(secret),
        })
    }

    /// The signature algorithm of the key.
    pub const fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Ed25519(_) => Algorithm::EdDsa,
            Pair::P256(_) => Algorithm::Es256,
            Pair::Rs256(_) => Algorithm::Rs256,
            Pair::Ps256(_) => Algorithm::Ps256,
            Pair::Hmac(_) => Algorithm::Hs256,
        }
    }

    fn new(pair: Pair) -> Result<Self, SigningKeyError> {
        let (material, algorithm) = match &pair {
            Pair::Ed25519(pair) => {
                let x = pair.public_key().to_bytes();
                let x = x.try_into().map_err(|_| SigningKeyError::Rejected)?;
                (KeyMaterial::Ed25519 { x }, Algorithm::EdDsa)
            }
            Pair::P256(pair) => (p256_point(pair)?, Algorithm::Es256),
            Pair::Rs256(pair) => (
                rsa_numbers(pair.public_key().to_components())?,
                Algorithm::Rs256,
            ),
            Pair::Ps256(pair) => (
                rsa_numbers(pair.public_key().to_components())?,
                Algorithm::Ps256,
            ),
            Pair::Hmac(secret) => (KeyMaterial::Hmac(secret.clone()), Algorithm::Hs256),
        };
        let public = VerifyingKey::new(material, algorithm)?;
        let id = public.id().unwrap_or_default();
        let pair = match pair {
            Pair::Ed25519(pair) => Pair::Ed25519(pair.with_key_id(id)),
            Pair::P256(pair) => Pair::P256(pair.with_key_id(id)),
            Pair::Rs256(pair) => Pair::Rs256(pair.with_key_id(id)),
            Pair::Ps256(pair) => Pair::Ps256(pair.with_key_id(id)),
            Pair::Hmac(secret) => Pair::Hmac(secret),
        };
        Ok(Self { pair, public })
    }
}

impl Signer for SigningKey {
    fn key(&self) -> &VerifyingKey {
        &self.public
    }

    fn sign(&self, signing_input: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.pair {
            // No noise: the deterministic signature of RFC 8032 §5.1.6, which needs no randomness.
            Pair::Ed25519(pair) => Ok(pair
                .key_pair()
                .as_ref()
                .sk
                .sign(signing_input, None)
                .to_vec()),
            // Deterministic by RFC 6979: a weak random source cannot reveal the key.
            Pair::P256(pair) => {
                let signature: p256::ecdsa::Signature = pair
                    .key_pair()
                    .as_ref()
                    .try_sign(signing_input)
                    .map_err(|_| SignError)?;
                Ok(signature.to_vec())
            }
            Pair::Rs256(pair) => sign_rsa(pair.key_pair(), Algorithm::Rs256, signing_input),
            Pair::Ps256(pair) => sign_rsa(pair.key_pair(), Algorithm::Ps256, signing_input),
            Pair::Hmac(secret) => hmac::tag(secret.expose(), signing_input).ok_or(SignError),
        }
    }
}

/// Prints the public half only.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

fn ed25519_from_seed(seed: &[u8; 32]) -> Result<Ed25519KeyPair, SigningKeyError> {
    let mut seed = ed25519_compact::Seed::new(*seed);
    let pair = ed25519_compact::KeyPair::try_from_seed(seed);
    seed.wipe_mut();
    let pair = pair.map_err(|_| SigningKeyError::NoEntropy)?;
    Ed25519KeyPair::from_bytes(pair.sk.as_slice()).map_err(|_| SigningKeyError::Rejected)
}

fn p256_point(pair: &ES256KeyPair) -> Result<KeyMaterial, SigningKeyError> {
    let point = pair.public_key().public_key().to_bytes_uncompressed();
    let coordinates = point.split_first().and_then(|(_, both)| {
        let (x, y) = both.split_first_chunk::<32>()?;
        Some((*x, y.try_into().ok()?))
    });
    let (x, y) = coordinates.ok_or(SigningKeyError::Rejected)?;
    Ok(KeyMaterial::P256 { x, y })
}

fn rsa_numbers(numbers: RSAPublicKeyComponents) -> Result<KeyMaterial, SigningKeyError> {
    let e = numbers.e.iter().try_fold(0_u32, |e, octet| {
        e.checked_mul(256)?.checked_add(u32::from(*octet))
    });
    Ok(KeyMaterial::Rsa {
        n: RsaModulus::new(numbers.n).map_err(JwkError::WeakRsa)?,
        e: e.ok_or(JwkError::BadExponent)?,
    })
}

fn sign_rsa(pair: &RSAKeyPair, algorithm: Algorithm, input: &[u8]) -> Result<Vec<u8>, SignError> {
    let (digest, padding) = rsa_scheme(algorithm).ok_or(SignError)?;
    let key = PKey::from_rsa(pair.as_ref().clone()).map_err(|_| SignError)?;
    let mut signer = superboring::sign::Signer::new(digest, &key).map_err(|_| SignError)?;
    signer.set_rsa_padding(padding).map_err(|_| SignError)?;
    signer.update(input).map_err(|_| SignError)?;
    signer.sign_to_vec().map_err(|_| SignError)
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64URL_NOPAD, HEXUPPER};
    use portcullis_core::token::jws::Jws;
    use portcullis_core::token::signature::{SignatureCheck, SignatureVerdict};
    use ring::signature as oracle;

    use super::*;
    use crate::signatures::NativeVerifier;

    const ISSUING: [Algorithm; 5] = [
        Algorithm::EdDsa,
        Algorithm::Es256,
        Algorithm::Rs256,
        Algorithm::Ps256,
        Algorithm::Hs256,
    ];

    fn import(jwk: &str) -> Result<SigningKey, SigningKeyError> {
        SigningKey::from_jwk(&Secret::new(jwk.to_owned()))
    }

    fn signature(key: &SigningKey, input: &str) -> String {
        BASE64URL_NOPAD.encode(&key.sign(input.as_bytes()).expect("signs"))
    }

    // RFC 8037 A.1.
    const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    // RFC 6979 A.2.5.
    const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y","y":"eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk","d":"ya-p2EW6dRZrXCFXZ7HWk05Qw9s26JsSe4piKxIPZyE"}"#;
    const RSA: &str = include_str!("../testdata/rfc7515-a2.jwk.json");

    #[test]
    fn ed25519_signatures_match_rfc_8037_a_4() {
        let key = import(ED25519).expect("the standard's own");
        assert_eq!(
            key.key().id(),
            Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
        );
        assert_eq!(
            signature(
                &key,
                "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
            ),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn rs256_signatures_match_rfc_7515_a_2() {
        let key = import(RSA).expect("the standard's own");
        assert_eq!(
            signature(
                &key,
                "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
            ),
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
        );
    }

    #[test]
    fn es256_signatures_match_rfc_6979() {
        let key = import(P256).expect("the standard's own");
        assert_eq!(
            HEXUPPER.encode(&key.sign(b"sample").expect("signs")),
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716\
             F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
        );
    }

    /// Whether a second implementation accepts the signature, for the algorithms that it supports.
    fn oracle_accepts(key: &VerifyingKey, input: &[u8], signature: &[u8]) -> bool {
        match (key.material(), key.algorithm()) {
            (KeyMaterial::Ed25519 { x }, _) => {
                oracle::UnparsedPublicKey::new(&oracle::ED25519, x).verify(input, signature)
            }
            (KeyMaterial::P256 { x, y }, _) => {
                let point = [&[4], x.as_slice(), y].concat();
                oracle::UnparsedPublicKey::new(&oracle::ECDSA_P256_SHA256_FIXED, point)
                    .verify(input, signature)
            }
            (KeyMaterial::Rsa { n, e }, Some(algorithm)) => {
                let scheme = if algorithm == Algorithm::Ps256 {
                    &oracle::RSA_PSS_2048_8192_SHA256
                } else {
                    &oracle::RSA_PKCS1_2048_8192_SHA256
                };
                let e = e.to_be_bytes();
                let e = e
                    .iter()
                    .copied()
                    .skip_while(|octet| *octet == 0)
                    .collect::<Vec<_>>();
                oracle::RsaPublicKeyComponents {
                    n: n.as_bytes().to_vec(),
                    e,
                }
                .verify(scheme, input, signature)
            }
            (KeyMaterial::Hmac(secret), _) => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.expose());
                ring::hmac::verify(&key, input, signature)
            }
            (other, _) => panic!("not a key of ours: {:?}", core::mem::discriminant(other)),
        }
        .is_ok()
    }

    #[test]
    fn both_implementations_verify_the_signatures_of_a_new_key_only() {
        for algorithm in ISSUING {
            let key = SigningKey::generate(algorithm).expect("made");
            assert_eq!(key.algorithm(), algorithm);
            assert_eq!(key.key().algorithm(), Some(algorithm));
            let header = format!(r#"{{"alg":"{algorithm}"}}"#);
            let input = format!("{}.e30", BASE64URL_NOPAD.encode(header.as_bytes()));
            let token = format!("{input}.{}", signature(&key, &input));
            let other = format!(
                "{}.AAAA.{}",
                input.trim_end_matches(".e30"),
                signature(&key, &input)
            );
            for (token, expected) in [
                (token, SignatureVerdict::Valid),
                (other, SignatureVerdict::Invalid),
            ] {
                let jws = Jws::parse(&token).expect("well formed");
                let check = SignatureCheck::new(&jws, key.key()).expect("its own algorithm");
                assert_eq!(
                    NativeVerifier.check_now(&check),
                    Ok(expected),
                    "{algorithm}"
                );
                assert_eq!(
                    oracle_accepts(key.key(), check.signing_input(), check.signature()),
                    expected == SignatureVerdict::Valid,
                    "{algorithm}"
                );
            }
        }
    }

    #[test]
    fn a_signing_key_survives_the_round_trip_through_its_jwk() {
        for algorithm in ISSUING {
            let key = SigningKey::generate(algorithm).expect("made");
            let kept = key.to_jwk();
            let read = SigningKey::from_jwk(&kept).expect("our own");
            assert_eq!(read.to_jwk().expose(), kept.expose());
            assert_eq!(read.key().thumbprint(), key.key().thumbprint());
            assert_eq!(read.key().id(), key.key().id());
            assert_eq!(key.key().id().is_none(), algorithm.is_symmetric());
            let input = b"header.payload";
            let signature = read.sign(input).expect("signs");
            assert!(oracle_accepts(key.key(), input, &signature), "{algorithm}");
        }
    }

    #[test]
    fn two_generated_keys_are_never_the_same() {
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Hs256] {
            let pair = [(); 2].map(|()| SigningKey::generate(algorithm).expect("made"));
            let [one, two] = pair.map(|key| key.key().thumbprint());
            assert_ne!(one, two, "{algorithm}");
        }
    }

    #[test]
    fn signing_keys_support_only_five_algorithms() {
        for algorithm in Algorithm::ALL {
            if !ISSUING.contains(&algorithm) {
                let refused = SigningKey::generate(algorithm).err();
                assert_eq!(refused, Some(SigningKeyError::Unsupported), "{algorithm}");
            }
        }
    }

    #[test]
    fn an_invalid_signing_key_is_rejected_and_never_quoted() {
        use SigningKeyError::{Malformed, Rejected, Unsupported};
        let public = ED25519.replace(r#""d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","#, "");
        let no_alg = RSA.replace(r#""alg": "RS256""#, r#""kid": "1""#);
        for (jwk, expected) in [
            ("", Malformed),
            ("[]", Malformed),
            (r#"{"kty":1}"#, Malformed),
            (&ED25519.replacen('{', r#"{"kty":"OKP","#, 1), Malformed),
            (&no_alg, Malformed),
            (&public, Rejected),
            (&ED25519.replace("11qY", "11qZ"), Rejected),
            (&P256.replace("eQP-", "eQP_"), Rejected),
            (&P256.replace("ya-p2EW6", "ya-p2EW7"), Rejected),
            (&RSA.replace("Eq5xpGnN", "Eq5xpGnM"), Rejected),
            (&RSA.replace("AQAB", "Aw"), Rejected),
            (&RSA.replace("RS256", "RS384"), Unsupported),
            (&ED25519.replace("Ed25519", "X25519"), Unsupported),
            (&ED25519.replacen('{', r#"{"use":"enc","#, 1), Unsupported),
            (&P256.replacen('{', r#"{"alg":"ES384","#, 1), Unsupported),
            (r#"{"kty":"oct"}"#, Rejected),
            (r#"{"kty":"oct","k":"AAAA","alg":"HS256"}"#, Rejected),
            (
                r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","alg":"HS512"}"#,
                Unsupported,
            ),
            (r#"{"kty":"AKP","alg":"ML-DSA-44"}"#, Unsupported),
        ] {
            let error = import(jwk).expect_err(jwk);
            assert_eq!(error, expected, "{jwk}");
            assert!(!error.to_string().contains("nWGx"));
        }
    }

    #[test]
    fn debug_prints_only_the_public_half() {
        let printed = format!("{:?}", import(ED25519));
        assert!(
            printed.contains("kPrK_qmx") && !printed.contains("nWGx"),
            "{printed}"
        );
        let shared = SigningKey::generate(Algorithm::Hs256).expect("made");
        assert_eq!(format!("{:?}", shared.to_jwk()), "Secret(..)");
        let jwk = shared.to_jwk();
        let k = jwk.expose().split('"').nth(7).expect("k");
        assert_eq!(k.len(), 43);
        assert!(!format!("{shared:?}").contains(k));
    }
}
