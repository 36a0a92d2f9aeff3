//! The evaluation of test vectors: a line of JSON in, a line of JSON out, with the product's own
//! layers over any signature verifier.
//!
//! The same lines run natively, in workerd over its crypto API and in workerd over wasm alone. The
//! results must agree byte for byte. This code is never deployed.

mod answer;
pub mod decision;
pub mod signature;
