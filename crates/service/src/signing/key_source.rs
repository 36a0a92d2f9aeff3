//! The source of a host's private keys.

use core::error::Error;
use std::sync::Arc;

use portcullis_core::audit::{AuditEvent, AuditKind};

use crate::ports::Signer;
use crate::rotate::ports::Stage;
use crate::signing::error::SigningError;
use crate::store::StoreError;

/// Stores the private keys of a host.
#[expect(
    async_fn_in_trait,
    reason = "each adapter names its own, so Send is inferred there"
)]
pub trait SigningKeySource {
    /// A private key.
    type Key: Signer;

    /// The error of a failed read.
    type Error: Error + 'static;

    /// The version that has `stage` now; `None` if no version has it.
    ///
    /// # Errors
    ///
    /// If the source cannot be read.
    async fn version(
        &self,
        stage: Stage,
    ) -> Result<Option<Version<Self::Key, Self::Error>>, Self::Error>;

    /// Whether only this host has the key, so that no other host publishes it.
    fn is_sole_holder(&self) -> bool;

    /// An audit entry about this host's change of the key document.
    ///
    /// # Errors
    ///
    /// If no MAC or identifier can be created.
    async fn event(&self, kind: AuditKind) -> Result<AuditEvent, Self::Error>;

    /// Logs an event that does not stop the signing.
    fn on_event(&self, notice: SigningEvent<'_, Self::Error>);
}

/// A version of the secret, which may not contain a valid key.
#[derive(Debug)]
pub struct Version<K, E> {
    /// Its unique version id.
    pub id: String,
    /// Its key.
    pub key: Result<Arc<K>, E>,
}

/// An event during the selection of a key.
#[derive(Debug)]
pub enum SigningEvent<'a, E: Error + 'static> {
    /// The host published its own key.
    Published {
        /// The `kid` of the key.
        key_id: &'a str,
        /// The new version of the document.
        version: u64,
    },
    /// The version with this stage contains no key.
    NoKey(Stage, &'a E),
    /// The versions could not be read: the last ones are used.
    LastVersions(&'a SigningError<E>),
    /// The key document could not be read: the last one is used.
    LastDocument(&'a StoreError),
}
