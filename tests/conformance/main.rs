//! The corpus: vectors of the standards, of Wycheproof and our own, verified natively. The Worker's
//! tests expect the same results from workerd.

mod decisions;
mod email;
mod process;
mod signatures;
mod thumbprints;
