//! Argon2id ([RFC 9106]) off the async threads, with a bounded number of runs in pooled memory.
//! Hashes of other systems are verified but never created.
//!
//! [RFC 9106]: https://www.rfc-editor.org/rfc/rfc9106

mod fair_queue;
mod hash_config;
mod imported;
mod memory_pool;
mod stored;

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use argon2::password_hash::phc::Salt;
use portcullis_core::limit::client::ClientNetwork;
use portcullis_core::password::{Password, PasswordHash};
use portcullis_core::root_keys::RootKeys;
use portcullis_service::ports::{HashError, HashVerdict, PasswordHasher};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tracing::error;

use crate::hasher::fair_queue::{FairQueue, Network, Turn};
use crate::hasher::hash_config::Argon2Hash;
pub use crate::hasher::hash_config::HashParameters;
use crate::hasher::hash_config::{HashConfig, Pepper};
use crate::hasher::memory_pool::MemoryPool;
use crate::hasher::stored::Stored;
use crate::random::SystemRandom;

/// The limits of concurrent and queued password hashes.
#[derive(Clone, Copy, Debug)]
pub struct HashLimits {
    /// Concurrent hashes; each takes one core and the memory of [`HashParameters`].
    pub at_once: usize,
    /// Queued hashes; more are rejected as busy. Networks are served in turn.
    pub waiting: usize,
    /// The memory of all concurrent hashes together, in MiB. A stored hash that needs more is not
    /// verified.
    pub memory_mib: u32,
}

/// The operator's rules for hashes.
#[derive(Clone, Debug, Default)]
pub struct HashRules {
    /// Whether new hashes contain a pepper of the root keys.
    pub pepper: bool,
    /// A sample of the imported or outdated kind of hash. While it is set, every verification costs
    /// one current run and one run of that kind.
    pub former: Option<PasswordHash>,
}

/// Runs hashes within bounds of memory and cores.
#[derive(Debug)]
pub struct HashPool {
    today: HashParameters,
    rules: HashRules,
    memory_mib: u32,
    queue: Arc<FairQueue>,
    memory: Arc<Semaphore>,
    workspaces: Arc<MemoryPool>,
    runs: AtomicU64,
}

/// Hashes passwords in a [`HashPool`], with the peppers of the root keys.
#[derive(Clone, Copy, Debug)]
pub struct PoolHasher<'a> {
    pool: &'a HashPool,
    root_keys: &'a RootKeys,
    network: Network,
}

/// Whether a sample of a legacy hash can be verified; the reader of the configuration checks this.
pub fn is_readable(hash: &PasswordHash) -> bool {
    Stored::read(hash).is_ok_and(|stored| stored.key_id().is_none())
}

impl HashPool {
    /// A pool that hashes with the parameters `today`.
    pub fn new(today: HashParameters, limits: HashLimits, rules: HashRules) -> Self {
        let memory_mib = limits.memory_mib.max(mib(today.memory_kib));
        let largest = usize::try_from(today.memory_kib).unwrap_or(usize::MAX);
        Self {
            today,
            rules,
            memory_mib,
            queue: FairQueue::new(limits.at_once, limits.waiting),
            memory: Arc::new(Semaphore::new(
                usize::try_from(memory_mib).unwrap_or(Semaphore::MAX_PERMITS),
            )),
            workspaces: Arc::new(MemoryPool::new(largest)),
            runs: AtomicU64::new(0),
        }
    }

    /// A hasher with the peppers of `root_keys`, for requests of the client at `client_address`.
    pub fn with<'a>(&'a self, root_keys: &'a RootKeys, client_address: &str) -> PoolHasher<'a> {
        PoolHasher {
            pool: self,
            root_keys,
            network: ClientNetwork::parse(client_address),
        }
    }

    /// The number of hashes since the start.
    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// Runs `work` when its turn comes: `runs` hashes of at most `memory_kib`, one after the other.
    async fn run<T: Send + 'static>(
        &self,
        network: Network,
        (runs, memory_kib): (u64, u32),
        work: impl FnOnce(&Arc<MemoryPool>) -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let turn = self.turn(network, memory_kib).await?;
        self.runs.fetch_add(runs, Ordering::Relaxed);
        let workspaces = Arc::clone(&self.workspaces);
        // The permit moves into the work: a client that disconnects does not free a core that is
        // still busy.
        let work = spawn_blocking(move || {
            let _turn = turn;
            work(&workspaces)
        });
        work.await.map_err(|_stopped| HashError::Failed)?
    }

    async fn turn(
        &self,
        network: Network,
        memory_kib: u32,
    ) -> Result<(Turn, OwnedSemaphorePermit), HashError> {
        if mib(memory_kib) > self.memory_mib {
            error!(
                memory_kib,
                "a stored hash needs more memory than PORTCULLIS_HASH_MEMORY"
            );
            return Err(HashError::Failed);
        }
        let turn = self.queue.turn(network).await;
        let turn = turn.map_err(|_full| HashError::Busy)?;
        let memory = Arc::clone(&self.memory).acquire_many_owned(mib(memory_kib));
        let memory = memory.await.map_err(|_closed| HashError::Failed)?;
        Ok((turn, memory))
    }
}

