//! The native door: registers people, logs them in and out, and publishes the keys.
//!
//! One axum router answers on a socket or under the Lambda Runtime API. Here time, chance, the
//! environment and the network enter; what they mean is decided on the floors below.

pub mod client_address;
pub mod clients;
pub mod clock;
pub mod config;
mod cookies;
pub mod disposable;
mod error_mapping;
pub mod hasher;
pub mod host;
pub mod http_service;
pub mod keys;
pub mod lambda;
mod limits;
pub mod log;
pub mod mailer;
pub mod metrics;
mod openapi;
pub mod owned_file;
pub mod problem;
pub mod random;
pub mod root_keys;
pub mod rotation;
mod routes;
pub mod screen;
pub mod socket;
pub mod start;
pub mod tasks;
pub mod transport;
