//! DynamoDB, Secrets Manager and SES over plain signed HTTP, for platforms that have no AWS SDK or
//! no room for one.
//!
//! A door brings a [`transport::Transport`], credentials and addresses; [`client::Client`] signs,
//! sends, reads and tries again where that is safe. [`dynamodb`] keeps the layout of our rows and
//! implements the store ports on it. Nothing here reads a clock, the environment or a random
//! source.

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
