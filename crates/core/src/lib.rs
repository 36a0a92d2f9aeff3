//! The rules of authentication: token verification, signing key selection, and denial.
//!
//! INVARIANT: this crate reads no clock, draws no randomness and has no network access. Time,
//! entropy and stored state are arguments, so every rule gives the same result on a Worker, on
//! Lambda and in a test.

pub mod audit;
pub mod base64url;
pub mod bearer;
pub mod breaker;
pub mod client;
pub mod csrf;
pub mod denial;
pub mod email;
pub mod factor;
pub mod gate;
pub mod id;
pub mod identity;
pub mod json;
pub mod keys;
pub mod limit;
pub mod mail;
pub mod password;
pub mod path;
pub mod policy;
pub mod refresh;
pub mod refusal;
pub mod revocation;
pub mod root_keys;
pub mod route;
pub mod secret;
pub mod session;
pub mod snapshot;
pub mod time;
pub mod token;
