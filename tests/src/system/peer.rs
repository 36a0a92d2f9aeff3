//! A host as its clients see it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use portcullis_host::host::Host;
use serde_json::{Value, json};

use crate::wire::WireClient;

/// A host as its clients see it.
#[derive(Clone)]
pub struct Peer {
    /// The host itself.
    pub host: Arc<Host>,
    address: SocketAddr,
    client: WireClient,
}

/// The response.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body as JSON; null if it is none.
    pub json: Value,
}

impl Reply {
    /// The problem's code, or nothing.
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl From<Response<Bytes>> for Reply {
    fn from(response: Response<Bytes>) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            json: serde_json::from_slice(response.body()).unwrap_or_default(),
        }
    }
}

impl Peer {
    pub(super) const fn new(host: Arc<Host>, address: SocketAddr, client: WireClient) -> Self {
        Self {
            host,
            address,
            client,
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends `request` as it stands.
    ///
    /// # Panics
    ///
    /// If no answer comes: the host always answers.
    pub async fn send(&self, request: Request<Bytes>) -> Reply {
        let what = format!("{} {}", request.method(), request.uri());
        let response = self.client.send(self.address, request).await;
        response
            .unwrap_or_else(|error| panic!("{what}: {error:#}"))
            .into()
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Bytes::new()).expect("a request"))
            .await
    }

    /// `POST path` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_bytes(path, body.to_string()).await
    }

    /// `POST path` with a body that says to be JSON.
    pub async fn post_bytes(&self, path: &str, body: impl Into<Bytes>) -> Reply {
        let request = Request::post(path).header("content-type", "application/json");
        self.send(request.body(body.into()).expect("a request"))
            .await
    }

    /// Registers.
    pub async fn register(&self, email: &str, password: &str) -> Reply {
        self.post(
            "/v1/register",
            &json!({"email": email, "password": password}),
        )
        .await
    }

    /// Logs in.
    pub async fn login(&self, email: &str, password: &str) -> Reply {
        self.post("/v1/login", &json!({"email": email, "password": password}))
            .await
    }

    /// Logs out with `token`.
    pub async fn logout(&self, token: &str) -> Reply {
        let request = Request::builder().method(Method::POST).uri("/v1/logout");
        let request = request.header("authorization", format!("Bearer {token}"));
        self.send(request.body(Bytes::new()).expect("a request"))
            .await
    }
}
