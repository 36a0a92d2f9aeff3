//! Forwarding: sends the request to the origin with the caller's identity, and returns the response
//! unchanged.

use js_sys::futures::JsFuture;
use portcullis_core::denial::Denial;
use portcullis_core::id::Id;
use portcullis_core::identity::{identity_headers, is_reserved_header};
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{
    Headers, Request, RequestCache, RequestInit, RequestRedirect, Response, WorkerGlobalScope,
};

/// Forwards `request` to `target` with its method and body.
///
/// Strips identity headers of the client and sets its own. Redirects are returned to the client,
/// because a followed redirect would bypass the gate. A response to an authenticated request never
/// comes from or goes into a shared cache: the next client must not see it.
///
/// # Errors
///
/// [`Denial::OriginUnreachable`] if no response arrived.
pub async fn forward(
    request: &Request,
    target: &str,
    caller: Option<&Verified<Claims>>,
    strip_token: bool,
    request_id: &Id,
) -> Result<Response, Denial> {
    let attempt = async {
        // A request is also a dictionary of its properties: method, headers, body and the others
        // are copied.
        let onward =
            Request::new_with_str_and_init(target, request.unchecked_ref::<RequestInit>())?;
        set_headers(&onward.headers(), caller, strip_token, request_id)?;
        let init = RequestInit::new();
        init.set_redirect(RequestRedirect::Manual);
        if caller.is_some() {
            init.set_cache(RequestCache::NoStore);
        }
        let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
        JsFuture::from(scope.fetch_with_request_and_init(&onward, &init)).await
    };
    let answer: Result<JsValue, JsValue> = attempt.await;
    match answer {
        Ok(response) => Ok(response.unchecked_into()),
        Err(error) => {
            let reason = error.dyn_ref::<js_sys::Error>().map(js_sys::Error::name);
            worker::console_error!(
                r#"{{"event":"origin_unreachable","reason":"{}","request_id":"{request_id}"}}"#,
                reason.map(String::from).unwrap_or_default(),
            );
            Err(Denial::OriginUnreachable)
        }
    }
}

fn set_headers(
    headers: &Headers,
    caller: Option<&Verified<Claims>>,
    strip_token: bool,
    request_id: &Id,
) -> Result<(), JsValue> {
    // Collected first: an iterator skips entries when headers are deleted.
    let names = js_sys::Array::from(&headers.keys().into());
    for name in names.iter().filter_map(|name| name.as_string()) {
        if is_reserved_header(&name) {
            headers.delete(&name)?;
        }
    }
    if strip_token {
        headers.delete("authorization")?;
    }
    for (name, value) in identity_headers(caller, request_id) {
        headers.set(name, &value)?;
    }
    Ok(())
}
