//! A real HTTP connection with injected faults.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use portcullis_aws::dependency::Dependency;
use portcullis_aws::transport::{Transport, TransportError};
use portcullis_core::breaker::{BreakerConfig, BreakerState};
use serde_json::Value;

/// The fault of one request. Requests without an ordered fault pass.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The request passes unchanged.
    Pass,
    /// The connection fails.
    Refuse,
    /// The server executes the request, and the connection breaks before the response.
    LoseAnswer,
    /// The server executes the request, and its response is truncated.
    CutAnswer,
    /// The server executes the request, and one byte of its response changes.
    SpoilAnswer,
    /// The server has forgotten the token: a repeated transaction counts as a new one.
    ForgetToken,
    /// Another party responds; the request does not reach the server.
    Answer(u16, &'static str),
}

/// Sends requests over hyper and injects the ordered faults.
#[derive(Debug)]
pub(crate) struct Wire {
    http: Client<HttpConnector, Full<Bytes>>,
    faults: Mutex<VecDeque<Fault>>,
    sent: Mutex<Vec<String>>,
    readings: AtomicU32,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            http: Client::builder(TokioExecutor::new()).build_http(),
            faults: Mutex::default(),
            sent: Mutex::default(),
            readings: AtomicU32::new(0),
        }
    }
}

impl Wire {
    /// Orders one fault for each of the next requests.
    pub(crate) fn order(&self, faults: impl IntoIterator<Item = Fault>) {
        *self.faults.lock().unwrap() = faults.into_iter().collect();
        self.sent.lock().unwrap().clear();
    }

    /// The operations sent since the last order.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }

    async fn pass(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let answer = self
            .http
            .request(request.map(Full::new))
            .await
            .map_err(|error| {
                if error.is_connect() {
                    TransportError::Connect(error.into())
                } else {
                    TransportError::Broken(error.into())
                }
            })?;
        let (head, body) = answer.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| TransportError::Broken(error.into()))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

impl Transport for Wire {
    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let target = request.headers()["x-amz-target"].to_str().unwrap();
        let operation = target.rsplit('.').next().unwrap().to_owned();
        self.sent.lock().unwrap().push(operation);
        let fault = self.faults.lock().unwrap().pop_front();
        match fault.unwrap_or(Fault::Pass) {
            Fault::Pass => self.pass(request).await,
            Fault::Refuse => Err(TransportError::Connect("refused".into())),
            Fault::LoseAnswer => {
                self.pass(request).await?;
                Err(TransportError::Broken("reset".into()))
            }
            Fault::CutAnswer => {
                let mut answer = self.pass(request).await?;
                // Without its checksum, as from an engine that sends none.
                answer.headers_mut().remove("x-amz-crc32");
                Ok(answer.map(|body| body.slice(..body.len() / 2)))
            }
            Fault::SpoilAnswer => Ok(self.pass(request).await?.map(|body| {
                let mut body = body.to_vec();
                body.push(b' ');
                body.into()
            })),
            Fault::ForgetToken => {
                let mut body: Value = serde_json::from_slice(request.body()).unwrap();
                body["ClientRequestToken"] = "forgotten".into();
                *request.body_mut() = body.to_string().into();
                request.headers_mut().remove("content-length");
                self.pass(request).await
            }
            Fault::Answer(status, body) => Ok(Response::builder()
                .status(status)
                .body(Bytes::from_static(body.as_bytes()))
                .unwrap()),
        }
    }

    async fn sleep(&self, _span: Duration) {}

    // The clock jumps here, so that every failed call is retried and breakers never stay open:
    // these tests do not cover breakers.
    fn elapsed(&self) -> Duration {
        BreakerConfig::DEFAULT.interval * self.readings.fetch_add(1, Ordering::Relaxed)
    }

    fn on_breaker_change(&self, _way: Dependency, _standing: BreakerState) {}
}
