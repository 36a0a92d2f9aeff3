//! An engine in memory behind a port of its own: what a test starts.

use std::net::{Ipv4Addr, SocketAddr};

use dynoxide::storage_backend::ManualClock;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{
    engine::{Engine, EngineError},
    tables::TableNames,
};

/// A running engine in memory, on a free port of loopback, under a clock that stands still.
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
    /// Starts one, with both tables under their usual names and the clock at `now` (seconds since 1970).
    ///
    /// # Errors
    ///
    /// When the engine cannot start or no port is free.
    pub async fn start(now: u64) -> Result<Self, EngineError> {
        let clock = ManualClock::new(now);
        let engine = Engine::in_memory(&clock, &TableNames::default())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (end, ended) = oneshot::channel();
        let served = engine.clone();
        let server = tokio::spawn(async move {
            // A dropped sender ends it too.
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

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as a URL without a slash at its end.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The clock by which rows end. It moves only by hand.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// The engine, for a sweep at the moment a test chooses.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Stops answering and waits until the last request has been answered.
    ///
    /// # Errors
    ///
    /// When the server had failed.
    pub async fn stop(self) -> Result<(), EngineError> {
        // A server that has failed listens no more; joining it says why.
        let _ = self.end.send(());
        match self.server.await {
            Ok(result) => result,
            Err(fault) => Err(EngineError::Serve(fault.to_string())),
        }
    }
}
