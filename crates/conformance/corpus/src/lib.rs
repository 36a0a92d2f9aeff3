//! How test vectors are judged: a line of JSON in, a line of JSON out, by the product's own layers,
//! over any implementation of the signature check.
//!
//! The same lines run natively, in workerd over its crypto API and in workerd over wasm alone; their
//! answers must agree byte for byte. Nothing here is deployed.

mod answer;
pub mod decision;
pub mod signature;
