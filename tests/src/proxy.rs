//! A proxy in place of AWS: it verifies every signature, records every call, drops responses on
//! demand, and stores secrets, none of which the engine behind it does.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use portcullis_local::LocalSecrets;
use portcullis_local::chaos::Chaos;
use serde_json::{Value, json};

use crate::sigv4::{self, AccessKey, SigningScope};
use crate::system::clock::TestClock;
use crate::wire::{self, Answer, WireClient};

/// The region of valid signatures.
pub const REGION: &str = "eu-central-1";

/// The fault of a call.
#[derive(Clone)]
pub enum Fault {
    /// It is not executed, and there is no response.
    LostRequest,
    /// It is executed, and there is no response.
    LostAnswer,
    /// It is executed, and the response breaks off half-way.
    HalfAnswer,
    /// It is executed, and the response is unreadable.
    Garbage,
    /// It is refused with this status and code.
    Refused(u16, &'static str),
    /// It is executed after this: a delay, for example, or a concurrent write.
    After(Happening),
}

/// An event while a call is in flight.
type Happening = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

impl Fault {
    /// The call is executed after `happen` has completed.
    pub fn after<F: Future<Output = ()> + Send + 'static>(
        happen: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self::After(Arc::new(move || Box::pin(happen())))
    }
}

/// A running proxy.
#[derive(Clone)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    key: AccessKey,
    clock: TestClock,
    client: WireClient,
    faults: Mutex<Vec<(String, Fault)>>,
    cut: Mutex<Option<(usize, Fault)>>,
    chaos: Mutex<Option<Arc<Chaos>>>,
    calls: Mutex<Vec<Seen>>,
    refusals: Mutex<Vec<String>>,
    secrets: LocalSecrets,
}

/// A recorded call.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The operation, `PutItem`.
    pub operation: String,
    /// The fault of its signature, if any.
    pub signature: Result<(), String>,
    /// Its body.
    pub body: Value,
}

impl Proxy {
    /// Stands in front of `upstream`.
    ///
    /// # Errors
    ///
    /// If no port is free.
    pub async fn start(upstream: SocketAddr, key: AccessKey, clock: TestClock) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            upstream,
            key,
            clock,
            client: WireClient::default(),
            faults: Mutex::default(),
            cut: Mutex::default(),
            chaos: Mutex::default(),
            calls: Mutex::default(),
            refusals: Mutex::default(),
            secrets: LocalSecrets::forgetful(),
        });
        let served = Arc::clone(&shared);
        let address = wire::serve_somewhere(move |request| {
            let served = Arc::clone(&served);
            async move { served.answer(request).await }
        })
        .await?;
        Ok(Self { address, shared })
    }

    /// Its address, as an endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Applies `fault` to the next call of `operation`; repeated, to the next two.
    pub fn inject(&self, operation: &str, fault: Fault) {
        self.shared
            .faults
            .lock()
            .expect("whole")
            .push((operation.to_owned(), fault));
    }

    /// Applies `fault` to the next `times` calls of `operation`.
    pub fn inject_often(&self, operation: &str, fault: &Fault, times: usize) {
        for _ in 0..times {
            self.inject(operation, fault.clone());
        }
    }

    /// Cuts clients off: after `calls` more calls, one gets `fault`, and all later ones are lost
    /// until [`Proxy::heal`].
    pub fn cut_off_after(&self, calls: usize, fault: Fault) {
        *self.shared.cut.lock().expect("whole") = Some((calls, fault));
    }

    /// Drops the pending faults; returns their number.
    pub fn heal(&self) -> usize {
        self.shared.cut.lock().expect("whole").take();
        self.shared.faults.lock().expect("whole").drain(..).count()
    }

    /// Applies `chaos` to every call without an injected fault.
    pub fn unleash(&self, chaos: &Arc<Chaos>) {
        *self.shared.chaos.lock().expect("whole") = Some(Arc::clone(chaos));
    }

    /// Every call so far, faults included.
    pub fn calls(&self) -> Vec<Seen> {
        self.shared.calls.lock().expect("whole").clone()
    }

    /// The number of calls of `operation`.
    pub fn count(&self, operation: &str) -> usize {
        self.calls()
            .iter()
            .filter(|call| call.operation == operation)
            .count()
    }

    /// How often the upstream refused a call with `code`.
    pub fn refusals(&self, code: &str) -> usize {
        let refusals = self.shared.refusals.lock().expect("whole");
        refusals.iter().filter(|refusal| *refusal == code).count()
    }

    /// Makes `value` the current version of the secret `name`.
    pub fn keep_secret(&self, name: &str, value: &str) {
        self.shared.secrets.keep(name, value);
    }

    /// The secrets themselves: no signatures, no faults.
    pub fn secrets(&self) -> &LocalSecrets {
        &self.shared.secrets
    }
}

