//! Responses with a JSON body, and without a body.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use portcullis_core::secret::Secret;
use serde::{Serialize, Serializer};

use crate::problem::Problem;

/// A JSON response. Its body is the type that the OpenAPI document describes.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let Ok(body) = serde_json::to_vec(body) else {
        return Problem::Internal.into_response();
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A secret for the client, zeroed when dropped.
pub(super) struct IssuedSecret(Secret<String>);

impl From<Secret<String>> for IssuedSecret {
    fn from(secret: Secret<String>) -> Self {
        Self(secret)
    }
}

impl Serialize for IssuedSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

/// A response without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
