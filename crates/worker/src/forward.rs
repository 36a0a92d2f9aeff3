//! Forwarding: sends the request to the origin with the caller's identity, and returns the response
//! unchanged.

use js_sys::futures::JsFuture;
use portcullis_core::cookie::{own_cookies, without_own_cookies};
use portcullis_core::csrf::CSRF_HEADER;
use portcullis_core::denial::Denial;
use portcullis_core::forwarding::{
    CLIENT_ADDRESS_HEADER, Connection, EDGE_SECRET_HEADER, HeaderRules, REQUEST_ID_HEADER,
};
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
    /// The caller whose token was accepted; `None` if there is none.
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
    let set = |headers: &Headers| set_headers(headers, forwarded);
    let guarded = forwarded.caller.is_some();
    send(forwarded.request, guarded, forwarded.request_id, set).await
}

/// A request to forward to the auth host.
#[derive(Debug)]
pub struct ForHost<'r> {
    /// The request to the host, with the headers of the client.
    pub request: &'r Request,
    /// The policy's rules for headers.
    pub rules: &'r HeaderRules,
    /// The platform's facts about the client's connection.
    pub connection: Connection<'r>,
    /// The request ID.
    pub request_id: &'r Id,
    /// The secret by which the host knows the edge.
    pub secret: &'r Secret<String>,
}

/// Forwards a request to the auth host, which authenticates the caller itself: it gets the bearer
/// token and its own cookies, and no cookie of the app.
///
/// # Errors
///
/// [`Denial::OriginUnreachable`] if no response arrived.
pub async fn forward_to_host(for_host: &ForHost<'_>) -> Result<Response, Denial> {
    let set = |headers: &Headers| set_host_headers(headers, for_host);
    send(for_host.request, true, for_host.request_id, set).await
}

fn set_host_headers(headers: &Headers, for_host: &ForHost<'_>) -> Result<(), JsValue> {
    // A page proves by this header that it is no other site; the rules drop all others of its prefix.
    let csrf = headers.get(CSRF_HEADER)?;
    drop_headers(headers, for_host.rules)?;
    headers.delete("upgrade")?;
    if let Some(csrf) = csrf {
        headers.set(CSRF_HEADER, &csrf)?;
    }
    if let Some(cookies) = headers.get("cookie")? {
        match own_cookies(&cookies) {
            Some(own) => headers.set("cookie", &own)?,
            None => headers.delete("cookie")?,
        }
    }
    headers.set(REQUEST_ID_HEADER, for_host.request_id.as_str())?;
    headers.set(EDGE_SECRET_HEADER, for_host.secret.expose())?;
    if let Some(address) = for_host.connection.client() {
        headers.set(CLIENT_ADDRESS_HEADER, address)?;
    }
    Ok(())
}

async fn send(
    request: &Request,
    bypasses_caches: bool,
    request_id: &Id,
    set: impl FnOnce(&Headers) -> Result<(), JsValue>,
) -> Result<Response, Denial> {
    let attempt = async {
        set(&request.headers())?;
        let init = RequestInit::new();
        init.set_redirect(RequestRedirect::Manual);
        if bypasses_caches {
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

/// Drops the headers of the client that a server could take for those of the edge.
fn drop_headers(headers: &Headers, rules: &HeaderRules) -> Result<(), JsValue> {
    // Collected first: an iterator skips entries when headers are deleted.
    let names = js_sys::Array::from(&headers.keys().into());
    for name in names.iter().filter_map(|name| name.as_string()) {
        if rules.drops(&name) {
            headers.delete(&name)?;
        }
    }
    Ok(())
}

fn set_headers(headers: &Headers, forwarded: &Forwarded<'_>) -> Result<(), JsValue> {
    let (rules, caller) = (forwarded.rules, forwarded.caller);
    drop_headers(headers, rules)?;
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
    let identity = identity_headers(rules, caller, forwarded.request_id);
    for (name, value) in identity.map_err(|denial| JsValue::from_str(denial.code()))? {
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
