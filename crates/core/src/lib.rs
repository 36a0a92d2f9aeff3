//! The rules of authentication: what a token proves, which key may sign, when to refuse.
//!
//! Nothing here reads a clock, draws randomness or talks to a network: time and entropy are
//! arguments and stored state is passed in, so every rule gives the same answer on a Worker, on
//! Lambda and in a test.

pub mod denial;
pub mod id;
pub mod json;
pub mod keys;
pub mod revocation;
pub mod secret;
pub mod time;
pub mod token;