impl PoolHasher<'_> {
    /// The pepper of new hashes; `None` without peppers.
    fn pepper(&self) -> Option<Pepper> {
        let wanted = self.pool.rules.pepper;
        wanted
            .then(|| Pepper::of(self.root_keys, self.root_keys.current_id()))
            .flatten()
    }

    /// The runs that hide the kind of an account's hash and the existence of the account.
    ///
    /// SECURITY: every verification contains one current run, and one of the legacy kind if a
    /// sample is set. An unknown address, a wrong password and an imported hash cost the same. A
    /// hash of neither kind costs more, never less.
    fn beside(&self, stored: Option<&Stored>) -> Result<Option<Stored>, HashError> {
        let former = self.pool.rules.former.as_ref();
        match stored {
            Some(stored) if !stored.costs(self.pool.today) => self.decoy().map(Some),
            Some(_) | None => former.map(Stored::read).transpose(),
        }
    }

    /// A decoy hash of current cost under a random salt, which matches no password.
    fn decoy(&self) -> Result<Stored, HashError> {
        Ok(Stored::Argon2(Argon2Hash {
            recipe: HashConfig::of(self.pool.today)?,
            salt: fresh_salt()?,
            expected: None,
            key_id: None,
        }))
    }
}

impl PasswordHasher for PoolHasher<'_> {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HashError> {
        let (recipe, salt) = (HashConfig::of(self.pool.today)?, fresh_salt()?);
        let (password, pepper) = (password.clone(), self.pepper());
        let cost = (1, self.pool.today.memory_kib);
        let made = self.pool.run(self.network, cost, move |workspaces| {
            let mut workspace = workspaces.take(recipe.blocks())?;
            let output = recipe.run(&password, &salt, pepper.as_ref(), workspace.blocks())?;
            recipe.write(salt, pepper.as_ref(), output)
        });
        made.await
    }

    async fn verify(
        &self,
        password: &Password,
        stored: Option<&PasswordHash>,
    ) -> Result<HashVerdict, HashError> {
        let read = stored.map(Stored::read).transpose()?;
        let beside = self.beside(read.as_ref())?;
        let known = read.is_some();
        let stored = read.map_or_else(|| self.decoy(), Ok)?;
        let pepper = stored
            .key_id()
            .map(|key_id| Pepper::of(self.root_keys, key_id));
        // INVARIANT: a replaced root key stays in the host's secret while hashes name it.
        let lost = matches!(pepper, Some(None));
        if lost {
            error!("a password hash names a root key that the host's secret lacks");
        }
        let (pepper, password) = (pepper.flatten(), password.clone());
        let wanted = self.pepper().map(|pepper| pepper.key_id);
        let outdated = stored.is_lesser_than(self.pool.today, wanted.as_deref());
        let memory = stored.memory_kib();
        let memory = memory.max(beside.as_ref().map_or(0, Stored::memory_kib));
        let runs = if beside.is_some() { 2 } else { 1 };
        let checked = self
            .pool
            .run(self.network, (runs, memory), move |workspaces| {
                let matches = stored.matches(&password, pepper.as_ref(), workspaces)?;
                if let Some(beside) = beside {
                    let _ = beside.matches(&password, None, workspaces)?;
                }
                Ok(matches)
            });
        Ok(match checked.await? && known && !lost {
            true if outdated => HashVerdict::MatchesOutdated,
            true => HashVerdict::Matches,
            false => HashVerdict::Differs,
        })
    }

    fn can_check(&self, stored: &PasswordHash) -> bool {
        Stored::read(stored).is_ok_and(|stored| {
            stored.key_id().is_none() && mib(stored.memory_kib()) <= self.pool.memory_mib
        })
    }
}

/// Whole MiB, at least one.
const fn mib(kib: u32) -> u32 {
    let mib = kib.div_ceil(1_024);
    if mib == 0 { 1 } else { mib }
}

fn fresh_salt() -> Result<Salt, HashError> {
    let mut bytes = [0; Salt::RECOMMENDED_LENGTH];
    SystemRandom
        .fill(&mut bytes)
        .map_err(|_| HashError::Failed)?;
    Salt::new(&bytes).map_err(|_| HashError::Failed)
}

#[cfg(test)]
mod tests;
