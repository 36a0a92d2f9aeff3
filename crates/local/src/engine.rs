//! The database engine, in memory or on a file, with the Portcullis tables.

use std::{future::Future, io, path::Path};

use dynoxide::{Database, DynoxideError, storage_backend::ManualClock};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::tables::{TableNames, creation, expiry};

/// The error of an engine operation.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The path is not UTF-8, which the engine requires.
    #[error("the database's path is not UTF-8")]
    Path,
    /// The engine returned an error.
    #[error("the database returned an error: {0}")]
    Engine(#[from] DynoxideError),
    /// A request of this crate is invalid for the engine.
    #[error("not a request: {0}")]
    Request(#[from] serde_json::Error),
    /// No port was free.
    #[error("cannot listen: {0}")]
    Listen(#[from] io::Error),
    /// The server stopped unexpectedly.
    #[error("{0}")]
    Serve(String),
}

/// A DynamoDB with the Portcullis tables. Clones share it.
#[derive(Clone)]
pub struct Engine {
    database: Database,
}

impl Engine {
    /// An ephemeral engine that loses its data when dropped, with TTL expiry by the given clock.
    ///
    /// # Errors
    ///
    /// If the engine cannot start or the tables cannot be created.
    pub fn in_memory(clock: &ManualClock, tables: &TableNames) -> Result<Self, EngineError> {
        Self::with_tables(Database::memory_with_clock(clock.arc())?, tables)
    }

    /// An engine on a file, which is created if missing, with TTL expiry by the system clock.
    ///
    /// # Errors
    ///
    /// If the file is not a database, another program locks it, or the tables cannot be created.
    pub fn on_file(path: &Path, tables: &TableNames) -> Result<Self, EngineError> {
        let path = path.to_str().ok_or(EngineError::Path)?;
        Self::with_tables(Database::new(path)?, tables)
    }

    /// An ephemeral engine that loses its data when dropped, with TTL expiry by the system clock.
    ///
    /// # Errors
    ///
    /// If the engine cannot start or the tables cannot be created.
    pub fn forgetful(tables: &TableNames) -> Result<Self, EngineError> {
        Self::with_tables(Database::memory()?, tables)
    }

    fn with_tables(database: Database, tables: &TableNames) -> Result<Self, EngineError> {
        for table in [&tables.main, &tables.blacklist] {
            match database.create_table(request(creation(table))?) {
                Ok(_) => {
                    database.update_time_to_live(request(expiry(table))?)?;
                }
                // A file from an earlier run already has them.
                Err(DynoxideError::ResourceInUseException(_)) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(Self { database })
    }

    /// Deletes each row after its `ttl` and returns the number of deleted rows. DynamoDB does so
    /// within days; readers must check the time themselves.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn sweep(&self) -> Result<usize, EngineError> {
        Ok(self.database.sweep_ttl()?)
    }

    /// Serves DynamoDB's HTTP API until `end` resolves, then completes running requests.
    ///
    /// # Errors
    ///
    /// If the server fails.
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
    fn an_expired_row_is_deleted_by_the_sweep_after_its_ttl_and_not_before() {
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
    fn a_file_keeps_its_rows_across_a_restart() {
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
    fn a_file_that_is_no_database_is_an_error() {
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
