//! A host as its clients see it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response};
use portcullis_host::host::Host;
use serde_json::{Value, json};

use crate::wire::WireClient;

/// The cookie of the browser that sent a registration.
pub const REGISTRATION_COOKIE: &str = "__Host-portcullis-registration";

/// The cookie of a browser that has logged in before.
pub const DEVICE_COOKIE: &str = "__Host-portcullis-device";

/// A host as its clients see it.
#[derive(Clone)]
pub struct Peer {
    /// The host itself.
    pub host: Arc<Host>,
    address: SocketAddr,
    client: WireClient,
    /// The registration cookie of each user ID that a registration returned.
    registrations: Arc<Mutex<HashMap<String, String>>>,
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

impl Reply {
    /// The value of the cookie `name` that it sets.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let lines = self.headers.get_all("set-cookie").iter();
        lines
            .filter_map(|line| line.to_str().ok()?.split(';').next()?.split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value.to_owned())
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
    pub(super) fn new(host: Arc<Host>, address: SocketAddr, client: WireClient) -> Self {
        Self {
            host,
            address,
            client,
            registrations: Arc::default(),
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

    /// Registers, and keeps the registration cookie.
    ///
    /// # Panics
    ///
    /// If an accepted registration sets no cookie.
    pub async fn register(&self, email: &str, password: &str) -> Reply {
        let body = json!({"email": email, "password": password});
        let reply = self.post("/v1/register", &body).await;
        if reply.status == 201 {
            let user_id = reply.json["user_id"].as_str().expect("a user ID");
            let cookie = reply.cookie(REGISTRATION_COOKIE).expect("a cookie");
            let mut registrations = self.registrations.lock().expect("no panic");
            registrations.insert(user_id.to_owned(), cookie);
        }
        reply
    }

    /// Posts the token of a verification mail from the browser that sent the registration.
    ///
    /// # Panics
    ///
    /// As [`Peer::send`].
    pub async fn verify(&self, token: &str) -> Reply {
        let user_id = token.split('.').next().unwrap_or_default();
        let cookie = self.registration_cookie(user_id).unwrap_or_default();
        let body = json!({"token": token});
        self.post_with(
            "/v1/email/verify",
            &body,
            &format!("{REGISTRATION_COOKIE}={cookie}"),
        )
        .await
    }

    /// The cookie that the registration with the answer `user_id` set.
    ///
    /// # Panics
    ///
    /// If a thread panicked while it kept one.
    pub fn registration_cookie(&self, user_id: &str) -> Option<String> {
        let registrations = self.registrations.lock().expect("no panic");
        registrations.get(user_id).cloned()
    }

    /// `POST path` with a JSON body and the cookies of a browser.
    ///
    /// # Panics
    ///
    /// As [`Peer::send`].
    pub async fn post_with(&self, path: &str, body: &Value, cookies: &str) -> Reply {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("cookie", cookies)
            .body(Bytes::from(body.to_string()));
        self.send(request.expect("a request")).await
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
