//! Argon2id ([RFC 9106]) off the async threads: bounded in number, in memory that is used again.
//!
//! [RFC 9106]: https://www.rfc-editor.org/rfc/rfc9106

mod recipe;
mod workspace;

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use argon2::password_hash::phc::{Output, Salt};
use portcullis_core::password::{Password, PasswordHash};
use portcullis_service::ports::{HashError, HashVerdict, Hasher};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::chance::SystemChance;
pub use crate::hasher::recipe::HashParameters;
use crate::hasher::recipe::Recipe;
use crate::hasher::workspace::Workspaces;

/// How many passwords may be hashed, and wait to be.
#[derive(Clone, Copy, Debug)]
pub struct HashLimits {
    /// How many at once; each takes a core, and the memory of [`HashParameters`].
    pub at_once: usize,
    /// How many more may wait for their turn before one is turned away.
    pub waiting: usize,
}

/// Hashes passwords with Argon2id.
#[derive(Debug)]
pub struct Argon2Hasher {
    today: HashParameters,
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
    workspaces: Arc<Workspaces>,
    runs: AtomicU64,
}

impl Argon2Hasher {
    /// Hashes new passwords with the parameters `today`.
    pub fn new(today: HashParameters, limits: HashLimits) -> Self {
        let at_once = limits.at_once.clamp(1, Semaphore::MAX_PERMITS / 2);
        let waiting = limits.waiting.min(Semaphore::MAX_PERMITS / 2);
        Self {
            today,
            admitted: Arc::new(Semaphore::new(at_once.saturating_add(waiting))),
            running: Arc::new(Semaphore::new(at_once)),
            workspaces: Arc::new(Workspaces::default()),
            runs: AtomicU64::new(0),
        }
    }

    /// How often Argon2 ran since the start.
    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    async fn run(
        &self,
        recipe: Recipe,
        salt: Salt,
        password: &Password,
    ) -> Result<Output, HashError> {
        let turn = self.turn().await?;
        let (password, workspaces) = (password.clone(), Arc::clone(&self.workspaces));
        self.runs.fetch_add(1, Ordering::Relaxed);
        // The turn goes along: a caller that goes away does not free the core that is still busy.
        let work = spawn_blocking(move || {
            let _turn = turn;
            let mut workspace = workspaces.take(recipe.blocks())?;
            recipe.run(&password, &salt, workspace.blocks())
        });
        work.await.map_err(|_stopped| HashError::Failed)?
    }

    async fn turn(&self) -> Result<[OwnedSemaphorePermit; 2], HashError> {
        let place = Arc::clone(&self.admitted).try_acquire_owned();
        let place = place.map_err(|_full| HashError::Busy)?;
        let core = Arc::clone(&self.running).acquire_owned().await;
        let core = core.map_err(|_closed| HashError::Failed)?;
        Ok([place, core])
    }
}

impl Hasher for Argon2Hasher {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HashError> {
        let (recipe, salt) = (Recipe::of(self.today)?, fresh_salt()?);
        let output = self.run(recipe.clone(), salt, password).await?;
        recipe.write(salt, output)
    }

    async fn verify(
        &self,
        password: &Password,
        stored: Option<&PasswordHash>,
    ) -> Result<HashVerdict, HashError> {
        let Some(stored) = stored else {
            // SECURITY: an unknown address must cost what a wrong password costs: the same run,
            // under a salt that is no account's, with a result that nobody looks at. (An account
            // that has not logged in since the parameters rose answers sooner than this.)
            let (decoy, salt) = (Recipe::of(self.today)?, fresh_salt()?);
            let _ = self.run(decoy, salt, password).await?;
            return Ok(HashVerdict::Differs);
        };
        let (recipe, salt, expected) = Recipe::read(stored)?;
        let outdated = recipe.is_lesser_than(self.today);
        // `Output` compares in constant time.
        match self.run(recipe, salt, password).await? == expected {
            true if outdated => Ok(HashVerdict::MatchesOutdated),
            true => Ok(HashVerdict::Matches),
            false => Ok(HashVerdict::Differs),
        }
    }
}

fn fresh_salt() -> Result<Salt, HashError> {
    let mut bytes = [0; Salt::RECOMMENDED_LENGTH];
    SystemChance
        .fill(&mut bytes)
        .map_err(|_| HashError::Failed)?;
    Salt::new(&bytes).map_err(|_| HashError::Failed)
}

#[cfg(test)]
mod tests {
    use portcullis_core::secret::Secret;

    use super::*;

    const SMALL: HashParameters = HashParameters {
        memory_kib: 64,
        passes: 2,
        lanes: 1,
    };
    const ONE: HashLimits = HashLimits {
        at_once: 1,
        waiting: 0,
    };

    fn password(text: &str) -> Password {
        Password::parse(&Secret::new(text.to_owned())).expect("short enough")
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_alone() {
        let hasher = Argon2Hasher::new(SMALL, ONE);
        let hash = hasher
            .hash(&password("correct horse battery"))
            .await
            .expect("hashed");
        assert!(hash.as_phc().starts_with("$argon2id$v=19$m=64,t=2,p=1$"));
        for (text, verdict) in [
            ("correct horse battery", HashVerdict::Matches),
            ("correct horse batterx", HashVerdict::Differs),
        ] {
            assert_eq!(
                hasher.verify(&password(text), Some(&hash)).await,
                Ok(verdict)
            );
        }
        let again = hasher
            .hash(&password("correct horse battery"))
            .await
            .expect("hashed");
        assert_ne!(hash.as_phc(), again.as_phc(), "each has a salt of its own");
    }

    #[tokio::test]
    async fn no_account_costs_one_run_like_a_wrong_password() {
        let hasher = Argon2Hasher::new(SMALL, ONE);
        let hash = hasher
            .hash(&password("correct horse battery"))
            .await
            .expect("hashed");
        for stored in [Some(&hash), None] {
            let before = hasher.runs();
            let verdict = hasher.verify(&password("something else"), stored).await;
            assert_eq!(verdict, Ok(HashVerdict::Differs));
            assert_eq!(hasher.runs(), before + 1);
        }
    }

    #[tokio::test]
    async fn a_hash_with_lesser_parameters_is_outdated() {
        let lesser = HashParameters { passes: 1, ..SMALL };
        let old = Argon2Hasher::new(lesser, ONE)
            .hash(&password("correct horse"))
            .await;
        let old = old.expect("hashed");
        let today = Argon2Hasher::new(SMALL, ONE);
        let verdict = today.verify(&password("correct horse"), Some(&old)).await;
        assert_eq!(verdict, Ok(HashVerdict::MatchesOutdated));
        let then = Argon2Hasher::new(lesser, ONE);
        let verdict = then.verify(&password("correct horse"), Some(&old)).await;
        assert_eq!(verdict, Ok(HashVerdict::Matches));
    }

    #[tokio::test]
    async fn one_too_many_is_turned_away_and_the_next_is_not() {
        let hasher = Argon2Hasher::new(
            SMALL,
            HashLimits {
                at_once: 1,
                waiting: 1,
            },
        );
        let (first, second) = (
            hasher.turn().await,
            hasher.admitted.clone().try_acquire_owned(),
        );
        assert!(first.is_ok() && second.is_ok());
        let refused = hasher.hash(&password("correct horse")).await;
        assert_eq!(refused.map(|_| ()), Err(HashError::Busy));
        drop((first, second));
        assert!(hasher.hash(&password("correct horse")).await.is_ok());
    }
}