impl Shared {
    async fn answer(&self, request: Request<Bytes>) -> Answer {
        let target = target(&request);
        let (_, operation) = target.split_once('.').unwrap_or_default();
        let service = if target.starts_with(SECRETS) {
            "secretsmanager"
        } else {
            "dynamodb"
        };
        let scope = SigningScope {
            region: REGION,
            service,
        };
        let signature = sigv4::verify(&request, &self.key, scope, self.clock.now());
        self.calls.lock().expect("whole").push(Seen {
            operation: operation.to_owned(),
            signature: signature.clone(),
            body: serde_json::from_slice(request.body()).unwrap_or_default(),
        });
        if signature.is_err() {
            return Answer::Whole(refusal(400, "InvalidSignatureException"));
        }
        let fault = self.next_fault(operation);
        let chaos = self.chaos.lock().expect("whole").clone();
        if let (None, Some(chaos)) = (&fault, chaos) {
            return chaos.pass(request, |request| self.carry_out(request)).await;
        }
        match fault {
            Some(Fault::LostRequest) => return Answer::Nothing,
            Some(Fault::Refused(status, code)) => return Answer::Whole(refusal(status, code)),
            Some(Fault::After(ref happen)) => happen().await,
            Some(Fault::LostAnswer | Fault::HalfAnswer | Fault::Garbage) | None => {}
        }
        let Ok(response) = self.carry_out(request).await else {
            return Answer::Nothing;
        };
        match fault {
            Some(Fault::LostAnswer) => Answer::Nothing,
            Some(Fault::HalfAnswer) => Answer::Half(response),
            Some(Fault::Garbage) => Answer::Whole(Response::new(Bytes::from_static(b"<html>"))),
            _ => Answer::Whole(response),
        }
    }

    async fn carry_out(&self, request: Request<Bytes>) -> anyhow::Result<Response<Bytes>> {
        let target = target(&request);
        let response = if target.starts_with(SECRETS) {
            self.secrets.answer(&target, request.body()).await
        } else {
            self.client.send(self.upstream, request).await?
        };
        if !response.status().is_success() {
            let refusal: Value = serde_json::from_slice(response.body()).unwrap_or_default();
            let code = refusal["__type"].as_str().unwrap_or_default();
            let (_, code) = code.rsplit_once('#').unwrap_or(("", code));
            self.refusals.lock().expect("whole").push(code.to_owned());
        }
        Ok(response)
    }

    fn next_fault(&self, operation: &str) -> Option<Fault> {
        if let Some((calls, fault)) = self.cut.lock().expect("whole").as_mut() {
            if let Some(left) = calls.checked_sub(1) {
                *calls = left;
            } else {
                return Some(std::mem::replace(fault, Fault::LostRequest));
            }
        }
        let mut faults = self.faults.lock().expect("whole");
        let place = faults.iter().position(|(on, _)| on == operation)?;
        Some(faults.remove(place).1)
    }
}

/// The prefix of Secrets Manager's operations.
const SECRETS: &str = "secretsmanager.";

/// The operation of `request`, after the name of its service.
fn target(request: &Request<Bytes>) -> String {
    let target = request.headers().get("x-amz-target");
    let target = target.and_then(|name| name.to_str().ok());
    target.unwrap_or_default().to_owned()
}

fn refusal(status: u16, code: &str) -> Response<Bytes> {
    let body = json!({"__type": format!("com.amazonaws#{code}"), "message": "by the test"});
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    response
        .body(Bytes::from(body.to_string()))
        .expect("an answer")
}
