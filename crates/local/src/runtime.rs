//! The Lambda Runtime API for one function, which polls for the next event and posts its result
//! ([the API's description]).
//!
//! [the API's description]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex as Locked, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    routing::{get, post},
};
use http::{Response, StatusCode};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc, oneshot},
};

use crate::secrets::RotationFunction;

/// The result of an invocation: the response, or the name and text of the error.
type InvocationOutcome = Result<Value, String>;

struct Invocation {
    id: String,
    event: Value,
    reply: oneshot::Sender<InvocationOutcome>,
}

/// A Runtime API that serves one function. Clones share it.
#[derive(Clone)]
pub struct LambdaRuntime {
    shared: Arc<Shared>,
}

struct Shared {
    events: mpsc::UnboundedSender<Invocation>,
    queue: Mutex<mpsc::UnboundedReceiver<Invocation>>,
    /// The callers that wait for results of running events.
    waiting: Locked<BTreeMap<String, oneshot::Sender<InvocationOutcome>>>,
    invocations: AtomicU64,
}

impl LambdaRuntime {
    /// An event that waits for its function.
    #[must_use]
    pub fn new() -> Self {
        let (events, queue) = mpsc::unbounded_channel();
        Self {
            shared: Arc::new(Shared {
                events,
                queue: Mutex::new(queue),
                waiting: Locked::default(),
                invocations: AtomicU64::new(0),
            }),
        }
    }

    /// Passes `event` to the function and waits for its result.
    ///
    /// # Errors
    ///
    /// The error of the function, or that it has exited.
    pub async fn invoke(&self, event: Value) -> InvocationOutcome {
        let number = self.shared.invocations.fetch_add(1, Ordering::Relaxed);
        let id = format!("00000000-0000-4000-8000-{number:012x}");
        let (reply, outcome) = oneshot::channel();
        let gone = || "the function has exited".to_owned();
        let invocation = Invocation { id, event, reply };
        self.shared.events.send(invocation).map_err(|_| gone())?;
        outcome.await.unwrap_or_else(|_| Err(gone()))
    }

    /// The function in the form that Secrets Manager calls.
    #[must_use]
    pub fn rotation_function(&self) -> RotationFunction {
        let runtime = self.clone();
        RotationFunction::new(move |event| {
            let runtime = runtime.clone();
            async move { runtime.invoke(event).await.map(drop) }
        })
    }

    /// Serves the function until `end` resolves.
    ///
    /// # Errors
    ///
    /// If the server fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(answered),
            )
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .route(
                "/2018-06-01/runtime/init/error",
                post(async || StatusCode::ACCEPTED),
            )
            .with_state(self);
        let served = async move { axum::serve(listener, router).await };
        // A function that polls for its next event never closes its connection itself.
        tokio::select! {
            served = served => served,
            () = end => Ok(()),
        }
    }

    fn finish(&self, id: &str, outcome: InvocationOutcome) -> StatusCode {
        let waiting = self.shared.waiting.lock();
        let reply = waiting.unwrap_or_else(PoisonError::into_inner).remove(id);
        match reply {
            Some(reply) => {
                // The caller may have disconnected meanwhile.
                let _ = reply.send(outcome);
                StatusCode::ACCEPTED
            }
            None => StatusCode::NOT_FOUND,
        }
    }
}

impl Default for LambdaRuntime {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for LambdaRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LambdaRuntime").finish_non_exhaustive()
    }
}

async fn next(State(runtime): State<LambdaRuntime>) -> Result<Response<Body>, StatusCode> {
    let invocation = runtime.shared.queue.lock().await.recv().await;
    let Invocation { id, event, reply } = invocation.ok_or(StatusCode::GONE)?;
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &id)
        // A long deadline is fine: this machine does not bill by the second.
        .header("lambda-runtime-deadline-ms", "4102444800000")
        .header(
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:portcullis-rotation",
        )
        .body(Body::from(event.to_string()))
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let waiting = runtime.shared.waiting.lock();
    waiting
        .unwrap_or_else(PoisonError::into_inner)
        .insert(id, reply);
    Ok(response)
}

async fn answered(
    State(runtime): State<LambdaRuntime>,
    Path(id): Path<String>,
    body: Bytes,
) -> StatusCode {
    let answer = serde_json::from_slice(&body).unwrap_or_default();
    runtime.finish(&id, Ok(answer))
}

async fn failed(
    State(runtime): State<LambdaRuntime>,
    Path(id): Path<String>,
    body: Bytes,
) -> StatusCode {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let word = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
    let fault = format!("{}: {}", word("errorType"), word("errorMessage"));
    runtime.finish(&id, Err(fault))
}
