//! A cache near the edge for immutable data.

use core::time::Duration;

/// Keeps immutable bytes under their key, for as long as it likes: all of its content can be read
/// from the store again.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own cache, so Send is inferred there"
)]
pub trait ImmutableCache {
    /// The bytes under `name`, if they are still cached.
    async fn get(&self, name: &str) -> Option<Vec<u8>>;

    /// Caches `bytes` under `name`, for at most `lifetime`.
    async fn put(&self, name: &str, bytes: &[u8], lifetime: Duration);
}

/// No cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCache;

impl ImmutableCache for NoCache {
    async fn get(&self, _name: &str) -> Option<Vec<u8>> {
        None
    }

    async fn put(&self, _name: &str, _bytes: &[u8], _lifetime: Duration) {}
}
