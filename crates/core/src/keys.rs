//! Keys that check signatures: how they are read, kept and published.

pub mod document;
pub mod jwk;
pub mod ring;
pub mod rsa;
pub mod set;
