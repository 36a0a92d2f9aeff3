//! The demo origin: echoes every request, to show what the Worker forwarded.

use std::future::Future;

use axum::{Router, body::Body, extract::Request};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The target of `…/redirect`. No server listens there, so following it fails.
const ELSEWHERE: &str = "http://127.0.0.1:9/elsewhere";

/// Serves requests until `end` resolves.
///
/// A path that ends in `/echo` returns the request body as a stream, one that ends in `/redirect` a
/// 302, and any other a JSON object with `method`, `path` (unchanged, with its query), `headers`
/// (pairs, in order) and `body_length`.
///
/// # Errors
///
/// If the server fails.
pub async fn serve(
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, Router::new().fallback(answer))
        .with_graceful_shutdown(end)
        .await
}

async fn answer(request: Request) -> Response<Body> {
    let path = request.uri().path();
    if path.ends_with("/echo") {
        echo(request)
    } else if path.ends_with("/redirect") {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::FOUND;
        response
            .headers_mut()
            .insert(header::LOCATION, HeaderValue::from_static(ELSEWHERE));
        response
    } else {
        describe(request).await
    }
}

/// The body is streamed back without buffering.
fn echo(request: Request) -> Response<Body> {
    let kind = request.headers().get(header::CONTENT_TYPE).cloned();
    let mut response = Response::new(request.into_body());
    if let Some(kind) = kind {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

async fn describe(request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Some(length) = length(body).await else {
        let mut response = Response::new(Body::from("the body was cut off"));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let report = json!({
        "method": parts.method.as_str(),
        "path": path,
        "headers": headers(&parts.headers),
        "body_length": length,
    });
    let mut response = Response::new(Body::from(format!("{report:#}\n")));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

async fn length(body: Body) -> Option<usize> {
    let mut chunks = body.into_data_stream();
    let mut length: usize = 0;
    while let Some(chunk) = chunks.next().await {
        length = length.saturating_add(chunk.ok()?.len());
    }
    Some(length)
}

fn headers(headers: &HeaderMap) -> Vec<[Value; 2]> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| [json!(name.as_str()), json!(text(value))])
        .collect()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn ask(method: &str, path: &str, body: &'static str) -> (StatusCode, HeaderMap, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-one", "1");
        let response = answer(request.body(Body::from(body)).unwrap()).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (
            parts.status,
            parts.headers,
            String::from_utf8(bytes.to_vec()).unwrap(),
        )
    }

    #[tokio::test]
    async fn the_origin_describes_the_request_unchanged() {
        let (status, _, body) = ask("PATCH", "/%61/b?c=d", "hello").await;
        let report: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, StatusCode::OK);
        assert_eq!(
            (&report["method"], &report["path"]),
            (&json!("PATCH"), &json!("/%61/b?c=d"))
        );
        assert_eq!(report["headers"], json!([["x-one", "1"]]));
        assert_eq!(report["body_length"], json!(5));
    }

    #[tokio::test]
    async fn echo_returns_the_request_body() {
        assert_eq!(ask("POST", "/any/echo", "and back").await.2, "and back");
    }

    #[tokio::test]
    async fn redirect_points_to_an_address_without_a_server() {
        let (status, headers, _) = ask("GET", "/redirect", "").await;
        assert_eq!(status, StatusCode::FOUND);
        assert_eq!(headers[header::LOCATION], ELSEWHERE);
    }
}
