//! The corpus: vectors of the standards, of Wycheproof and of our own, judged natively. The Worker's
//! tests hold workerd to the same answers.

mod decisions;
mod email;
mod process;
mod signatures;
mod thumbprints;
