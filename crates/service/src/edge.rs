//! The edge's decision flow: the route of a request, the snapshot of the isolate, the decision on the token.

pub mod authorize;
pub mod cors;
pub mod route;
pub mod snapshot_cache;
