//! DynamoDB, Secrets Manager and SES over plain signed HTTP, for platforms that have no AWS SDK or
//! no room for one.
//!
//! An adapter provides a [`transport::Transport`], credentials and endpoints. [`client::Client`]
//! signs, sends, reads and retries where that is safe. [`dynamodb`] holds the row layout and
//! implements the store ports. Nothing here reads a clock, the environment or a random source.

pub mod breakers;
pub mod capacity;
pub mod client;
pub mod credentials;
pub mod dependency;
pub mod dynamodb;
pub mod endpoint;
pub mod error;
pub mod error_code;
mod hash;
pub mod headers;
pub mod operation;
pub mod response_body;
pub mod retry;
#[cfg(test)]
mod script;
pub mod secrets_manager;
pub mod ses;
pub mod sign;
pub mod transport;
