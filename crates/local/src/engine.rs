//! The database engine, in memory or on a file, with our tables in it.

use std::{future::Future, io, path::Path};

use dynoxide::{Database, DynoxideError, storage_backend::ManualClock};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::tables::{TableNames, creation, expiry};

/// Why the engine cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The path is no text; the engine takes only that.
    #[error("the database's path is not UTF-8")]
    Path,
    /// The engine itself refused.
    #[error("the database refused: {0}")]
    Engine(#[from] DynoxideError),
    /// A request of ours is not one the engine can read.
    #[error("not a request: {0}")]
    Request(#[from] serde_json::Error),
    /// No port could be had.
    #[error("cannot listen: {0}")]
    Listen(#[from] io::Error),
    /// The server stopped in a way it should not.
    #[error("{0}")]
    Serve(String),
}

/// A DynamoDB with our tables. Clones share it.
#[derive(Clone)]
pub struct Engine {
    database: Database,
}

impl Engine {
    /// An engine that forgets everything when it is dropped, and ends rows by the given clock.
    ///
    /// # Errors
    ///
    /// When the engine cannot start or the tables cannot be made.
    pub fn in_memory(clock: &ManualClock, tables: &TableNames) -> Result<Self, EngineError> {
        Self::with_tables(Database::memory_with_clock(clock.arc())?, tables)
    }

    /// An engine on a file, which is made where it is missing; rows end by the real time.
    ///
    /// # Errors
    ///
    /// When the file is no database, another program holds it, or the tables cannot be made.
    pub fn on_file(path: &Path, tables: &TableNames) -> Result<Self, EngineError> {
        let path = path.to_str().ok_or(EngineError::Path)?;
        Self::with_tables(Database::new(path)?, tables)
    }

    /// An engine that forgets everything when it is dropped; rows end by the real time.
    ///
    /// # Errors
    ///
    /// When the engine cannot start or the tables cannot be made.
    pub fn forgetful(tables: &TableNames) -> Result<Self, EngineError> {
        Self::with_tables(Database::memory()?, tables)
    }

    fn with_tables(database: Database, tables: &TableNames) -> Result<Self, EngineError> {
        for table in [&tables.main, &tables.blacklist] {
            match database.create_table(request(creation(table))?) {
                Ok(_) => {
                    database.update_time_to_live(request(expiry(table))?)?;
                }
                // A file that was used before has them already.
                Err(DynoxideError::ResourceInUseException(_)) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(Self { database })
    }

    /// Removes each row whose `ttl` has passed and says how many there were. DynamoDB does so within days;
    /// readers must judge the time by themselves.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub fn sweep(&self) -> Result<usize, EngineError> {
        Ok(self.database.sweep_ttl()?)
    }

    /// Answers DynamoDB's HTTP API until `end` resolves, then lets what runs finish.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub async fn serve(
        &self,
        listener: TcpListener,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), EngineError> {
        let served = dynoxide::server::serve_with_shutdown(listener, self.database.clone(), end);
        served.await.map_err(EngineError::Serve)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

fn request<T: DeserializeOwned>(words: Value) -> Result<T, EngineError> {
    Ok(serde_json::from_value(words)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    const NOON: u64 = 1_780_000_000;

    fn put(engine: &Engine, key: &str, ttl: u64) {
        let item =
            json!({ "PK": { "S": key }, "SK": { "S": "X" }, "ttl": { "N": ttl.to_string() } });
        let words = json!({ "TableName": "TokenBlacklist", "Item": item });
        engine.database.put_item(request(words).unwrap()).unwrap();
    }

    fn holds(engine: &Engine, key: &str) -> bool {
        let words = json!({ "TableName": "TokenBlacklist", "Key": { "PK": { "S": key }, "SK": { "S": "X" } } });
        engine
            .database
            .get_item(request(words).unwrap())
            .unwrap()
            .item
            .is_some()
    }

    #[test]
    fn a_row_goes_with_the_sweep_after_its_time_and_not_before() {
        let clock = ManualClock::new(NOON);
        let engine = Engine::in_memory(&clock, &TableNames::default()).unwrap();
        put(&engine, "TOKEN#a", NOON + 60);
        clock.tick(Duration::from_secs(60));
        assert_eq!(engine.sweep().unwrap(), 0);
        assert!(holds(&engine, "TOKEN#a"));
        clock.tick(Duration::from_secs(1));
        assert_eq!(engine.sweep().unwrap(), 1);
        assert!(!holds(&engine, "TOKEN#a"));
    }

    #[test]
    fn a_file_keeps_its_rows_over_a_restart() {
        let path =
            std::env::temp_dir().join(format!("portcullis-engine-{}.sqlite", std::process::id()));
        let open = || Engine::on_file(&path, &TableNames::default()).unwrap();
        let engine = open();
        put(&engine, "TOKEN#a", NOON);
        drop(engine);
        assert!(holds(&open(), "TOKEN#a"));
        for ending in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{ending}", path.display()));
        }
    }

    #[test]
    fn what_is_no_database_is_an_error() {
        let path =
            std::env::temp_dir().join(format!("portcullis-no-engine-{}", std::process::id()));
        std::fs::write(
            &path,
            "not a database at all, by any reading of the word".repeat(50),
        )
        .unwrap();
        assert!(Engine::on_file(&path, &TableNames::default()).is_err());
        std::fs::remove_file(&path).unwrap();
    }
}
