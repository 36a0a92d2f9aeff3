//! The path of every request: request ID, time and canonical path, then the endpoint, then the log
//! line.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    ALLOW, CACHE_CONTROL, HeaderMap, HeaderValue, SET_COOKIE, STRICT_TRANSPORT_SECURITY,
};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderName, Request, StatusCode};
use portcullis_core::denial::Denial;
use portcullis_core::id::Id;
use portcullis_core::identity::REQUEST_ID_HEADER;
use portcullis_core::path::CanonicalPath;
use portcullis_core::transport_security::HSTS;
use portcullis_service::ports::{RequestMeta, SecureRandom as _};
use tokio::time::Instant;
use tower_service::Service as _;
use tracing::{Instrument as _, info, info_span};

use crate::api_error::{ApiError, Failure, InOAuth};
use crate::base_path::BasePath;
use crate::cors::CorsRequest;
use crate::problem::Problem;
use crate::routes::{BodyTimeout, router};
use portcullis_host::host::Host;

/// The facts about a request that only the platform knows.
#[derive(Clone, Debug, Default)]
pub struct RequestOrigin {
    /// The client's address as the platform reports it; empty without one.
    pub client_address: String,
    /// The platform's request ID, for the log.
    pub platform_request_id: Option<Id>,
    /// The path, if it differs from the one in the request's target.
    pub path: Option<String>,
    /// The reason for which the entry point refuses the request; the service writes the response.
    pub refusal: Option<Problem>,
}

/// Serves requests.
#[derive(Clone, Debug)]
pub struct HttpService {
    host: Arc<Host>,
    /// Whether the issuer, and so this API, is reached over https.
    is_https: bool,
    base_path: BasePath,
    router: Router,
}

impl HttpService {
    /// A service over `host`.
    pub fn new(host: Arc<Host>) -> Self {
        Self {
            router: router(Arc::clone(&host)),
            base_path: BasePath::of_issuer(&host.settings.issuing.issuer),
            is_https: host.settings.issuing.issuer.starts_with("https://"),
            host,
        }
    }

    /// The host.
    pub const fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Answers `request`; every request gets a response.
    pub async fn answer(&self, arrival: RequestOrigin, request: Request<Body>) -> Response {
        // SECURITY: always drawn here. The store recognises the writes of a request by this ID, so an
        // ID from the client or a gateway would let two requests pass as one. Without randomness
        // every use case fails anyway and reports it.
        let request_id = self.host.random.id().unwrap_or_else(|_| nameless());
        let client_request_id = client_request_id(request.headers());
        let span = info_span!(
            "request",
            request_id = request_id.as_str(),
            platform_request_id = arrival.platform_request_id.as_ref().map(Id::as_str),
            client_request_id = client_request_id.as_ref().map(Id::as_str),
        );
        let cors = CorsRequest::of(request.method(), request.headers());
        let rules = self.host.origins.cors();
        let answerable = rules.filter(|_| arrival.refusal.is_none());
        let mut response = match answerable.and_then(|rules| cors.preflight(rules)) {
            Some(response) => response,
            None => {
                let answered = self.respond(arrival, request, &request_id);
                answered.instrument(span).await
            }
        };
        if let Some(rules) = rules {
            cors.complete(response.headers_mut(), rules);
        }
        let headers = response.headers_mut();
        if let Ok(name) = HeaderValue::from_str(request_id.as_str()) {
            headers.insert(HeaderName::from_static(REQUEST_ID_HEADER), name);
        }
        if self.is_https {
            headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
        }
        // Unless an endpoint marks its response as public, no cache may store it.
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        response
    }

    async fn respond(
        &self,
        arrival: RequestOrigin,
        request: Request<Body>,
        request_id: &Id,
    ) -> Response {
        let (began, method) = (Instant::now(), request.method().clone());
        let (route, response) = match self.prepare(arrival, request, request_id) {
            Ok(request) => (
                Some(request.uri().path().to_owned()),
                self.route(request).await,
            ),
            Err(error) => (None, error.into_response()),
        };
        let (problem, response) = reported(response, request_id);
        if let Ok(now) = self.host.clock.read() {
            self.host.flush_metrics(now);
        }
        info!(
            %method,
            // The path of an unknown route is not logged: it may contain anything.
            route = route.filter(|_| response.status() != StatusCode::NOT_FOUND),
            status = response.status().as_u16(),
            code = problem.map(Problem::code),
            micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
        response
    }

    fn prepare(
        &self,
        arrival: RequestOrigin,
        mut request: Request<Body>,
        request_id: &Id,
    ) -> Result<Request<Body>, ApiError> {
        if let Some(problem) = arrival.refusal {
            return Err(problem.into());
        }
        let path = arrival
            .path
            .as_deref()
            .unwrap_or_else(|| request.uri().path());
        let path = CanonicalPath::parse(path).map_err(Problem::Denied)?;
        let path = PathAndQuery::try_from(&*self.base_path.strip(path.as_str()));
        *request.uri_mut() = Uri::from(path.map_err(|_| Problem::Denied(Denial::BadPath))?);
        let edge = &self.host.edge;
        let call = RequestMeta {
            now: self.host.clock.read()?,
            request_id: request_id.clone(),
            client_address: edge.client_address(arrival.client_address, request.headers()),
        };
        let timeout = BodyTimeout(self.host.connections.body);
        request.extensions_mut().insert(call);
        request.extensions_mut().insert(timeout);
        Ok(request)
    }

    async fn route(&self, request: Request<Body>) -> Response {
        match self.router.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// The request ID that the client or an edge sent, for the log only: it is unverified, and several
/// requests may have the same one.
fn client_request_id(headers: &HeaderMap) -> Option<Id> {
    let value = headers.get(REQUEST_ID_HEADER)?.to_str().ok()?;
    Id::parse(value).ok()
}

/// Writes the problem that an endpoint left in its response, if there is one.
fn reported(mut response: Response, request_id: &Id) -> (Option<Problem>, Response) {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return (None, response);
    };
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        failure.log(problem);
    }
    let mut written = match response.extensions_mut().remove::<InOAuth>() {
        Some(InOAuth) => problem.oauth_answer(request_id),
        None => problem.answer(request_id),
    };
    // The router knows `Allow`; a revoked session clears its cookie.
    for name in [ALLOW, SET_COOKIE] {
        if let Some(value) = response.headers_mut().remove(&name) {
            written.headers_mut().insert(name, value);
        }
    }
    (Some(problem), written)
}

/// The request ID if none can be generated.
pub(crate) fn nameless() -> Id {
    Id::from_random([0; 16])
}
