//! The cache near the edges: any of it may be evicted at any time.

use std::rc::Rc;
use std::time::Duration;

use portcullis_service::ports::ImmutableCache;

use crate::world::SimWorld;

/// The cache of the one location of all edges.
pub(crate) struct SimCache(pub(crate) Rc<SimWorld>);

impl ImmutableCache for SimCache {
    async fn get(&self, name: &str) -> Option<Vec<u8>> {
        let taken = self.0.shelf.borrow().get(name).cloned();
        taken.filter(|_| self.0.random.chance(700))
    }

    async fn put(&self, name: &str, bytes: &[u8], _: Duration) {
        let (name, bytes) = (name.to_owned(), bytes.to_vec());
        self.0.shelf.borrow_mut().insert(name, bytes);
    }
}
