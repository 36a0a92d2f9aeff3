//! The runtime of the native programs: settings, keys, hashing, mail, tasks and rotation.
//!
//! Time, randomness, the environment and the network enter here; the layers below interpret them.
//! The HTTP entry point (`lambda-host`) and the operator's terminal (`portcullis-cli`) share it. It holds no
//! web stack: requests and responses are the entry point's.
//!
//! Every setting is in one table:
//!
//! ```
//! use portcullis_host::settings::{PORTCULLIS_ISSUER, find};
//!
//! let issuer = find(PORTCULLIS_ISSUER).expect("a setting of the table");
//! println!("{}: {}", issuer.name, issuer.meaning);
//! ```

pub mod client_address;
pub mod clients;
pub mod clock;
pub mod config;
pub mod disposable;
pub mod error_chain;
pub mod failure;
pub mod hasher;
pub mod host;
pub mod keys;
pub mod log;
pub mod mailer;
pub mod metrics;
pub mod own_origins;
pub mod owned_file;
pub mod random;
mod regular_file;
pub mod root_keys;
pub mod rotation;
pub mod screen;
pub mod secret_source;
pub mod settings;
pub mod tasks;
pub mod transport;
