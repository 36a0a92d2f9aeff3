//! Where the private keys of a host are.

use core::error::Error;
use std::sync::Arc;

use portcullis_core::audit::{AuditEvent, AuditKind};

use crate::ports::Signer;
use crate::rotate::ports::Stage;
use crate::signing::error::SigningError;
use crate::store::StoreError;

/// Keeps the private keys of a host.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own, so Send is inferred there"
)]
pub trait SigningKeySource {
    /// A private key.
    type Key: Signer;

    /// Why there is none.
    type Error: Error + 'static;

    /// The version that has `stage` now; none if no version has it.
    ///
    /// # Errors
    ///
    /// If nobody can say.
    async fn version(
        &self,
        stage: Stage,
    ) -> Result<Option<Version<Self::Key, Self::Error>>, Self::Error>;

    /// Whether this host alone has the key, so that nobody else publishes it.
    fn is_sole_holder(&self) -> bool;

    /// A line for the audit trail about what this host does to the key document.
    ///
    /// # Errors
    ///
    /// If none can be sealed or named.
    async fn event(&self, kind: AuditKind) -> Result<AuditEvent, Self::Error>;

    /// Something to be logged: signing goes on.
    fn on_event(&self, notice: SigningEvent<'_, Self::Error>);
}

/// A version of the secret, whose value may be no key.
#[derive(Debug)]
pub struct Version<K, E> {
    /// Its name, which no other version has.
    pub id: String,
    /// The key in it.
    pub key: Result<Arc<K>, E>,
}

/// What happened while a key was looked for.
#[derive(Debug)]
pub enum SigningEvent<'a, E: Error + 'static> {
    /// The host published its own key.
    Published {
        /// Its name.
        key_id: &'a str,
        /// The document's version with it.
        version: u64,
    },
    /// The version that has this stage holds no key.
    NoKey(Stage, &'a E),
    /// The versions could not be read: what was read last has to do.
    LastVersions(&'a SigningError<E>),
    /// The same with the key document.
    LastDocument(&'a StoreError),
}
