//! Keys that check signatures: how they are read, kept and published.

pub mod jwk;
pub mod rsa;
