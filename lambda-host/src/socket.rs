//! The socket entry point: HTTP/1.1, timeouts, a bounded number of connections, a graceful stop.

mod framing;
mod host_field;
mod inspected_stream;
mod places;
mod timed_stream;

use core::future::Future;
use core::net::SocketAddr;
use core::pin::pin;
use core::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use http::header::{CONNECTION, HeaderValue};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::{select, time};
use tracing::{debug, info, warn};

use crate::http_service::{HttpService, RequestOrigin, nameless};
use crate::problem::Problem;
use crate::socket::framing::FramingError;
use crate::socket::inspected_stream::{InspectedStream, Verdicts};
use crate::socket::places::Places;
use crate::socket::timed_stream::{Deadlines, Handling, TimedStream};

/// Every timeout of a connection that only checks the health: the places for it are few.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// The maximum time for open requests after the host is asked to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// The path that a full host still serves.
const HEALTH_PATH: &str = "/health";

/// The pause when the system has no room for another connection.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Serves `listener` until `stop`, then finishes the open requests.
pub async fn serve(listener: TcpListener, reception: HttpService, stop: impl Future<Output = ()>) {
    let limits = reception.host().connections;
    let (graceful, places) = (
        GracefulShutdown::new(),
        Places::new(limits.total, limits.per_address),
    );
    let mut stop = pin!(stop);
    loop {
        let accepted = select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "no connection was accepted");
                time::sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        // Without a place the connection is closed at once: a waiting one would use a descriptor.
        let Some(place) = places.take(peer.ip()) else {
            debug!("a connection was closed: too many are open");
            continue;
        };
        // Responses are small: waiting to fill a packet would only delay them.
        let _ = stream.set_nodelay(true);
        let deadlines = match place.service {
            places::Service::Every => Deadlines {
                header: limits.header,
                idle: limits.idle,
                write: limits.write,
            },
            places::Service::Health => Deadlines {
                header: HEALTH_TIMEOUT,
                idle: HEALTH_TIMEOUT,
                write: HEALTH_TIMEOUT,
            },
        };
        let (reception, handling) = (reception.clone(), Handling::default());
        let verdicts = Verdicts::default();
        let stream = TimedStream::new(stream, deadlines, handling.clone());
        let stream = InspectedStream::new(stream, verdicts.clone());
        let allowed = place.service;
        let service = service_fn(move |request: Request<Incoming>| {
            let (reception, handling) = (reception.clone(), handling.clone());
            let refusal = refusal(verdicts.next(), &request);
            async move {
                handling.begin();
                let is_served =
                    allowed == places::Service::Every || request.uri().path() == HEALTH_PATH;
                let response = if !is_served {
                    closing(Problem::Busy.answer(&nameless()))
                } else if refusal.is_some() {
                    closing(see_through(reception, peer, refusal, request).await)
                } else {
                    see_through(reception, peer, None, request).await
                };
                handling.end();
                Ok::<_, core::convert::Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // The stream has the deadline of a head. This one would also end a silent connection.
            .header_read_timeout(None)
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

/// The reason to refuse a request by its head, before any other rule.
fn refusal(framed: Result<(), FramingError>, request: &Request<Incoming>) -> Option<Problem> {
    match framed {
        Err(FramingError::Malformed) => Some(Problem::MalformedRequest),
        Err(FramingError::UnsupportedCoding) => Some(Problem::UnsupportedTransferCoding),
        Ok(()) if !host_field::is_valid(request.version(), request.headers()) => {
            Some(Problem::MalformedRequest)
        }
        Ok(()) => None,
    }
}

/// A response after which the connection ends.
fn closing(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// Answers `request` in its own task: a client that disconnects interrupts no work. Otherwise an
/// attacker could try passwords and leave before the audit entry is written.
async fn see_through(
    reception: HttpService,
    peer: SocketAddr,
    refusal: Option<Problem>,
    request: Request<Incoming>,
) -> Response {
    let client_address = peer.ip().to_canonical().to_string();
    let arrival = RequestOrigin {
        client_address,
        refusal,
        ..RequestOrigin::default()
    };
    let request = request.map(Body::new);
    let task = tokio::spawn(async move { reception.answer(arrival, request).await });
    task.await
        .unwrap_or_else(|_stopped| Problem::Internal.answer(&nameless()))
}
