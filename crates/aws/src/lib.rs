//! DynamoDB, Secrets Manager, SES and STS over plain signed HTTP, for platforms that have no AWS SDK
//! or no room for one.
//!
//! An adapter provides a [`transport::Transport`], credentials and endpoints. [`client::Client`]
//! signs, sends, reads and retries where that is safe. [`dynamodb`] holds the row layout and
//! implements the store ports. Nothing here reads a clock, the environment or a random source.
//!
//! Signing a request at an explicit time:
//!
//! ```
//! use bytes::Bytes;
//! use http::Request;
//! use portcullis_aws::credentials::Credentials;
//! use portcullis_aws::sign::{CredentialScope, sign};
//! use portcullis_core::secret::Secret;
//! use portcullis_core::time::UnixTime;
//!
//! let mut request = Request::post("https://dynamodb.eu-central-1.amazonaws.com/")
//!     .header("x-amz-target", "DynamoDB_20120810.ListTables")
//!     .body(Bytes::from_static(b"{}"))?;
//! let credentials = Credentials::new("AKIDEXAMPLE", Secret::new("secret".to_owned()));
//! let scope = CredentialScope { service: "dynamodb", region: "eu-central-1" };
//!
//! sign(&mut request, scope, &credentials, UnixTime::from_secs(1_780_000_000))?;
//! assert!(request.headers().contains_key("authorization"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub mod sts;
pub mod transport;
