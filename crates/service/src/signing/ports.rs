//! The ports of a host that signs.

use core::error::Error;

use crate::context::ServiceContext;
use crate::ports::SecureRandom;
use crate::signing::error::SigningError;
use crate::signing::key_factory::KeyFactory;
use crate::signing::secret::{SecretStore, Stage};
use crate::store::{KeyChangeStore, StoreError};

/// The ports of a host that signs.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own ports, so Send is inferred there"
)]
pub trait SigningPorts {
    /// The versions of the secret.
    type Secret: SecretStore;

    /// The key factory.
    type Factory: KeyFactory;

    /// The store of the key document.
    type Store: KeyChangeStore;

    /// The source of random identifiers.
    type Random: SecureRandom;

    /// A port failed.
    type Error: Error
        + From<<Self::Secret as SecretStore>::Error>
        + From<<Self::Factory as KeyFactory>::Error>
        + 'static;

    /// The versions of the secret.
    fn secret(&self) -> &Self::Secret;

    /// The key factory.
    fn factory(&self) -> &Self::Factory;

    /// The store of the key document.
    fn store(&self) -> &Self::Store;

    /// The context of a publication, with the host as its actor. It is opened only then: a host
    /// signs without its root keys.
    ///
    /// # Errors
    ///
    /// If the root keys are unavailable.
    async fn context(&self) -> Result<ServiceContext<'_, Self::Store, Self::Random>, Self::Error>;

    /// Whether only this host has the key, so that no other host publishes it.
    fn is_sole_holder(&self) -> bool;

    /// Logs an event that does not stop the signing.
    fn on_event(&self, event: SigningEvent<'_, Self::Error>);
}

/// A private key of a host.
pub(super) type KeyOf<P> = <<P as SigningPorts>::Factory as KeyFactory>::Key;

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
