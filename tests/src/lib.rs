//! Shared parts of the tests: the vectors, and their native verification.

pub mod attacks;
pub mod decisions;
pub mod keys;
pub mod lambda_runtime;
pub mod mailbox;
pub mod program;
pub mod proxy;
pub mod ses;
pub mod sigv4;
pub mod system;
pub mod vectors;
pub mod verifier;
pub mod wire;
pub mod wycheproof;
