//! The HTTP entry point: registers users, logs them in and out, and publishes the keys.
//!
//! One axum router answers on a socket or under the Lambda Runtime API, over the runtime of `portcullis-host`.
//! The three programs of this package share [`program::main`]. It reads the settings from the
//! environment, reports every wrong one, starts the log, and then runs the program:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use portcullis_lambda_host::{program, start};
//!
//! fn main() -> ExitCode {
//!     program::main(|config| {
//!         tracing::info!(issuer = config.issuer.as_str(), "starts");
//!         start::run(config)
//!     })
//! }
//! ```

mod api_error;
mod base_path;
mod cookies;
mod cors;
pub mod http_service;
pub mod lambda;
mod openapi;
pub mod problem;
pub mod program;
mod routes;
pub mod socket;
pub mod start;
