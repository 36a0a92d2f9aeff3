//! The response to a request without the proof of the edge.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

/// The response to every request without a proof: problem JSON ([RFC 9457]) without the reason.
///
/// [RFC 9457]: https://www.rfc-editor.org/rfc/rfc9457
pub(crate) fn rejection<B: From<&'static str>>() -> Response<B> {
    let mut response = Response::new(B::from(
        r#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"the request did not pass the edge","code":"no_edge_proof"}"#,
    ));
    *response.status_mut() = StatusCode::FORBIDDEN;
    for (name, value) in [
        (CONTENT_TYPE, "application/problem+json"),
        (CACHE_CONTROL, "no-store"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
