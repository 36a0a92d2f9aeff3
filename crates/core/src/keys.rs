//! Verification keys: parsing, storage and publication.

pub mod document;
pub mod error;
pub mod jwk;
pub mod material;
pub mod ring;
pub mod rotation;
pub mod rsa;
pub mod set;
