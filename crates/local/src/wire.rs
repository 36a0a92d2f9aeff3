//! HTTP for tests: a client, and a server that can also abort a response.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, HOST, HeaderValue};
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client as Legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

/// The response of a test server to a request.
#[derive(Debug)]
pub enum Answer {
    /// Sends the complete response.
    Whole(Response<Bytes>),
    /// Sends the first half of its body and closes the connection.
    Half(Response<Bytes>),
    /// Closes the connection without a response.
    Nothing,
}

/// Serves every request on `listener` with `answer`, until the runtime ends.
pub async fn serve<F, A>(listener: TcpListener, answer: A)
where
    A: Fn(Request<Bytes>) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    while let Ok((stream, _)) = listener.accept().await {
        let answer = answer.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
                match answer(Request::from_parts(parts, body)).await {
                    Answer::Whole(response) => Ok(response.map(whole)),
                    Answer::Half(response) => Ok(half(response)),
                    Answer::Nothing => Err(io::Error::other("closed by the test")),
                }
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// Starts to serve on a free loopback port and returns its address.
///
/// # Errors
///
/// If no port is free.
pub async fn serve_somewhere<F, A>(answer: A) -> io::Result<SocketAddr>
where
    A: Fn(Request<Bytes>) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(listener, answer));
    Ok(address)
}

/// A plain HTTP client that reuses its connections.
#[derive(Clone, Debug)]
pub struct WireClient(Legacy<HttpConnector, Full<Bytes>>);

impl Default for WireClient {
    fn default() -> Self {
        Self(Legacy::builder(TokioExecutor::new()).build_http())
    }
}

impl WireClient {
    /// Sends `request` to `address`, whatever its target, and waits for the complete response.
    ///
    /// # Errors
    ///
    /// If no complete response arrives.
    pub async fn send(
        &self,
        address: SocketAddr,
        request: Request<Bytes>,
    ) -> anyhow::Result<Response<Bytes>> {
        let (mut parts, body) = request.into_parts();
        let target = parts
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        parts.uri = format!("http://{address}{target}").parse()?;
        parts.headers.remove(CONTENT_LENGTH);
        parts
            .headers
            .insert(HOST, HeaderValue::from_str(&address.to_string())?);
        let response = self
            .0
            .request(Request::from_parts(parts, Full::new(body)))
            .await?;
        let (parts, body) = response.into_parts();
        Ok(Response::from_parts(
            parts,
            body.collect().await?.to_bytes(),
        ))
    }
}

fn whole(body: Bytes) -> BoxBody<Bytes, io::Error> {
    Full::new(body)
        .map_err(|never: Infallible| match never {})
        .boxed()
}

fn half(response: Response<Bytes>) -> Response<BoxBody<Bytes, io::Error>> {
    let (mut parts, body) = response.into_parts();
    parts
        .headers
        .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let frames = [
        Ok(Frame::data(body.slice(..body.len() / 2))),
        Err(io::Error::other("closed by the test")),
    ];
    Response::from_parts(parts, BoxBody::new(StreamBody::new(stream::iter(frames))))
}
