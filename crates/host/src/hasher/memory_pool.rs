//! The memory Argon2 works in: fetched once, used again, wiped in between.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::Block;
use portcullis_service::ports::HashError;
use zeroize::Zeroize as _;

/// Workspaces nobody uses at the moment. There are never more than ran at once, and none larger
/// than today's hashes need: what a costlier one needed goes back to the system.
pub(super) struct MemoryPool {
    free: Mutex<Vec<Vec<Block>>>,
    largest: usize,
}

impl MemoryPool {
    /// Keeps workspaces of at most `largest` blocks.
    pub(super) const fn new(largest: usize) -> Self {
        Self {
            free: Mutex::new(Vec::new()),
            largest,
        }
    }

    /// A workspace of `blocks` blocks; it comes back by itself.
    pub(super) fn take(self: &Arc<Self>, blocks: usize) -> Result<Workspace, HashError> {
        let free = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut memory = free.unwrap_or_default();
        // An allocation that failed would end the process; this asks first.
        let missing = blocks.saturating_sub(memory.len());
        memory
            .try_reserve_exact(missing)
            .map_err(|_| HashError::Failed)?;
        memory.resize_with(memory.len().max(blocks), Block::default);
        Ok(Workspace {
            memory,
            used: blocks,
            home: Arc::clone(self),
        })
    }
}

impl core::fmt::Debug for MemoryPool {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Workspaces(..)")
    }
}

/// Memory for one run.
pub(super) struct Workspace {
    memory: Vec<Block>,
    used: usize,
    home: Arc<MemoryPool>,
}

impl Workspace {
    /// The blocks to work in.
    pub(super) fn blocks(&mut self) -> &mut [Block] {
        self.memory.get_mut(..self.used).unwrap_or_default()
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // SECURITY: the last blocks would let a guess be checked without the work.
        for block in self.blocks() {
            block.zeroize();
        }
        let memory = mem::take(&mut self.memory);
        if memory.len() > self.home.largest {
            return;
        }
        self.home
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_wiped_and_is_used_again() {
        let home = Arc::new(MemoryPool::new(8));
        let mut first = home.take(8).expect("memory");
        first.blocks()[7].as_mut()[0] = 7;
        let address = first.blocks().as_ptr();
        drop(first);
        let mut second = home.take(4).expect("memory");
        assert_eq!(
            (second.blocks().as_ptr(), second.blocks().len()),
            (address, 4)
        );
        assert!(
            second
                .memory
                .iter()
                .all(|block| block.as_ref().iter().all(|word| *word == 0))
        );
    }

    #[test]
    fn what_was_needed_once_is_not_kept() {
        let home = Arc::new(MemoryPool::new(8));
        drop(home.take(9).expect("memory"));
        assert!(home.free.lock().expect("whole").is_empty());
        drop(home.take(8).expect("memory"));
        assert_eq!(home.free.lock().expect("whole").len(), 1);
    }
}
