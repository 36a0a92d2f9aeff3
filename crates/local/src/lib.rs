//! Portcullis without a cloud: an in-process DynamoDB engine, a demo origin that echoes its
//! requests, and a page with the mail of the host.
//!
//! `cargo xtask dev` runs them as one program (`portcullis-local`); tests start a [`LocalDynamo`]
//! in memory with a manual clock. INVARIANT: the Lambda artefact never links this crate (`cargo
//! xtask check` verifies that).
//!
//! [`LocalDynamo`] has an example.

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
