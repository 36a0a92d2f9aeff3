//! CORS for pages of the configured origins.

use axum::body::Body;
use axum::response::Response;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HeaderMap, HeaderValue, ORIGIN, VARY};
use http::{HeaderName, Method, StatusCode};
use portcullis_core::cors::{self, CorsRules};

/// The facts of a request that its CORS headers depend on.
#[derive(Debug)]
pub(crate) struct CorsRequest {
    origin: Option<String>,
    is_preflight: bool,
}

impl CorsRequest {
    /// The facts of a request.
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).map(HeaderValue::to_str);
        let origin = headers.get(ORIGIN);
        // Several origins are none: no browser sends them.
        let one = headers.get_all(ORIGIN).iter().nth(1).is_none();
        let origin = origin
            .and_then(|origin| origin.to_str().ok())
            .filter(|_| one);
        let requested = text("access-control-request-method").and_then(Result::ok);
        Self {
            is_preflight: cors::is_preflight(method.as_str(), origin, requested),
            origin: origin.map(str::to_owned),
        }
    }

    /// The response to a preflight; `None` if the request is none.
    pub(crate) fn preflight(&self, rules: &CorsRules) -> Option<Response> {
        self.is_preflight.then(|| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            let allowed = rules.preflight_headers(self.origin.as_deref());
            set(response.headers_mut(), allowed, cors::PREFLIGHT_VARY);
            response
        })
    }

    /// Lets the page read a response, refusals too. A response for every page stays one.
    pub(crate) fn complete(&self, headers: &mut HeaderMap, rules: &CorsRules) {
        if self.is_preflight || headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            return;
        }
        let allowed = rules.response_headers(self.origin.as_deref());
        set(headers, allowed, cors::VARY);
    }
}

/// Lets every page read a public document.
pub(crate) fn allow_every_page(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}

fn set(headers: &mut HeaderMap, allowed: Vec<(&'static str, String)>, vary: &'static str) {
    headers.append(VARY, HeaderValue::from_static(vary));
    for (name, value) in allowed {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}
