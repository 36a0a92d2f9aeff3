//! The Lambda Runtime API as a function sees it: the function requests the next event and posts its
//! response ([the API's description]).
//!
//! [the API's description]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;
use tokio::sync::{Mutex, mpsc};

use crate::wire::{self, Answer};

/// The post of a function.
#[derive(Debug)]
pub enum Posted {
    /// The response to an invocation.
    Response(Value),
    /// The invocation failed.
    Error(Value),
    /// The function failed to start.
    InitError(Value),
}

/// A running Runtime API with one function.
pub struct LambdaRuntime {
    address: SocketAddr,
    events: mpsc::UnboundedSender<(String, String)>,
    posted: mpsc::UnboundedReceiver<Posted>,
    invocations: u32,
}

impl LambdaRuntime {
    /// Waits for a function.
    ///
    /// # Errors
    ///
    /// If no port is free.
    pub async fn start() -> io::Result<Self> {
        let (events, queue) = mpsc::unbounded_channel();
        let (outbox, posted) = mpsc::unbounded_channel();
        let queue = Arc::new(Mutex::new(queue));
        let address = wire::serve_somewhere(move |request| {
            let (queue, outbox) = (Arc::clone(&queue), outbox.clone());
            async move { answer(request, &queue, &outbox).await }
        })
        .await?;
        Ok(Self {
            address,
            events,
            posted,
            invocations: 0,
        })
    }

    /// The variables that Lambda sets for a function.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_LAMBDA_RUNTIME_API", self.address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", "portcullis-host".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512".to_owned()),
        ]
    }

    /// Passes `event` to the function and waits for its post.
    ///
    /// # Errors
    ///
    /// If the runtime has ended.
    pub async fn invoke(&mut self, event: &str) -> anyhow::Result<Posted> {
        self.invocations = self.invocations.saturating_add(1);
        let id = format!("8476a536-e9f4-11e8-9739-{:012x}", self.invocations);
        self.events.send((id, event.to_owned()))?;
        self.posted
            .recv()
            .await
            .ok_or_else(|| anyhow::anyhow!("the runtime has ended"))
    }
}

type Queue = Mutex<mpsc::UnboundedReceiver<(String, String)>>;

async fn answer(
    request: Request<Bytes>,
    queue: &Queue,
    outbox: &mpsc::UnboundedSender<Posted>,
) -> Answer {
    let path = request
        .uri()
        .path()
        .trim_start_matches("/2018-06-01/runtime/");
    if path == "invocation/next" {
        let Some((id, event)) = queue.lock().await.recv().await else {
            return Answer::Nothing;
        };
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", id)
            .header("lambda-runtime-deadline-ms", "1795435230000")
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:eu-central-1:123456789012:function:portcullis-host",
            )
            .header(
                "lambda-runtime-trace-id",
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
            );
        return Answer::Whole(response.body(event.into()).expect("an event"));
    }
    let body = serde_json::from_slice(request.body()).unwrap_or_default();
    let posted = match path {
        "init/error" => Posted::InitError(body),
        _ if path.ends_with("/error") => Posted::Error(body),
        _ => Posted::Response(body),
    };
    // After the end of a test no receiver waits.
    let _ = outbox.send(posted);
    let response = Response::builder()
        .status(202)
        .body(Bytes::from_static(b"{\"status\":\"OK\"}"));
    Answer::Whole(response.expect("an answer"))
}
