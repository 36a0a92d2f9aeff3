//! Signatures with `jwt-simple`: verification where the platform has none, and signing of all
//! issued tokens.
//!
//! `jwt-simple` verifies whole tokens with its own rules for the claims. Only its key types are
//! used here; `portcullis-core` alone checks the claims.
//!
//! With the feature `native` (the default) the crate is complete on every target, wasm included.
//! Without it only [`hmac`] and [`precheck`] remain, for an adapter that verifies with its
//! platform's crypto, and `jwt-simple` is not linked.

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
