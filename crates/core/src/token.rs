//! Access tokens: form, claims, and the proof that both were checked.

pub mod algorithm;
pub mod claims;
pub mod draft;
pub mod jws;
pub mod scope;
pub mod signature;
pub mod verifier;
