//! `GET /health`: whether this process responds, and the last known state of the store.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::problems::{ANY, problems};
use crate::routes::response::json;
use portcullis_host::host::Host;

problems!(HealthProblems: ANY);

/// The state of the service.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
struct HealthBody {
    /// Always `ok`: this process responds.
    #[schema(pattern = "^ok$", example = "ok")]
    status: &'static str,
    /// The last known state of the store.
    #[schema(pattern = "^(unknown|reachable|unreachable)$", example = "reachable")]
    store: &'static str,
}

/// Whether this process responds. Calls no dependency: an unavailable store must not make a healthy
/// host look dead.
#[utoipa::path(
    get,
    path = "/health",
    tag = "service",
    responses((status = 200, description = "It answers", body = HealthBody), HealthProblems)
)]
pub(super) async fn health(State(host): State<Arc<Host>>) -> Response {
    let body = HealthBody {
        status: "ok",
        store: host.health.as_str(),
    };
    json(StatusCode::OK, &body)
}
