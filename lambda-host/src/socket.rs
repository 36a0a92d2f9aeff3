//! The socket entry point: HTTP/1.1, timeouts, a bounded number of connections, a graceful stop.

use core::future::Future;
use core::net::SocketAddr;
use core::pin::pin;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::{select, time};
use tracing::{debug, info, warn};

use crate::http_service::{HttpService, RequestOrigin, nameless};
use crate::problem::Problem;

/// The maximum number of open connections; more wait to be accepted.
const MAX_CONNECTIONS: usize = 1_024;

/// The maximum time for a request's head, and for a silent connection between two requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// The maximum time for open requests after the host is asked to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// The pause when the system has no room for another connection.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Serves `listener` until `stop`, then finishes the open requests.
pub async fn serve(listener: TcpListener, reception: HttpService, stop: impl Future<Output = ()>) {
    let (graceful, places) = (
        GracefulShutdown::new(),
        Arc::new(Semaphore::new(MAX_CONNECTIONS)),
    );
    let mut stop = pin!(stop);
    loop {
        let accepted = select! {
            () = &mut stop => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "no connection was accepted");
                time::sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        // Responses are small: waiting to fill a packet would only delay them.
        let _ = stream.set_nodelay(true);
        let reception = reception.clone();
        let service = service_fn(move |request| {
            let reception = reception.clone();
            async move {
                Ok::<_, core::convert::Infallible>(see_through(reception, peer, request).await)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    info!("stopping; requests under way are finished");
    if time::timeout(SHUTDOWN_GRACE, graceful.shutdown())
        .await
        .is_err()
    {
        warn!("some requests did not finish in time");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

/// Answers `request` in its own task: a client that disconnects interrupts no work. Otherwise an
/// attacker could try passwords and leave before the audit entry is written.
async fn see_through(
    reception: HttpService,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response {
    let client_address = peer.ip().to_canonical().to_string();
    let arrival = RequestOrigin {
        client_address,
        ..RequestOrigin::default()
    };
    let request = request.map(Body::new);
    let task = tokio::spawn(async move { reception.answer(arrival, request).await });
    task.await
        .unwrap_or_else(|_stopped| Problem::Internal.answer(&nameless()))
}
