//! `GET /health`: whether this process answers, and what it last knew of the store.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::host::Host;
use crate::routes::json;

/// Asks nobody: a store that is down must not make a healthy host look dead.
pub(super) async fn health(State(host): State<Arc<Host>>) -> Response {
    let store = host.health.word();
    json(
        StatusCode::OK,
        format!(r#"{{"status":"ok","store":"{store}"}}"#),
    )
}
