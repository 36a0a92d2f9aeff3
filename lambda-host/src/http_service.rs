//! Where a request comes in, whatever door it came by: it is named, timed and put in canonical
//! form, answered, and noted in the log.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::header::{ALLOW, CACHE_CONTROL, HeaderMap, HeaderValue, SET_COOKIE};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderName, Request, StatusCode};
use portcullis_core::denial::Denial;
use portcullis_core::id::Id;
use portcullis_core::identity::REQUEST_ID_HEADER;
use portcullis_core::path::CanonicalPath;
use portcullis_service::ports::{RequestMeta, SecureRandom as _};
use tokio::time::Instant;
use tower_service::Service as _;
use tracing::{Instrument as _, info, info_span};

use crate::api_error::{ApiError, Failure, InOAuth};
use crate::problem::Problem;
use crate::routes::router;
use portcullis_host::host::Host;

/// What a door knows of a request besides what the request says itself.
#[derive(Clone, Debug, Default)]
pub struct RequestOrigin {
    /// The caller's address as the platform reports it, or nothing where it reports none.
    pub client_address: String,
    /// The platform's own name for the request.
    pub request_id: Option<Id>,
    /// The path, where it is not the one in the request's target.
    pub path: Option<String>,
}

/// Answers requests.
#[derive(Clone, Debug)]
pub struct HttpService {
    host: Arc<Host>,
    router: Router,
}

impl HttpService {
    /// Answers with what `host` has.
    pub fn new(host: Arc<Host>) -> Self {
        Self {
            router: router(Arc::clone(&host)),
            host,
        }
    }

    /// The host behind it.
    pub const fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Answers `request`. There is always an answer.
    pub async fn answer(&self, arrival: RequestOrigin, request: Request<Body>) -> Response {
        let request_id = self.name(&arrival, request.headers());
        let span = info_span!("request", request_id = request_id.as_str());
        let answered = self.respond(arrival, request, &request_id).instrument(span);
        let mut response = answered.await;
        let headers = response.headers_mut();
        if let Ok(name) = HeaderValue::from_str(request_id.as_str()) {
            headers.insert(HeaderName::from_static(REQUEST_ID_HEADER), name);
        }
        // Whatever an endpoint did not mark as public is for one pair of eyes.
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
        let (problem, response) = told(response, request_id);
        if let Ok(now) = self.host.clock.read() {
            self.host.flush_metrics(now);
        }
        info!(
            %method,
            // Of a path that is no route of ours, nothing is known but that it may hold anything.
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
        let path = arrival
            .path
            .as_deref()
            .unwrap_or_else(|| request.uri().path());
        let path = CanonicalPath::parse(path).map_err(Problem::Denied)?;
        let path = PathAndQuery::try_from(path.as_str());
        *request.uri_mut() = Uri::from(path.map_err(|_| Problem::Denied(Denial::BadPath))?);
        let edge = &self.host.edge;
        let call = RequestMeta {
            now: self.host.clock.read()?,
            request_id: request_id.clone(),
            client_address: edge.client_address(arrival.client_address, request.headers()),
        };
        request.extensions_mut().insert(call);
        Ok(request)
    }

    async fn route(&self, request: Request<Body>) -> Response {
        match self.router.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// The platform's name for the request, else the one it brings if that is an id, else a new
    /// one.
    fn name(&self, arrival: &RequestOrigin, headers: &HeaderMap) -> Id {
        let brought = || {
            let value = headers.get(REQUEST_ID_HEADER)?.to_str().ok()?;
            Id::parse(value).ok()
        };
        let name = arrival.request_id.clone().or_else(brought);
        // Without entropy every use case fails anyway, and answers so.
        name.or_else(|| self.host.chance.id().ok())
            .unwrap_or_else(nameless)
    }
}

/// Writes out the problem that an endpoint left in its response, if it left one.
fn told(mut response: Response, request_id: &Id) -> (Option<Problem>, Response) {
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
    // `Allow`, which the router knows, and a cookie that goes with a session that is over.
    for name in [ALLOW, SET_COOKIE] {
        if let Some(value) = response.headers_mut().remove(&name) {
            written.headers_mut().insert(name, value);
        }
    }
    (Some(problem), written)
}

/// The name of a request for which there is none.
pub(crate) fn nameless() -> Id {
    Id::from_random([0; 16])
}
