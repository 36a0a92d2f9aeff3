//! Signatures with `jwt-simple`: verification where the platform has none, and signing of all
//! issued tokens.
//!
//! `jwt-simple` verifies whole tokens with its own rules for the claims. Only its key types are
//! used here; `portcullis-core` alone checks the claims.
//!
//! With the feature `native` (the default) the crate is complete on every target, wasm included.
//! Without it only [`hmac`] and [`precheck`] remain, for an adapter that verifies with its
//! platform's crypto, and `jwt-simple` is not linked.
//!
//! ```
//! # #[cfg(feature = "native")] {
//! use portcullis_core::token::algorithm::Algorithm;
//! use portcullis_jwt::SigningKey;
//! use portcullis_service::ports::Signer as _;
//!
//! let key = SigningKey::generate(Algorithm::EdDsa).expect("random bytes");
//! let signature = key.sign(b"header.payload").expect("a signature");
//! assert_eq!(signature.len(), 64);
//!
//! // The private JWK is a secret: `Debug` does not print it.
//! let stored = key.to_jwk();
//! let restored = SigningKey::from_jwk(&stored).expect("the same key");
//! assert_eq!(restored.key().id(), key.key().id());
//! # }
//! ```

pub mod hmac;
#[cfg(feature = "native")]
mod key_factory;
pub mod precheck;
#[cfg(feature = "native")]
mod private_jwk;
#[cfg(feature = "native")]
pub mod signatures;
#[cfg(feature = "native")]
pub mod signing_key;
#[cfg(feature = "native")]
mod signing_key_error;

#[cfg(feature = "native")]
pub use key_factory::JwkKeyFactory;
#[cfg(feature = "native")]
pub use signatures::NativeVerifier;
#[cfg(feature = "native")]
pub use signing_key::SigningKey;
#[cfg(feature = "native")]
pub use signing_key_error::SigningKeyError;
