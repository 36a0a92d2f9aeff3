//! The headers of a response that tell browsers what they may do: CORS, `Vary` and
//! `Strict-Transport-Security`.

use portcullis_core::transport_security::HSTS;
use portcullis_service::edge::cors::CorsResponse;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Response, ResponseInit};

const HSTS_HEADER: &str = "strict-transport-security";

/// `response` with the headers; it may be one of the origin or of the edge.
///
/// An origin's own `Strict-Transport-Security` stays. Over http the header has no meaning
/// ([RFC 6797 §7.2]).
///
/// [RFC 6797 §7.2]: https://www.rfc-editor.org/rfc/rfc6797#section-7.2
///
/// # Errors
///
/// An error of the platform. SECURITY: a response without these headers is not sent.
pub fn complete(
    response: Response,
    is_https: bool,
    cors: Option<&CorsResponse<'_>>,
) -> Result<Response, JsValue> {
    if !is_https && cors.is_none() {
        return Ok(response);
    }
    // A response of `fetch` cannot be changed. A response is also a dictionary of its properties.
    let response = Response::new_with_opt_readable_stream_and_init(
        response.body().as_ref(),
        response.unchecked_ref::<ResponseInit>(),
    )?;
    let headers = response.headers();
    if is_https && !headers.has(HSTS_HEADER)? {
        headers.set(HSTS_HEADER, HSTS)?;
    }
    if let Some(cors) = cors {
        if cors.replaces {
            let names = js_sys::Array::from(&headers.keys().into());
            for name in names.iter().filter_map(|name| name.as_string()) {
                if name.starts_with("access-control-") {
                    headers.delete(&name)?;
                }
            }
        }
        headers.append("vary", cors.vary)?;
        for (name, value) in &cors.headers {
            headers.set(name, value)?;
        }
    }
    Ok(response)
}
