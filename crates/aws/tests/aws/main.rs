//! The crate from outside: the store ports against the real embedded engine over HTTP with faults on
//! the wire between, and signatures against other people's.
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
