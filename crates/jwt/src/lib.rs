//! The signature step on `jwt-simple`: checking signatures where the platform does not, and signing
//! every token we issue.
//!
//! `jwt-simple` verifies whole tokens under its own view of the claims; here it gives only its key
//! types, and the claims are judged by `portcullis-core` alone.
//!
//! With the feature `native` (the default) this is the whole of it, on any target, wasm included.
//! Without it there remain [`hmac`] and [`form`]: what a door that checks signatures by its
//! platform's own crypto needs besides, and not a line of `jwt-simple`.

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
