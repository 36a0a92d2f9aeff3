//! The proof of the edge, checked at an origin: a [`tower_layer::Layer`] that rejects every request
//! that did not pass the edge, and the identity of the accepted ones.
//!
//! The layer must be the outermost one, where the target of the request is still complete. A nested
//! router of axum shortens it, and then every assertion is rejected.
//!
//! ```
//! use axum::{Router, routing::get};
//! use portcullis_origin::{EdgeIdentity, EdgeProof};
//!
//! async fn hello(identity: EdgeIdentity) -> String {
//!     identity.subject.unwrap_or_else(|| "no identity".to_owned())
//! }
//!
//! let secret = "0123456789abcdef0123456789abcdef";
//! let proof = EdgeProof::shared_key("https://origin.example", [secret])?
//!     .with_hosts(["api.example"])
//!     .on_rejection(|reason| eprintln!("rejected: {reason}"));
//! let app: Router = Router::new().route("/hello", get(hello)).layer(proof);
//! # Ok::<(), portcullis_origin::SettingError>(())
//! ```

mod identity;
mod key_source;
mod layer;
mod proof;
mod rejection;
mod settings;

pub use identity::EdgeIdentity;
pub use key_source::{FetchError, KeySource};
pub use layer::{EdgeProof, EdgeProofService};
pub use portcullis_core::assertion::verification::{DEFAULT_LEEWAY, MAX_LEEWAY, ProofError};
pub use settings::SettingError;

#[cfg(test)]
mod tests;
