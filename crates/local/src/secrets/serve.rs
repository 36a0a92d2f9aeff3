//! Secrets Manager's HTTP API: JSON 1.1, one operation for each request, given in `x-amz-target`.

use std::future::Future;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    routing::post,
};
use http::{HeaderMap, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{LocalSecrets, Refusal};

/// Serves requests until `end` resolves.
///
/// # Errors
///
/// If the server fails.
pub async fn serve(
    secrets: LocalSecrets,
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new().route("/", post(answer).get(async || "secretsmanager\n"));
    axum::serve(listener, router.with_state(secrets))
        .with_graceful_shutdown(end)
        .await
}

async fn answer(
    State(secrets): State<LocalSecrets>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok());
    secrets
        .answer(target.unwrap_or_default(), &body)
        .await
        .map(Body::from)
}

impl LocalSecrets {
    /// The response to a request with the `x-amz-target` `target`.
    pub async fn answer(&self, target: &str, body: &[u8]) -> Response<Bytes> {
        let body: Result<Value, _> = serde_json::from_slice(body);
        let end = match (target.strip_prefix("secretsmanager."), body) {
            (Some(operation), Ok(body)) => self.call(operation, &body).await,
            (None, _) => Err(Refusal::new("UnknownOperationException", "x-amz-target")),
            (_, Err(_)) => Err(Refusal::new(
                "SerializationException",
                "the body is not JSON",
            )),
        };
        let (status, body) = match end {
            Ok(body) => (StatusCode::OK, body),
            Err(Refusal { code, message }) => (
                StatusCode::BAD_REQUEST,
                json!({"__type": code, "message": message}),
            ),
        };
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = status;
        let kind = header::HeaderValue::from_static("application/x-amz-json-1.1");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
