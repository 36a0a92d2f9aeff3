//! Access tokens: form, claims, and the type that proves both were checked.

pub mod algorithm;
pub mod claims;
pub mod draft;
pub mod jws;
pub mod scope;
pub mod signature;
pub mod verifier;
