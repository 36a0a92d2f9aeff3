//! The only source of randomness: the operating system.

use portcullis_core::id::Id;
use portcullis_core::root_keys::NONCE_BYTES;
use portcullis_core::secret::Secret;
use portcullis_service::ports::{NoEntropy, SecureRandom};
use zeroize::Zeroizing;

/// The operating system's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl SystemRandom {
    /// Fills `bytes` with random bytes.
    ///
    /// # Errors
    ///
    /// [`NoEntropy`] if the system has none.
    pub fn fill(self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        getrandom::fill(bytes).map_err(|_| NoEntropy)
    }

    /// A seed for the jitter of retries.
    ///
    /// # Errors
    ///
    /// As [`SystemRandom::fill`].
    pub fn seed(self) -> Result<u64, NoEntropy> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

impl SecureRandom for SystemRandom {
    fn id(&self) -> Result<Id, NoEntropy> {
        let mut bits = [0; 16];
        self.fill(&mut bits)?;
        Ok(Id::from_random(bits))
    }

    fn secret(&self) -> Result<Secret<[u8; 32]>, NoEntropy> {
        let mut bits = Zeroizing::new([0; 32]);
        self.fill(&mut *bits)?;
        Ok(Secret::new(*bits))
    }

    fn nonce(&self) -> Result<[u8; NONCE_BYTES], NoEntropy> {
        let mut bits = [0; NONCE_BYTES];
        self.fill(&mut bits)?;
        Ok(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_random_draws_differ() {
        let (one, other) = (SystemRandom.id(), SystemRandom.id());
        assert_ne!(one.expect("entropy"), other.expect("entropy"));
        assert_ne!(SystemRandom.seed(), SystemRandom.seed());
    }
}
