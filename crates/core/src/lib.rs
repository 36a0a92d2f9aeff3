//! The rules of authentication: what a token proves, which key may sign, when to refuse.
//!
//! Nothing here reads a clock, draws randomness or talks to a network: time and entropy are
//! arguments and stored state is passed in, so every rule gives the same answer on a Worker, on
//! Lambda and in a test.

pub mod audit;
pub mod denial;
pub mod email;
pub mod id;
pub mod json;
pub mod keys;
pub mod password;
pub mod path;
pub mod revocation;
pub mod route;
pub mod secret;
pub mod session;
pub mod time;
pub mod token;
