//! The Lambda entry point: HTTP APIs, REST APIs, load balancers, function URLs.

mod event;

use core::convert::Infallible;
use core::task::{Context, Poll};

use axum::body::Body;
use http::{Request, Response};
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, LambdaEvent, RequestExt as _, service_fn};
use portcullis_core::id::Id;
use tower_service::Service;

use crate::http_service::{HttpService, RequestOrigin};

/// Serves invocations until Lambda ends the process.
///
/// # Errors
///
/// If the Runtime API fails.
pub async fn serve(reception: HttpService) -> Result<(), lambda_http::Error> {
    let reception = &reception;
    let handler =
        service_fn(async move |request| Ok::<_, Infallible>(answer(reception, request).await));
    lambda_runtime::run(Sound(Adapter::from(handler))).await
}

async fn answer(reception: &HttpService, request: lambda_http::Request) -> Response<Body> {
    let invocation = request
        .lambda_context_ref()
        .map(|context| context.request_id.clone());
    let arrival = RequestOrigin {
        client_address: event::client_address(&request),
        // The ID of an HTTP API ends in `=`, which no ID may; the invocation's ID is valid.
        platform_request_id: [event::gateway_name(&request), invocation]
            .into_iter()
            .flatten()
            .find_map(|name| Id::parse(&name).ok()),
        // The path without the stage of a REST API.
        path: Some(request.raw_http_path().to_owned()),
        // An event has no bytes of HTTP/1.1: the gateway has parsed the request.
        refusal: None,
    };
    let (parts, body) = request.into_parts();
    let body = match body {
        lambda_http::Body::Text(text) => Body::from(text),
        lambda_http::Body::Binary(bytes) => Body::from(bytes),
        lambda_http::Body::Empty | _ => Body::empty(),
    };
    reception
        .answer(arrival, Request::from_parts(parts, body))
        .await
}

/// Sanitises each event before `lambda_http` reads it.
struct Sound<S>(S);

impl<S: Service<LambdaEvent<LambdaRequest>>> Service<LambdaEvent<LambdaRequest>> for Sound<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut event: LambdaEvent<LambdaRequest>) -> Self::Future {
        event::make_sound(&mut event.payload);
        self.0.call(event)
    }
}
