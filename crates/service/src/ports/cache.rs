//! A shelf near the edge for what never changes.

use core::time::Duration;

/// Keeps bytes that never change under their name, for as long as it likes: everything on it can
/// be read from the store again.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own shelf, so Send is inferred there"
)]
pub trait ImmutableCache {
    /// What was put there under `name`, if it is still there.
    async fn get(&self, name: &str) -> Option<Vec<u8>>;

    /// Puts `bytes` there, for at most `lifetime`.
    async fn put(&self, name: &str, bytes: &[u8], lifetime: Duration);
}

/// No shelf at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCache;

impl ImmutableCache for NoCache {
    async fn get(&self, _name: &str) -> Option<Vec<u8>> {
        None
    }

    async fn put(&self, _name: &str, _bytes: &[u8], _lifetime: Duration) {}
}
