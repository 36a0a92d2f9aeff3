//! Keys that check signatures: how they are read, kept and published.

pub mod document;
pub mod error;
pub mod jwk;
pub mod material;
pub mod ring;
pub mod rotation;
pub mod rsa;
pub mod set;
