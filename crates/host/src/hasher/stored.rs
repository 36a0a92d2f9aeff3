//! A stored hash of any origin.

use portcullis_core::password::{Password, PasswordHash};
use portcullis_service::ports::HashError;

use crate::hasher::hash_config::{Argon2Hash, HashConfig, HashParameters, Pepper};
use crate::hasher::imported::Imported;
use crate::hasher::memory_pool::MemoryPool;

/// A stored hash that can be verified.
#[derive(Clone)]
pub(super) enum Stored {
    /// An Argon2 hash, of this host or another system.
    Argon2(Argon2Hash),
    /// A hash of another system.
    Imported(Imported),
}

impl Stored {
    /// Parses a stored hash.
    pub(super) fn read(stored: &PasswordHash) -> Result<Self, HashError> {
        if stored.as_phc().starts_with("$argon2") {
            HashConfig::read(stored).map(Self::Argon2)
        } else {
            Imported::read(stored).map(Self::Imported)
        }
    }

    /// The identifier of the root key of its pepper, if it has one.
    pub(super) fn key_id(&self) -> Option<&str> {
        match self {
            Self::Argon2(hash) => hash.key_id.as_deref(),
            Self::Imported(_) => None,
        }
    }

    /// Whether a verification takes as long as one with `today`.
    pub(super) fn costs(&self, today: HashParameters) -> bool {
        match self {
            Self::Argon2(hash) => hash.recipe.costs(today),
            Self::Imported(_) => false,
        }
    }

    /// Whether it is outdated against `today` and the pepper of the root key `key_id`.
    pub(super) fn is_lesser_than(&self, today: HashParameters, key_id: Option<&str>) -> bool {
        match self {
            Self::Argon2(hash) => {
                hash.recipe.is_lesser_than(today) || hash.key_id.as_deref() != key_id
            }
            Self::Imported(_) => true,
        }
    }

    /// The memory of a verification, in KiB.
    pub(super) fn memory_kib(&self) -> u32 {
        match self {
            Self::Argon2(hash) => u32::try_from(hash.recipe.blocks()).unwrap_or(u32::MAX),
            Self::Imported(imported) => imported.memory_kib(),
        }
    }

    /// Whether it is the hash of `password`.
    pub(super) fn matches(
        &self,
        password: &Password,
        pepper: Option<&Pepper>,
        workspaces: &std::sync::Arc<MemoryPool>,
    ) -> Result<bool, HashError> {
        match self {
            Self::Argon2(hash) => {
                let mut workspace = workspaces.take(hash.recipe.blocks())?;
                let output = hash
                    .recipe
                    .run(password, &hash.salt, pepper, workspace.blocks())?;
                // `Output` compares in constant time.
                Ok(hash.expected.is_some_and(|expected| output == expected))
            }
            Self::Imported(imported) => imported.matches(password),
        }
    }
}
