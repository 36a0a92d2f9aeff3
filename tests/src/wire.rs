//! HTTP as tests need it: see `portcullis_local::wire`.

pub use portcullis_local::wire::*;
