//! A stand-in for Amazon SES: it verifies every signature, stores accepted mail, and refuses on
//! demand.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};

use crate::proxy::REGION;
use crate::sigv4::{self, AccessKey, SigningScope};
use crate::system::TestClock;
use crate::wire::{self, Answer};

/// A running stand-in.
#[derive(Clone)]
pub struct Ses {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    key: AccessKey,
    clock: TestClock,
    refusals: Mutex<VecDeque<(u16, &'static str)>>,
    calls: Mutex<Vec<Result<Value, String>>>,
}

impl Ses {
    /// Accepts mail that is signed with `key` by `clock`.
    ///
    /// # Errors
    ///
    /// If no port is free.
    pub async fn start(key: AccessKey, clock: TestClock) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            key,
            clock,
            refusals: Mutex::default(),
            calls: Mutex::default(),
        });
        let served = Arc::clone(&shared);
        let address = wire::serve_somewhere(move |request| {
            let served = Arc::clone(&served);
            async move { Answer::Whole(served.answer(&request)) }
        })
        .await?;
        Ok(Self { address, shared })
    }

    /// Its address, as an endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Refuses the next mail with this status and code.
    pub fn refuse(&self, status: u16, code: &'static str) {
        let mut refusals = self.shared.refusals.lock().expect("whole");
        refusals.push_back((status, code));
    }

    /// Each call: its body, or the fault of its signature.
    pub fn calls(&self) -> Vec<Result<Value, String>> {
        self.shared.calls.lock().expect("whole").clone()
    }
}

impl Shared {
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let call = self.read(request);
        let signed = call.is_ok();
        self.calls.lock().expect("whole").push(call);
        let refusal = self.refusals.lock().expect("whole").pop_front();
        let (status, body) = match refusal {
            _ if !signed => (403, json!({"__type": "InvalidSignatureException"})),
            Some((status, code)) => (status, json!({"__type": code, "message": "by the test"})),
            None => (200, json!({"MessageId": "1"})),
        };
        let response = Response::builder().status(status);
        response.body(Bytes::from(body.to_string())).expect("sound")
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Value, String> {
        let scope = SigningScope {
            region: REGION,
            service: "ses",
        };
        sigv4::verify(request, &self.key, scope, self.clock.now())?;
        let target = (request.method(), request.uri().path());
        if target != (&Method::POST, "/v2/email/outbound-emails") {
            return Err(format!("{target:?} is no operation"));
        }
        serde_json::from_slice(request.body()).map_err(|error| error.to_string())
    }
}
