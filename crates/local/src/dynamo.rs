//! An in-memory engine on its own port, for tests.

use std::net::{Ipv4Addr, SocketAddr};

use dynoxide::storage_backend::ManualClock;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{
    engine::{Engine, EngineError},
    tables::TableNames,
};

/// A running in-memory engine on a free loopback port, with a manual clock.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dynamo = portcullis_local::LocalDynamo::start(1_780_000_000).await?;
/// assert!(dynamo.endpoint().starts_with("http://127.0.0.1:"));
/// dynamo.stop().await
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct LocalDynamo {
    address: SocketAddr,
    clock: ManualClock,
    engine: Engine,
    end: oneshot::Sender<()>,
    server: JoinHandle<Result<(), EngineError>>,
}

impl LocalDynamo {
    /// Starts an engine with both tables under their default names and the clock at `now` (seconds
    /// since 1970).
    ///
    /// # Errors
    ///
    /// If the engine cannot start or no port is free.
    pub async fn start(now: u64) -> Result<Self, EngineError> {
        let clock = ManualClock::new(now);
        let engine = Engine::in_memory(&clock, &TableNames::default())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (end, ended) = oneshot::channel();
        let served = engine.clone();
        let server = tokio::spawn(async move {
            // A dropped sender also stops it.
            served.serve(listener, async { drop(ended.await) }).await
        });
        Ok(Self {
            address,
            clock,
            engine,
            end,
            server,
        })
    }

    /// The listening address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The listening address as a URL without a trailing slash.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The clock of TTL expiry. It advances only manually.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// The engine, for a TTL sweep at a time chosen by the test.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Stops accepting requests and waits until the last response is sent.
    ///
    /// # Errors
    ///
    /// If the server has failed.
    pub async fn stop(self) -> Result<(), EngineError> {
        // A failed server no longer listens; joining the task returns the reason.
        let _ = self.end.send(());
        match self.server.await {
            Ok(result) => result,
            Err(fault) => Err(EngineError::Serve(fault.to_string())),
        }
    }
}
