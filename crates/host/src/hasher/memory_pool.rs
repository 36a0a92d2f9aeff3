//! The memory of Argon2: allocated once, reused, wiped in between.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::Block;
use portcullis_service::ports::HashError;
use zeroize::Zeroize as _;

/// Idle workspaces. There are never more than concurrent runs, and none is larger than current
/// hashes need. A larger one is returned to the system.
pub(super) struct MemoryPool {
    free: Mutex<Vec<Vec<Block>>>,
    largest: usize,
}

impl MemoryPool {
    /// A pool of workspaces of at most `largest` blocks.
    pub(super) const fn new(largest: usize) -> Self {
        Self {
            free: Mutex::new(Vec::new()),
            largest,
        }
    }

    /// A workspace of `blocks` blocks; dropping it returns it to the pool.
    pub(super) fn take(self: &Arc<Self>, blocks: usize) -> Result<Workspace, HashError> {
        let free = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut memory = free.unwrap_or_default();
        // A failed allocation would end the process; this call reports it instead.
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

/// The memory of one run.
pub(super) struct Workspace {
    memory: Vec<Block>,
    used: usize,
    home: Arc<MemoryPool>,
}

impl Workspace {
    /// The blocks of the run.
    pub(super) fn blocks(&mut self) -> &mut [Block] {
        self.memory.get_mut(..self.used).unwrap_or_default()
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // SECURITY: the last blocks would let an attacker verify a guess without the work.
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
    fn argon2_memory_is_wiped_and_reused() {
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
    fn an_oversized_workspace_is_not_kept() {
        let home = Arc::new(MemoryPool::new(8));
        drop(home.take(9).expect("memory"));
        assert!(home.free.lock().expect("whole").is_empty());
        drop(home.take(8).expect("memory"));
        assert_eq!(home.free.lock().expect("whole").len(), 1);
    }
}
