//! The rules of authentication: token verification, signing key selection, and denial.
//!
//! INVARIANT: this crate reads no clock, draws no randomness and has no network access. Time,
//! entropy and stored state are arguments, so every rule gives the same result on a Worker, on
//! Lambda and in a test.
//!
//! The first decisions on a request, under a policy as in `docs/policy.md`:
//!
//! ```
//! use portcullis_core::bearer::bearer_token;
//! use portcullis_core::denial::Denial;
//! use portcullis_core::gate::Gate;
//! use portcullis_core::path::CanonicalPath;
//! use portcullis_core::policy::Policy;
//! use portcullis_core::route::Access;
//!
//! let policy = r#"{
//!     "issuers": [{"issuer": "https://login.example", "audience": "https://api.example",
//!                  "algorithms": ["EdDSA"], "keys": "document", "profile": "at+jwt"}],
//!     "routes": [{"path": "/public/*", "access": "open"},
//!                {"path": "/*", "access": "token"}]
//! }"#;
//! let gate = Gate::new(Policy::parse(policy, None)?);
//!
//! let path = CanonicalPath::parse("/orders/7").expect("a canonical path");
//! let requirement = gate.requirement("GET", &path).expect("a route covers every path");
//! assert_eq!(requirement.access, Access::Token);
//!
//! assert_eq!(bearer_token(Some("Bearer a.b.c")), Ok(Some("a.b.c")));
//! assert_eq!(CanonicalPath::parse("/public/../orders").err(), Some(Denial::BadPath));
//! # Ok::<(), portcullis_core::policy::PolicyError>(())
//! ```

pub mod account_claims;
pub mod assertion;
pub mod audit;
pub mod base64url;
pub mod bearer;
pub mod breaker;
pub mod client;
pub mod cookie;
pub mod cors;
pub mod csrf;
pub mod denial;
pub mod email;
pub mod factor;
pub mod forwarding;
pub mod gate;
pub mod host_route;
pub mod id;
pub mod identity;
pub mod json;
pub mod keys;
pub mod limit;
pub mod mail;
pub mod password;
pub mod path;
pub mod policy;
pub mod refresh;
pub mod refusal;
pub mod registration;
pub mod resource;
pub mod revocation;
pub mod root_keys;
pub mod route;
pub mod secret;
pub mod session;
pub mod snapshot;
pub mod time;
pub mod token;
pub mod transport_security;
pub mod upgrade;
