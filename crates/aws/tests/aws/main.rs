//! Tests of the public API: the store ports against the real embedded engine over HTTP with
//! injected network faults, and signatures against external implementations.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a failed expectation ends the test; clippy frees only the test functions themselves"
)]

mod accounts;
mod changes;
mod engine;
mod factors;
mod families;
mod faults;
mod keys;
mod limits;
mod packs;
mod revocations;
mod sessions;
mod signing;
mod wire;
