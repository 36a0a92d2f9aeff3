//! Responses of the edge itself: rejections, and the keys of its assertions.

use portcullis_core::denial::Denial;
use portcullis_core::id::Id;
use portcullis_core::refusal::DenialResponse;
use portcullis_core::route::Requirement;
use wasm_bindgen::JsValue;
use web_sys::{Headers, Response, ResponseInit};

/// Creates the response for `denial` and logs it.
pub fn refuse(denial: Denial, requirement: Option<&Requirement>, request_id: &Id) -> Response {
    let refusal = DenialResponse::new(denial, requirement, request_id);
    worker::console_log!(
        r#"{{"event":"refused","code":"{}","status":{},"request_id":"{request_id}"}}"#,
        denial.code(),
        refusal.status,
    );
    // The status, names and values are constants, so the platform accepts them. If it ever fails,
    // the request is still rejected.
    let headers = refusal
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()));
    response(refusal.status, headers, Some(&refusal.body)).unwrap_or_else(|_| Response::error())
}

/// The response with a document for every page: a JWK Set ([RFC 7517 §8.5.2]) or metadata.
///
/// [RFC 7517 §8.5.2]: https://www.rfc-editor.org/rfc/rfc7517#section-8.5.2
pub fn public_document(media_type: &str, document: &str) -> Option<Response> {
    let headers = [
        ("content-type", media_type),
        ("cache-control", "public, max-age=300"),
        ("access-control-allow-origin", "*"),
    ];
    response(200, headers.into_iter(), Some(document)).ok()
}

/// The response to a preflight for such a document.
pub fn public_preflight() -> Option<Response> {
    let headers = [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "GET, HEAD"),
        ("access-control-allow-headers", "*"),
        ("access-control-max-age", "86400"),
    ];
    response(204, headers.into_iter(), None).ok()
}

/// The response to a preflight, without its CORS headers.
pub fn no_content() -> Option<Response> {
    response(204, [].into_iter(), None).ok()
}

fn response<'h>(
    status: u16,
    named: impl Iterator<Item = (&'h str, &'h str)>,
    body: Option<&str>,
) -> Result<Response, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in named {
        headers.set(name, value)?;
    }
    let init = ResponseInit::new();
    init.set_status(status);
    init.set_headers(&headers);
    Response::new_with_opt_str_and_init(body, &init)
}
