//! Sends signed requests with hyper: pooled connections, rustls, timeouts.

use core::time::Duration;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use portcullis_aws::dependency::Dependency;
use portcullis_aws::transport::{MAX_ANSWER_BYTES, Transport, TransportError};
use portcullis_core::breaker::BreakerState;
use tokio::time;

use crate::clock::WallClock;
use crate::metrics;

/// The AWS client of the native programs.
pub type AwsClient = portcullis_aws::client::Client<HyperTransport>;

/// The timeouts of a call.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For opening a connection.
    pub connect: Duration,
    /// For the whole call, from the request to the last byte of the response, with the connection.
    pub answer: Duration,
    /// For an idle pooled connection.
    pub idle: Duration,
}

impl Default for Timeouts {
    /// DynamoDB responds in milliseconds; a call without a response in 3 s is retried.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            answer: Duration::from_secs(3),
            idle: Duration::from_secs(30),
        }
    }
}

/// Speaks HTTP/1.1, over TLS if the URL says `https`.
#[derive(Debug)]
pub struct HyperTransport {
    timeouts: Timeouts,
    clock: Arc<dyn WallClock>,
    // Created on first use: a cold start loads no TLS roots before it needs them.
    client: OnceLock<Client<HttpsConnector<HttpConnector>, Full<Bytes>>>,
}

impl HyperTransport {
    /// A transport without connections.
    pub fn new(timeouts: Timeouts, clock: Arc<dyn WallClock>) -> Self {
        Self {
            timeouts,
            clock,
            client: OnceLock::new(),
        }
    }

    fn client(&self) -> &Client<HttpsConnector<HttpConnector>, Full<Bytes>> {
        self.client.get_or_init(|| {
            let mut connector = HttpConnector::new();
            connector.enforce_http(false);
            connector.set_nodelay(true);
            connector.set_connect_timeout(Some(self.timeouts.connect));
            let connector = HttpsConnectorBuilder::new()
                .with_webpki_roots()
                .https_or_http()
                .enable_http1()
                .wrap_connector(connector);
            // hyper replaces a pooled connection that the server closed before a byte of the
            // request left. Nothing that may have arrived is resent here.
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(self.timeouts.idle)
                .build(connector)
        })
    }

    async fn exchange(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, TransportError> {
        let response = self.client().request(request.map(Full::new)).await;
        let (parts, body) = response.map_err(failure)?.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
            Ok(_) => TransportError::TooLong,
            Err(error) => TransportError::Broken(error),
        })?;
        Ok(http::Response::from_parts(parts, body.to_bytes()))
    }
}

impl Transport for HyperTransport {
    async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, TransportError> {
        time::timeout(self.timeouts.answer, self.exchange(request))
            .await
            .unwrap_or(Err(TransportError::Timeout))
    }

    async fn sleep(&self, span: Duration) {
        time::sleep(span).await;
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn on_breaker_change(&self, dependency: Dependency, standing: BreakerState) {
        metrics::breaker_changed(
            dependency.as_str(),
            standing,
            self.clock.read().unwrap_or_default(),
        );
    }
}

fn failure(error: hyper_util::client::legacy::Error) -> TransportError {
    if error.is_connect() {
        TransportError::Connect(error.into())
    } else {
        TransportError::Broken(error.into())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Responds to the first request of each connection with `answer`, then closes it; without an
    /// answer, never responds.
    async fn peer(answer: impl Into<Bytes>) -> http::Request<Bytes> {
        let answer = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4_096]).await;
                let _ = stream.write_all(&answer).await;
                if answer.is_empty() {
                    core::future::pending::<()>().await;
                }
            }
        });
        let request = http::Request::post(format!("http://{address}/"));
        request.body(Bytes::from_static(b"{}")).expect("a request")
    }

    async fn send(request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        let answer = Duration::from_secs(1);
        let timeouts = Timeouts {
            answer,
            ..Timeouts::default()
        };
        HyperTransport::new(timeouts, Arc::new(crate::clock::SystemClock))
            .send(request)
            .await
    }

    #[tokio::test]
    async fn a_response_is_returned_unchanged_and_redirects_are_not_followed() {
        let redirect =
            b"HTTP/1.1 307 T\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 2\r\n\r\nhi";
        let response = send(peer(&redirect[..]).await).await.expect("an answer");
        assert_eq!(
            (response.status().as_u16(), &response.body()[..]),
            (307, &b"hi"[..])
        );
    }

    #[tokio::test]
    async fn each_transport_error_tells_whether_the_request_may_have_arrived() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let closed = format!("http://{}/", listener.local_addr().expect("bound"));
        drop(listener);
        let refused = send(
            http::Request::post(closed)
                .body(Bytes::new())
                .expect("a request"),
        );
        assert!(matches!(refused.await, Err(TransportError::Connect(_))));

        let cut = peer(&b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"[..]).await;
        assert!(matches!(send(cut).await, Err(TransportError::Broken(_))));
        let silent = peer(&b""[..]).await;
        assert!(matches!(send(silent).await, Err(TransportError::Timeout)));
        for (length, fits) in [(MAX_ANSWER_BYTES, true), (MAX_ANSWER_BYTES + 1, false)] {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            let long = peer([head.as_bytes(), &vec![b' '; length]].concat()).await;
            match send(long).await {
                Ok(response) => assert!(fits && response.body().len() == length),
                Err(error) => assert!(!fits && matches!(error, TransportError::TooLong)),
            }
        }
    }
}
