//! Portcullis without a cloud: a DynamoDB engine that lives in this process, and an origin that says what
//! it was sent, and a page of the mail that the host has sent.
//!
//! `cargo xtask dev` runs both as programs (`portcullis-local`); tests start a [`LocalDynamo`] in memory
//! under a clock they turn by hand. INVARIANT: nothing of this is linked into the Lambda artefact
//! (`cargo xtask check` looks).

pub mod chaos;
mod dynamo;
mod engine;
mod mailbox;
mod origin;
mod runtime;
mod secrets;
mod tables;
pub mod wire;

pub use dynoxide::storage_backend::ManualClock;

pub use self::{
    dynamo::LocalDynamo,
    engine::{Engine, EngineError},
    mailbox::serve as serve_mailbox,
    origin::serve as serve_origin,
    runtime::LambdaRuntime,
    secrets::serve::serve as serve_secrets,
    secrets::{LocalSecrets, Refusal, RotationFunction},
    tables::TableNames,
};
