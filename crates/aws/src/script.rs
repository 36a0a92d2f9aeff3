//! A transport for unit tests with scripted responses.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use http::{Request, Response};
use portcullis_core::breaker::BreakerState;
use portcullis_core::secret::Secret;
use portcullis_core::time::UnixTime;

use crate::client::{Client, Config};
use crate::credentials::Credentials;
use crate::dependency::Dependency;
use crate::endpoint::Region;
use crate::transport::{Transport, TransportError};

pub(crate) const NOON: UnixTime = UnixTime::from_secs(1_440_938_160);

pub(crate) type Scripted = Result<Response<Bytes>, TransportError>;

/// Returns one scripted response for each request, and records the requests and the sleeps.
#[derive(Debug, Default)]
pub(crate) struct ScriptedTransport {
    answers: Mutex<VecDeque<Scripted>>,
    requests: Mutex<Vec<Request<Bytes>>>,
    sleeps: Mutex<Vec<Duration>>,
    elapsed: Mutex<Duration>,
    notices: Mutex<Vec<(Dependency, BreakerState)>>,
}

impl ScriptedTransport {
    pub(crate) fn requests(&self) -> MutexGuard<'_, Vec<Request<Bytes>>> {
        self.requests.lock().unwrap()
    }

    pub(crate) fn sleeps(&self) -> MutexGuard<'_, Vec<Duration>> {
        self.sleeps.lock().unwrap()
    }

    /// Advances the time.
    pub(crate) fn pass(&self, span: Duration) {
        let mut elapsed = self.elapsed.lock().unwrap();
        *elapsed = elapsed.saturating_add(span);
    }

    /// Every breaker state change so far.
    pub(crate) fn notices(&self) -> Vec<(Dependency, BreakerState)> {
        self.notices.lock().unwrap().clone()
    }

    /// Appends responses to the script.
    pub(crate) fn then(&self, answers: impl IntoIterator<Item = Scripted>) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// The bodies of all requests, as JSON.
    pub(crate) fn bodies(&self) -> Vec<serde_json::Value> {
        let read = |request: &Request<Bytes>| serde_json::from_slice(request.body()).unwrap();
        self.requests().iter().map(read).collect()
    }
}

impl Transport for ScriptedTransport {
    async fn send(&self, request: Request<Bytes>) -> Scripted {
        self.requests().push(request);
        self.answers.lock().unwrap().pop_front().unwrap()
    }

    async fn sleep(&self, span: Duration) {
        self.sleeps().push(span);
    }

    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().unwrap()
    }

    fn on_breaker_change(&self, dependency: Dependency, standing: BreakerState) {
        self.notices.lock().unwrap().push((dependency, standing));
    }
}

pub(crate) fn client(answers: impl IntoIterator<Item = Scripted>) -> Client<ScriptedTransport> {
    let script = ScriptedTransport {
        answers: Mutex::new(answers.into_iter().collect()),
        ..ScriptedTransport::default()
    };
    let key = Credentials::new("AKIDEXAMPLE", Secret::new("secret".to_owned()));
    let config = Config::of(Region::parse("eu-central-1").unwrap()).unwrap();
    Client::new(script, key, config, 7)
}

pub(crate) fn response(status: u16, body: impl Into<String>) -> Scripted {
    let body = Bytes::from(body.into());
    Ok(Response::builder().status(status).body(body).unwrap())
}
