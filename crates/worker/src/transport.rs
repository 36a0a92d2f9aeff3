//! `fetch` as the transport of signed requests.

use core::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use js_sys::futures::JsFuture;
use js_sys::{ArrayBuffer, Uint8Array};
use portcullis_aws::dependency::Dependency;
use portcullis_aws::headers::READ;
use portcullis_aws::transport::{MAX_ANSWER_BYTES, Transport, TransportError};
use portcullis_core::breaker::BreakerState;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{AbortSignal, Headers, RequestInit, RequestRedirect, WorkerGlobalScope};
use worker::Delay;

use crate::clock;

/// The timeout of one call. A refresh of the snapshot makes several at once.
const TIME_OUT_MILLIS: u32 = 2_000;

/// Sends signed requests with the platform's `fetch`, which reuses connections itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct FetchTransport;

impl Transport for FetchTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        send(request).await.map_err(|error| fault(&error))
    }

    async fn sleep(&self, span: Duration) {
        Delay::from(span).await;
    }

    // In workerd it stands still between two I/O operations, which is sufficient here.
    fn elapsed(&self) -> Duration {
        clock::elapsed()
    }

    fn on_breaker_change(&self, dependency: Dependency, standing: BreakerState) {
        let (name, standing) = (dependency.as_str(), standing.as_str());
        worker::console_warn!("the circuit breaker of {name} is {standing}");
    }
}

/// A platform error, or a response that is too long.
enum Fault {
    Platform(JsValue),
    TooLong,
}

impl From<JsValue> for Fault {
    fn from(error: JsValue) -> Self {
        Self::Platform(error)
    }
}

async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, Fault> {
    let (parts, body) = request.into_parts();
    let headers = Headers::new()?;
    for (name, value) in &parts.headers {
        let value = value.to_str().map_err(|_| JsValue::from_str("header"))?;
        headers.set(name.as_str(), value)?;
    }
    let init = RequestInit::new();
    init.set_method(parts.method.as_str());
    init.set_headers(&headers);
    init.set_body(&Uint8Array::from(body.as_ref()));
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&AbortSignal::timeout_with_u32(TIME_OUT_MILLIS)));
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let sent = scope.fetch_with_str_and_init(&parts.uri.to_string(), &init);
    let answer: web_sys::Response = JsFuture::from(sent).await?.unchecked_into();
    read(&answer).await
}

async fn read(answer: &web_sys::Response) -> Result<Response<Bytes>, Fault> {
    let headers = answer.headers();
    let announced = headers
        .get("content-length")?
        .and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_ANSWER_BYTES) {
        return Err(Fault::TooLong);
    }
    let buffer: ArrayBuffer = JsFuture::from(answer.array_buffer()?)
        .await?
        .unchecked_into();
    let body = Uint8Array::new(&buffer);
    if usize::try_from(body.length()).is_ok_and(|length| length > MAX_ANSWER_BYTES) {
        return Err(Fault::TooLong);
    }
    let mut response = Response::new(Bytes::from(body.to_vec()));
    let odd = |_| JsValue::from_str("response");
    *response.status_mut() = StatusCode::from_u16(answer.status()).map_err(odd)?;
    for name in READ {
        if let Some(value) = headers.get(name.as_str())? {
            let value = HeaderValue::try_from(value).map_err(|_| JsValue::from_str("response"))?;
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

fn fault(fault: &Fault) -> TransportError {
    let error = match fault {
        Fault::TooLong => return TransportError::TooLong,
        Fault::Platform(error) => error,
    };
    let name = js_sys::Reflect::get(error, &"name".into())
        .ok()
        .and_then(|name| name.as_string());
    match name.as_deref() {
        Some("TimeoutError" | "AbortError") => TransportError::Timeout,
        // `fetch` does not distinguish a refused connection from a broken one: the request may have
        // arrived.
        name => TransportError::Broken(name.unwrap_or("unknown error").to_owned().into()),
    }
}
