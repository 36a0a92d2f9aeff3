//! The HTTP entry point: registers users, logs them in and out, and publishes the keys.
//!
//! One axum router answers on a socket or under the Lambda Runtime API, over the runtime of `portcullis-host`.
//! The three programs of this package share [`program::main`].

mod api_error;
mod cookies;
pub mod http_service;
pub mod lambda;
mod openapi;
pub mod problem;
pub mod program;
mod routes;
pub mod socket;
pub mod start;
