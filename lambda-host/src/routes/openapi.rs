//! `GET /openapi.json`: the description of this API.

use std::sync::{Arc, OnceLock};

use axum::Extension;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use utoipa::openapi::OpenApi;

use crate::openapi::problems::{ANY, problems};
use crate::problem::Problem;

/// The document of the router that it is built from, at the first request for it.
pub(super) struct Document {
    build: fn() -> OpenApi,
    json: OnceLock<Result<Bytes, Problem>>,
}

impl Document {
    /// The document that `build` returns.
    pub(super) const fn new(build: fn() -> OpenApi) -> Self {
        Self {
            build,
            json: OnceLock::new(),
        }
    }

    fn json(&self) -> Result<Bytes, Problem> {
        let written = || {
            let json = serde_json::to_vec(&(self.build)());
            json.map(Bytes::from).map_err(|_| Problem::Internal)
        };
        self.json.get_or_init(written).clone()
    }
}

problems!(OpenApiProblems: ANY);

/// The description of this API (OpenAPI 3.1).
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "service",
    responses((status = 200, description = "This document", body = Object), OpenApiProblems)
)]
pub(super) async fn openapi(
    Extension(document): Extension<Arc<Document>>,
) -> Result<Response, Problem> {
    let mut response = Response::new(Body::from(document.json()?));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=300"),
    );
    Ok(response)
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn document() -> Value {
        let document = Document::new(|| crate::routes::endpoints().into_openapi());
        serde_json::from_slice(&document.json().expect("a document")).expect("JSON")
    }

    /// Every operation with its path and method.
    fn operations(document: &Value) -> Vec<(String, &Value)> {
        let paths = document["paths"].as_object().expect("paths");
        let operations = paths.iter().flat_map(|(path, item)| {
            let operations = item.as_object().expect("operations").iter();
            operations.map(move |(method, operation)| (format!("{method} {path}"), operation))
        });
        operations.collect()
    }

    /// Every error code that an operation documents.
    pub(crate) fn codes() -> BTreeSet<String> {
        let document = document();
        let mut codes = BTreeSet::new();
        for (_, operation) in operations(&document) {
            for response in operation["responses"]
                .as_object()
                .expect("responses")
                .values()
            {
                for media_type in ["application/problem+json", "application/json"] {
                    let schema = &response["content"][media_type]["schema"];
                    let known = schema["allOf"][1]["properties"]["code"]["enum"].as_array();
                    let known = known.into_iter().flatten().filter_map(Value::as_str);
                    codes.extend(known.map(str::to_owned));
                }
            }
        }
        codes
    }

    #[test]
    fn the_document_is_openapi_3_1_and_each_operation_lists_its_responses() {
        let document = document();
        assert_eq!(document["openapi"], "3.1.0");
        let operations = operations(&document);
        assert!(operations.len() >= 8, "{}", operations.len());
        let mut names = BTreeSet::new();
        for (name, operation) in operations {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(names.insert(id), "{name}: {id} names two operations");
            let responses = operation["responses"].as_object().expect("responses");
            assert!(
                responses.keys().any(|status| status.starts_with('2')),
                "{name}"
            );
            assert!(
                responses.contains_key("500"),
                "{name} lacks what any request may meet"
            );
            assert!(
                operation["summary"].is_string() && operation["tags"].is_array(),
                "{name}"
            );
            if let Some(body) = operation.get("requestBody") {
                let optional = ["post /v1/logout", "post /v1/refresh"];
                let required = body["required"] == true;
                assert_ne!(required, optional.contains(&name.as_str()), "{name}");
                let statuses = ["400", "408", "413", "415"];
                assert!(
                    statuses
                        .iter()
                        .all(|status| responses.contains_key(*status)),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn every_schema_reference_resolves() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(members) => {
                    found.extend(
                        members
                            .get("$ref")
                            .and_then(Value::as_str)
                            .map(str::to_owned),
                    );
                    members.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        let (document, mut found) = (document(), Vec::new());
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let target = document.pointer(reference.trim_start_matches('#'));
            assert!(target.is_some(), "{reference}");
        }
    }

    #[test]
    fn every_endpoint_is_declared_in_the_documented_router() {
        // A route outside `endpoints` would be missing in the document.
        let source = include_str!("../routes.rs");
        assert!(!source.contains(concat!(".rou", "te(\"")), "use routes!()");
        assert!(
            !source.contains(concat!(".ne", "st(")) && !source.contains(concat!(".mer", "ge("))
        );
    }
}
