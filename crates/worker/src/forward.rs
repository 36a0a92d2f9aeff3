//! Forwarding: sends the request to the origin with the caller's identity, and returns the response
//! unchanged.

use js_sys::futures::JsFuture;
use portcullis_core::cookie::without_own_cookies;
use portcullis_core::denial::Denial;
use portcullis_core::forwarding::{Connection, HeaderRules};
use portcullis_core::id::Id;
use portcullis_core::identity::identity_headers;
use portcullis_core::secret::Secret;
use portcullis_core::token::claims::Claims;
use portcullis_core::token::verifier::Verified;
use portcullis_core::upgrade::without_bearer;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{
    Headers, Request, RequestCache, RequestInit, RequestRedirect, Response, WorkerGlobalScope,
};

const SUBPROTOCOLS: &str = "sec-websocket-protocol";

/// A request to forward.
#[derive(Debug)]
pub struct Forwarded<'r> {
    /// The request to the origin, with the headers of the client.
    pub request: &'r Request,
    /// The verified caller; `None` on an open route.
    pub caller: Option<&'r Verified<Claims>>,
    /// The policy's rules for headers.
    pub rules: &'r HeaderRules,
    /// The platform's facts about the client's connection.
    pub connection: Connection<'r>,
    /// The request ID.
    pub request_id: &'r Id,
    /// The header that proves to the origin that the request passed the edge.
    pub proof: Option<(&'static str, Secret<String>)>,
}

/// The request of the client with another target: method, headers and body are copied.
///
/// # Errors
///
/// An error of the platform.
pub fn onward_request(request: &Request, target: &str) -> Result<Request, JsValue> {
    // A request is also a dictionary of its properties.
    Request::new_with_str_and_init(target, request.unchecked_ref::<RequestInit>())
}

/// Forwards a request with its method and body.
///
/// Drops the headers of the client that an origin could trust, and sets the edge's own. Redirects
/// are returned to the client, because a followed redirect would bypass the gate. A response to an
/// authenticated request never comes from or goes into a shared cache: the next client must not see
/// it.
///
/// # Errors
///
/// [`Denial::OriginUnreachable`] if no response arrived.
pub async fn forward(forwarded: &Forwarded<'_>) -> Result<Response, Denial> {
    let (request, request_id) = (forwarded.request, forwarded.request_id);
    let attempt = async {
        set_headers(&request.headers(), forwarded)?;
        let init = RequestInit::new();
        init.set_redirect(RequestRedirect::Manual);
        if forwarded.caller.is_some() {
            init.set_cache(RequestCache::NoStore);
        }
        let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
        JsFuture::from(scope.fetch_with_request_and_init(request, &init)).await
    };
    let answer: Result<JsValue, JsValue> = attempt.await;
    let reason = match answer {
        Ok(response) => {
            let response: Response = response.unchecked_into();
            if is_status(response.status()) {
                return Ok(response);
            }
            "InvalidStatus".into()
        }
        Err(error) => {
            let name = error.dyn_ref::<js_sys::Error>().map(js_sys::Error::name);
            name.map(String::from).unwrap_or_default()
        }
    };
    worker::console_error!(
        r#"{{"event":"origin_unreachable","reason":"{reason}","request_id":"{request_id}"}}"#,
    );
    Err(Denial::OriginUnreachable)
}

/// Whether a response of an origin may have the status ([RFC 9110 §15]): the platform can send no
/// other. 101 is a WebSocket.
///
/// [RFC 9110 §15]: https://www.rfc-editor.org/rfc/rfc9110#section-15
const fn is_status(status: u16) -> bool {
    matches!(status, 101 | 200..=599)
}

fn set_headers(headers: &Headers, forwarded: &Forwarded<'_>) -> Result<(), JsValue> {
    let (rules, caller) = (forwarded.rules, forwarded.caller);
    // Collected first: an iterator skips entries when headers are deleted.
    let names = js_sys::Array::from(&headers.keys().into());
    for name in names.iter().filter_map(|name| name.as_string()) {
        if rules.drops(&name) {
            headers.delete(&name)?;
        }
    }
    if !rules.forwards_authorization(caller.is_some()) {
        headers.delete("authorization")?;
    }
    // SECURITY: on every route, whether the edge read the token there or not.
    if let Some(offered) = headers.get(SUBPROTOCOLS)? {
        match without_bearer(&offered).as_str() {
            "" => headers.delete(SUBPROTOCOLS)?,
            others => headers.set(SUBPROTOCOLS, others)?,
        }
    }
    if let Some(cookies) = headers.get("cookie")? {
        match without_own_cookies(&cookies).as_deref() {
            None => {}
            Some("") => headers.delete("cookie")?,
            Some(others) => headers.set("cookie", others)?,
        }
    }
    for (name, value) in identity_headers(rules.identity_prefix(), caller, forwarded.request_id) {
        headers.set(&name, &value)?;
    }
    for (name, value) in rules.forwarding_headers(&forwarded.connection) {
        headers.set(name, &value)?;
    }
    if let Some((name, value)) = &forwarded.proof {
        headers.set(name, value.expose())?;
    }
    Ok(())
}
